//! Schemas, and what else is kept.
#![no_main]

use bounded as _;
use libfuzzer_sys::fuzz_target;
use pgcdc::{Checkpoint, DecoderLayout, Limits, Loader, OwnedSnapshot, Position, Relation, Table};

fuzz_target!(|data: &[u8]| {
    if let Ok(table) = Table::parse(data, &Limits::DEFAULT) {
        assert!(table.columns.len() <= 1600);
        let _ = table.to_string();
    }
    let _ = OwnedSnapshot::new(data).map(|snapshot| snapshot.sees(7));
    let _ = Loader::from_bytes(data);
    let _ = DecoderLayout::new(data, "a.b");
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(position) = text.parse::<Position>() {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        if let Ok(relation) = text.parse::<Relation>() {
            assert_eq!(relation.to_string().parse(), Ok(relation));
        }
        if let Ok(checkpoint) = Checkpoint::from_json(text) {
            assert_eq!(Checkpoint::from_json(&checkpoint.to_json()).ok(), Some(checkpoint));
        }
    }
});
