//! Damaged copies of the golden files, the same ones each time, or for as long
//! as FUZZ_SECONDS says: an error or lines, never a panic. fuzz/ has targets
//! for long campaigns that are guided by coverage.

mod common;

use std::time::{Duration, Instant};

use common::{compress_all, damage, golden, to_json, Random, LZ4, ZSTD};
use pgcdc::{overlay, Array, Batch, Limits, OwnedSnapshot, Row, Table, Type};

/// Everything that reads bytes.
fn read(bytes: &[u8]) -> bool {
    let fine = to_json(bytes).is_ok();
    if let Ok(batch) = Batch::parse(bytes) {
        for event in batch.events().flatten() {
            let _ = event.nulls().chain(event.unavailable()).count();
            let _ = overlay(&mut Vec::new(), event.old, event.new, event.nulls());
        }
        let _ = batch.schemas().count() + batch.rolled_back_xids().count();
    }
    let _ = Table::parse(bytes, &Limits::DEFAULT);
    let _ = OwnedSnapshot::new(bytes).map(|snapshot| snapshot.sees(7));
    for element in [Type::Int32, Type::Double, Type::Text, Type::Bytes] {
        if let Ok(array) = Array::parse(element, bytes) {
            let _ = array.iter().count();
        }
    }
    let _ = overlay(&mut Vec::new(), Row::new(bytes), Row::new(&[]), []);
    fine
}

#[test]
fn damaged_copies() {
    let mut seeds: Vec<_> = golden().iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (i, codec) in [LZ4, ZSTD].into_iter().cycle().take(seeds.len()).enumerate() {
        seeds.push(compress_all(&seeds[i], codec));
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut runs, mut refused) = (0u64, 0u64);
    while runs < 3000 || Instant::now() < until {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            damage(&mut random, &mut bytes);
        }
        runs += 1;
        refused += u64::from(!read(&bytes));
    }
    println!("{runs} damaged streams, {refused} refused");
    assert!(refused > runs / 10);
    assert!(seeds.iter().all(|seed| read(seed)));
}
