//! A stream: frames, batches, schemas, events, JSON, parts.
#![no_main]

use bounded::LIMITS;
use libfuzzer_sys::fuzz_target;
use pgcdc::{json, Assembler, Frames, Inflater, SchemaCache, Sequence};

fuzz_target!(|data: &[u8]| {
    let mut schemas = SchemaCache::new(LIMITS);
    let mut inflater = Inflater::new(LIMITS);
    let mut sequence = Sequence::new();
    let mut assembler = Assembler::default();
    let mut out = String::new();
    for frame in Frames::new(data, LIMITS).flatten() {
        let Ok(batch) = inflater.parse(frame) else { continue };
        let _ = schemas.add_all(&batch);
        out.clear();
        let _ = json::write_batch(&mut out, &batch, &schemas);
        let _ = sequence.check(&batch);
        if let Ok(Some(transaction)) = assembler.push(&batch) {
            let _ = transaction.for_each(|_| Ok(()));
            let _ = assembler.keep_prepared(transaction);
        }
    }
    assembler.disconnected();
});
