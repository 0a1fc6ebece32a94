//! What is logged of a run with faults: keys of the manual, all that is known of the change, and
//! no value.
#![cfg(feature = "test")]

#[path = "common/fake.rs"]
mod fake;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use fake::{Act, Fake};
use pgcdc::test::{insert, things, Script};
use pgcdc::{pb, ConnectConfig, Policy, StreamConfig, VersionPolicy};
use prost::Message;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

type Line = BTreeMap<&'static str, String>;

/// Keys and values of lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("pgcdc")
    }
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Line::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Those of the manual's table.
fn documented() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let table = manual.split("<!-- keys of logs -->").nth(1).unwrap();
    let table = table.split("<!-- end of keys -->").next().unwrap();
    let names = table.lines().filter_map(|line| line.split('|').nth(1));
    let keys = names.flat_map(|names| names.split('`').skip(1).step_by(2));
    keys.map(str::to_owned).chain(["message".to_owned()]).collect()
}

const CANARY: &str = "canary-9b1f";

/// A stream with a fault of each kind.
async fn faults() {
    let (mut other, mut failed) = (things(), insert(2, CANARY));
    other.version = 2;
    failed.failure = Some(pb::Failure {
        sqlstate: "22P05".into(),
        message: "a character has no equivalent".into(),
        ..pb::Failure::default()
    });
    let unknown = pb::ChangeEvent { schema: 12345, ..insert(3, CANARY) };
    let script = |schema: pb::SchemaVersion| {
        let events = [insert(1, CANARY), failed.clone(), unknown.clone()];
        Script::new().transaction(&events).map_last(move |bytes| {
            let mut batch = pb::Batch::decode(bytes).unwrap();
            batch.schemas = vec![schema];
            batch.encode_to_vec()
        })
    };
    let mut config = Script::config();
    config.on_damage = Policy::Skip;
    config.on_failure = Policy::Skip;
    config.on_handler_error = Policy::Skip;
    let garbage = [&[0xff, 0xff, 0xff][..], CANARY.as_bytes()].concat();
    let mut stream = script(things()).batch(&garbage).start_with(config);
    while let Some(txn) = stream.next().await {
        let txn = txn.unwrap();
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            txn.reject(&change.unwrap(), "it does not fit").unwrap();
        }
        txn.reject_all("it does not fit").unwrap_err(); // of a schema that is not known
    }
    for policy in [VersionPolicy::Skip, VersionPolicy::Refuse] {
        let mut config = Script::config().version("public.things", 3).on_version(policy);
        config.on_handler_error = Policy::Skip;
        config.request_versions = false;
        let mut stream = script(other.clone()).start_with(config);
        let _ = stream.next().await;
    }
    let fake = Fake::start(|n| match n {
        0 => Act::Fail("57P01", "it ends"),
        _ => Act::Ask(vec![0, 0, 0, 3]),
    })
    .await;
    let config = StreamConfig::new(ConnectConfig::parse(&fake.conninfo()).unwrap(), "test");
    let mut stream = config.start().await.unwrap();
    assert!(stream.next().await.unwrap().is_err());
}

#[tokio::test]
async fn keys_and_no_values() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    faults().await;
    drop(guard);
    let (lines, keys) = (log.0.lock().unwrap().clone(), documented());
    assert!(keys.len() > 10, "{keys:?}");
    let things = format!("{:016x}", things().fingerprint);
    let wanted = BTreeMap::from([
        ("version", [Some("public.things"), Some(&things[..]), Some("2")]),
        ("failure", [Some("public.things"), Some(&things[..]), None]),
        ("handler", [Some("public.things"), Some(&things[..]), None]),
        ("unknown_schema", [None, Some("0000000000003039"), None]),
    ]);
    let (mut said, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for line in &lines {
        assert!(line.values().all(|value| !value.contains(CANARY)), "a value: {line:?}");
        for key in line.keys() {
            assert!(keys.contains(*key), "the manual has no key {key}: {line:?}");
        }
        let word = |key: &str| line.get(key).map(String::as_str);
        said.insert(word("message").unwrap());
        assert!(word("slot") == Some("test") || word("host").is_some(), "{line:?}");
        let Some(about) = word("reason").and_then(|reason| wanted.get_key_value(reason)) else {
            continue;
        };
        seen.insert(*about.0);
        assert_eq!([word("relation"), word("fingerprint"), word("version")], *about.1, "{line:?}");
        assert!(word("position").is_some(), "{line:?}");
    }
    assert_eq!(seen.len(), wanted.len(), "{lines:?}");
    for message in [
        "connected",
        "the connection is lost",
        "the stream has ended",
        "cannot hand on",
        "rows come in another version",
    ] {
        assert!(said.contains(message), "{message}: {lines:?}");
    }
}
