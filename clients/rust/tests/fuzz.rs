//! Damaged copies of the golden files, the same ones each time, or for as long
//! as FUZZ_SECONDS says: an error or lines, never a panic. fuzz/ has targets
//! that are guided by coverage, and begin with the seeds that are written here.

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{compress, compress_all, damage, golden, to_json, Random, LZ4, ZSTD};
use pgcdc::{
    fingerprint, overlay, pb, Array, Batch, Frames, Inflater, Limits, OwnedSnapshot, Row, Table,
    Type,
};
use prost::Message;

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
    for element in [Type::Int32, Type::Double, Type::Text, Type::Json, Type::Bytes] {
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

/// Parts of the golden files, each where fuzz/run.sh looks for it.
#[test]
fn seeds() {
    let kept = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from);
    let scratch = std::env::temp_dir().join(format!("pgcdc-seeds-{}", std::process::id()));
    let corpus = kept.as_ref().unwrap_or(&scratch);
    let put = |target: &str, seed: &[u8]| {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{:016x}", fingerprint(seed))), seed).unwrap();
    };
    let mut inflater = Inflater::new(Limits::DEFAULT);
    for path in golden() {
        let bytes = std::fs::read(path).unwrap();
        put("batch", &bytes);
        put("batch", &compress_all(&bytes, LZ4));
        put("batch", &compress_all(&bytes, ZSTD));
        for policy in 0..3 {
            put("stream", &[&[policy][..], &bytes].concat());
        }
        for frame in Frames::new(&bytes, Limits::DEFAULT) {
            let batch = inflater.parse(frame.unwrap()).unwrap();
            put("event", batch.bytes());
            for codec in [LZ4, ZSTD] {
                let outer = pb::Batch::decode(&compress(batch.bytes(), codec)[..]).unwrap();
                let size = (outer.raw_size as u32).to_le_bytes();
                let head = [codec as u8, size[0], size[1], size[2]];
                put("compressed", &[&head[..], &outer.compressed].concat());
            }
            for version in batch.schemas() {
                put("table", version.unwrap().table);
            }
            for event in batch.events() {
                let event = event.unwrap();
                for row in [event.key, event.old, event.new, event.new_key] {
                    put("row", row.bytes());
                }
            }
        }
    }
    put("table", br#"{"system_identifier":1,"timeline":1,"database":"d","slot":"s"}"#);
    put("table", b"0/16B3748/0/16B3700/1");
    put("table", br#""a.b".c"#);
    for target in ["batch", "compressed", "event", "stream", "table", "row"] {
        let seeds = std::fs::read_dir(corpus.join(target)).unwrap().count();
        assert!(seeds > 20, "{seeds} for {target}");
    }
    if kept.is_none() {
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
