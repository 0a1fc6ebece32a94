//! What is inside of compressed batches, by both codecs, and whether what is compressed
//! comes back. The first byte is the codec, the next three the size that is announced.
#![no_main]

use bounded::LIMITS;
use libfuzzer_sys::fuzz_target;
use pgcdc::{pb, Batch, Damage, Inflater};
use prost::Message;

fn outer(codec: i32, compressed: Vec<u8>, raw_size: u64) -> Vec<u8> {
    pb::Batch { codec, compressed, raw_size, ..Default::default() }.encode_to_vec()
}

fuzz_target!(|data: &[u8]| {
    let mut inflater = Inflater::new(LIMITS);
    if let [codec, a, b, c, rest @ ..] = data {
        let size = u64::from(u32::from_le_bytes([*a, *b, *c, 0]));
        let batch = outer(i32::from(codec % 4), rest.to_vec(), size);
        if let Ok(inside) = inflater.parse(&batch) {
            assert_eq!(inside.bytes().len() as u64, size);
        }
    }
    let alone = Batch::parse(data).map(|batch| batch.bytes().to_vec());
    let size = data.len() as u64;
    for batch in [
        outer(1, lz4_flex::block::compress(data), size),
        outer(2, zstd::bulk::compress(data, 1).unwrap(), size),
    ] {
        match (inflater.parse(&batch), &alone) {
            (Ok(inside), Ok(alone)) => assert_eq!(inside.bytes(), alone),
            (Err(Damage::Malformed(_)), Err(Damage::Compressed)) => (),
            (Err(_), Ok(_)) => assert!(data.is_empty()),
            (Err(damage), Err(alone)) => assert!(damage == *alone || data.is_empty()),
            (Ok(_), Err(damage)) => panic!("{damage}"),
        }
    }
});
