//! What a consumer gets of a stream: policies, dead letters, conversion of versions.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use bounded::LIMITS;
use libfuzzer_sys::fuzz_target;
use pgcdc::test::Script;
use pgcdc::{
    Batch, DeadLetter, DeadLetterSink, Frames, Inflater, Joiner, MemoryState, Policy, Schema,
    SchemaCache, VersionPolicy,
};

/// Each must be what can be read again, or damaged in a way that is known.
struct Letters;

impl DeadLetterSink for Letters {
    fn put(&self, letter: &DeadLetter<'_>) -> std::io::Result<()> {
        assert!(letter.position.is_none() || Batch::parse(letter.batch).is_ok());
        Ok(())
    }
}

/// All relations, which are then in another version than is expected.
fn relations(data: &[u8]) -> BTreeMap<String, u32> {
    let (mut schemas, mut inflater) = (SchemaCache::new(LIMITS), Inflater::new(LIMITS));
    let mut found = BTreeMap::new();
    for frame in Frames::new(data, LIMITS).flatten() {
        let Ok(batch) = inflater.parse(frame) else { continue };
        for version in batch.schemas().flatten() {
            if schemas.add(&version).is_ok() {
                let table = &schemas.get(version.fingerprint).expect("it was added").table;
                if !table.schema.is_empty() && !table.name.is_empty() {
                    found.insert(table.to_string(), 77);
                }
            }
        }
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let mut config = Script::config().dead_letters(Letters);
    config.limits = LIMITS;
    config.versions = relations(data);
    config.on_version = match first % 4 {
        0 => VersionPolicy::Refuse,
        1 => VersionPolicy::Pass,
        _ => VersionPolicy::convert(|_, schema, event| {
            if event.index == 1 {
                return Err("not this one".into());
            }
            event.unavailable.clear();
            Ok(Arc::new(Schema { version: 77, ..schema.clone() }))
        }),
    };
    if first & 4 != 0 {
        config.on_damage = Policy::Skip;
    }
    let mut script = Script::new();
    for frame in Frames::new(data, LIMITS).flatten() {
        script = script.batch(frame);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut stream = script.start_with(config);
        let mut joiner = Joiner::new(pgcdc::Applier::new(MemoryState::default()));
        while let Some(Ok(delivery)) = stream.next_batch().await {
            for change in delivery.changes().flatten() {
                let _ = change.table().map(ToString::to_string);
                let _ = delivery.reject(&change, "rejected");
            }
            let batch = delivery.batch().expect("it has been parsed");
            let _ = joiner.apply_batch(&batch, delivery.schemas());
            stream.ack(&delivery);
        }
    });
});
