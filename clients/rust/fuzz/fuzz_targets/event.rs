//! Events of one batch without a frame, cut out and overlaid.
#![no_main]

use bounded as _;
use libfuzzer_sys::fuzz_target;
use pgcdc::{overlay, single, Batch};

fuzz_target!(|data: &[u8]| {
    let Ok(batch) = Batch::parse(data) else { return };
    for event in batch.events().flatten() {
        let mut row = Vec::new();
        let _ = overlay(&mut row, event.old, event.new, event.nulls());
        assert!(row.len() <= event.old.bytes().len() + event.new.bytes().len());
        if let Ok(alone) = single(&batch, &event, None, None) {
            let alone = Batch::parse(&alone).expect("a part of what was read is read");
            let again = alone.events().next().expect("one event").expect("the same event");
            assert_eq!(again.position, event.position);
        }
    }
});
