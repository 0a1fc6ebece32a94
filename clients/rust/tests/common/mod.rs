//! Shared by the tests.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use pgcdc::{json, pb, Damage, Frames, Inflater, Limits, SchemaCache};
use prost::Message;

/// The golden files, sorted.
pub fn golden() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pb"))
        .collect();
    files.sort();
    assert!(files.len() >= 16, "{} golden files", files.len());
    files
}

/// Those of former releases, which are in the repository alone.
pub fn released() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/release");
    let releases = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = releases
        .flat_map(|release| std::fs::read_dir(release.join("golden")).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pb"))
        .collect();
    files.sort();
    files
}

/// The JSON form of a stream.
pub fn to_json(bytes: &[u8]) -> Result<String, Damage> {
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    let mut inflater = Inflater::new(Limits::DEFAULT);
    let mut out = String::new();
    for frame in Frames::new(bytes, Limits::DEFAULT) {
        let batch = inflater.parse(frame?)?;
        schemas.add_all(&batch)?;
        json::write_batch(&mut out, &batch, &schemas)?;
    }
    Ok(out)
}

/// How `Batch.codec` numbers the codecs.
pub const LZ4: i32 = pb::Codec::Lz4 as i32;
pub const ZSTD: i32 = pb::Codec::Zstd as i32;

/// A serialized batch with another one, compressed, in it.
pub fn compress(inner: &[u8], codec: i32) -> Vec<u8> {
    let compressed = match codec {
        LZ4 => lz4_flex::block::compress(inner),
        _ => zstd::bulk::compress(inner, 1).unwrap(),
    };
    let raw_size = inner.len() as u64;
    pb::Batch { codec, compressed, raw_size, ..pb::Batch::default() }.encode_to_vec()
}

/// The same stream with all batches compressed.
pub fn compress_all(bytes: &[u8], codec: i32) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in Frames::new(bytes, Limits::DEFAULT) {
        let frame = frame.unwrap();
        // a compressed batch begins with its codec
        let batch =
            if frame.first() == Some(&0x50) { frame.to_vec() } else { compress(frame, codec) };
        prost::encode_length_delimiter(batch.len(), &mut out).unwrap();
        out.extend_from_slice(&batch);
    }
    out
}

/// A small generator of pseudo-random numbers, so that a seed says it all.
pub struct Random(pub u64);

impl Random {
    /// Below `n`, which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// One mutation of bytes.
pub fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let many = (1 + random.below(8)).min(bytes.len() - at);
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => bytes[at] = random.below(256) as u8,
        2 => bytes[at] ^= 1 << random.below(8),
        3 => drop(bytes.drain(at..at + many)),
        4 => {
            let again = bytes[at..at + many].to_vec();
            bytes.splice(at..at, again);
        }
        _ => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
    }
}
