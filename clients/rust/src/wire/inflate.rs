//! Compressed batches: sizes are checked before there is memory for them.

use bytes::{Bytes, BytesMut};

use super::field::Fields;
use crate::base::damage::{malformed, Damage};
use crate::base::limits::Limits;

/// A buffer beyond this size is given back after use.
const KEPT: usize = 4 << 20;

/// Codecs, as `Batch.codec` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Lz4,
    Zstd,
}

impl Codec {
    fn new(number: u32) -> Result<Self, Damage> {
        match number {
            1 => Ok(Codec::Lz4),
            2 => Ok(Codec::Zstd),
            0 => malformed("compressed batch without a codec"),
            _ => Err(Damage::Unsupported("codec of a compressed batch")),
        }
    }

    /// The most that so many bytes can become: a byte of LZ4 repeats 255 at most, and
    /// a block of Zstandard has 4 bytes or more, and 128 KiB at most.
    fn bound(self, compressed: usize) -> u64 {
        let compressed = compressed as u64;
        match self {
            Codec::Lz4 => compressed.saturating_mul(255),
            Codec::Zstd => (compressed / 4).saturating_mul(128 << 10),
        }
    }
}

/// What stands in a compressed batch.
struct Compressed<'a> {
    codec: Codec,
    bytes: &'a [u8],
    raw_size: usize,
}

impl<'a> Compressed<'a> {
    fn parse(batch: &'a [u8], limits: &Limits) -> Result<Self, Damage> {
        let (mut codec, mut bytes, mut raw_size) = (0, &[][..], 0);
        for field in Fields::new(batch) {
            let field = field?;
            match field.number {
                10 => codec = field.value.uint32()?,
                11 => bytes = field.value.bytes()?,
                12 => raw_size = field.value.varint()?,
                1..=9 | 13 => return malformed("compressed batch has more beside it"),
                _ => (),
            }
        }
        let codec = Codec::new(codec)?;
        if raw_size > limits.max_batch_bytes {
            return Err(Damage::Limit("bytes of a batch", limits.max_batch_bytes));
        }
        if raw_size == 0 || raw_size > codec.bound(bytes.len()) {
            return malformed("compressed batch cannot have the size that it says");
        }
        let raw_size = usize::try_from(raw_size)
            .map_err(|_| Damage::Limit("bytes of a batch", usize::MAX as u64))?;
        Ok(Compressed { codec, bytes, raw_size })
    }
}

#[cfg(feature = "lz4")]
fn lz4(bytes: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
    lz4_flex::block::decompress_into(bytes, out)
        .map_err(|_| Damage::Malformed("LZ4 data is damaged"))
}

#[cfg(not(feature = "lz4"))]
fn lz4(_: &[u8], _: &mut [u8]) -> Result<usize, Damage> {
    Err(Damage::Unsupported("LZ4, for lack of the feature lz4"))
}

/// Its state is made when it is needed first. It has no window: what is inflated goes
/// to its place in one pass.
#[derive(Default)]
struct Zstd(#[cfg(feature = "zstd")] Option<zstd::bulk::Decompressor<'static>>);

impl Zstd {
    #[cfg(feature = "zstd")]
    fn inflate(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
        const DAMAGED: Damage = Damage::Malformed("Zstandard data is damaged");
        match zstd::zstd_safe::find_frame_compressed_size(bytes) {
            Ok(len) if len == bytes.len() => (),
            Ok(_) => return malformed("compressed batch has more than one frame"),
            Err(_) => return Err(DAMAGED),
        }
        let state = self.0.get_or_insert_with(zstd::bulk::Decompressor::default);
        state.decompress_to_buffer(bytes, out).map_err(|_| DAMAGED)
    }

    #[cfg(not(feature = "zstd"))]
    fn inflate(&mut self, _: &[u8], _: &mut [u8]) -> Result<usize, Damage> {
        Err(Damage::Unsupported("Zstandard, for lack of the feature zstd"))
    }
}

/// Reads batches, compressed ones too: for whoever has batches from elsewhere than a
/// [`Stream`](crate::Stream), which does this by itself. One is enough for all batches
/// of a stream: its memory is used again.
///
/// ```
/// use pgcdc::{Frames, Inflater, Limits};
///
/// fn count(file: &[u8]) -> Result<u64, pgcdc::Damage> {
///     let mut inflater = Inflater::new(Limits::DEFAULT);
///     let mut events = 0;
///     for frame in Frames::new(file, Limits::DEFAULT) {
///         events += inflater.parse(frame?)?.event_len();
///     }
///     Ok(events)
/// }
/// # assert_eq!(count(&[]), Ok(0));
/// ```
#[derive(Default)]
pub struct Inflater {
    limits: Limits,
    pub(crate) buffer: BytesMut,
    zstd: Zstd,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Inflater {
    /// With `limits` on the size of a batch: they hold for what is inflated, and are
    /// checked before there is memory for it.
    pub fn new(limits: Limits) -> Self {
        Inflater { limits, ..Inflater::default() }
    }

    /// The batch that is inside a compressed one, for longer than until the next.
    pub(crate) fn inflate(&mut self, bytes: &[u8]) -> Result<Bytes, Damage> {
        self.fill(bytes)?;
        let inside = match self.buffer.len() > KEPT {
            true => std::mem::take(&mut self.buffer),
            false => self.buffer.split(),
        };
        Ok(inside.freeze())
    }

    pub(crate) fn fill(&mut self, batch: &[u8]) -> Result<(), Damage> {
        let compressed = Compressed::parse(batch, &self.limits)?;
        if self.buffer.capacity() > KEPT && compressed.raw_size <= KEPT {
            self.buffer = BytesMut::new();
        }
        self.buffer.clear();
        self.buffer.resize(compressed.raw_size, 0);
        let len = match compressed.codec {
            Codec::Lz4 => lz4(compressed.bytes, &mut self.buffer),
            Codec::Zstd => self.zstd.inflate(compressed.bytes, &mut self.buffer),
        };
        match len {
            Ok(len) if len == compressed.raw_size => Ok(()),
            Ok(_) => malformed("compressed batch does not have the size that it says"),
            Err(damage) => Err(damage),
        }
    }
}

#[cfg(all(test, feature = "lz4", feature = "zstd"))]
mod tests {
    use super::*;
    use crate::model::batch::Batch;
    use crate::wire::field::{put_bytes, put_varint};

    const LIMITS: Limits = Limits { max_batch_bytes: 1 << 20, ..Limits::DEFAULT };

    fn outer(codec: u8, compressed: &[u8], raw_size: u64) -> Vec<u8> {
        let mut out = vec![0x50, codec];
        put_bytes(&mut out, 11, compressed);
        out.push(0x60);
        put_varint(&mut out, raw_size);
        out
    }

    /// With both codecs.
    fn both(inner: &[u8], raw_size: u64) -> [Vec<u8>; 2] {
        let zstd = zstd::bulk::compress(inner, 3).unwrap();
        [outer(1, &lz4_flex::block::compress(inner), raw_size), outer(2, &zstd, raw_size)]
    }

    /// A batch with so many schemas, which are nothing.
    fn inner(n: usize) -> Vec<u8> {
        [0x32, 0].repeat(n)
    }

    fn parse(bytes: &[u8]) -> Result<Vec<u8>, Damage> {
        let mut inflater = Inflater::new(LIMITS);
        let kept = inflater.inflate(bytes);
        let parsed = inflater.parse(bytes).map(|batch| batch.bytes().to_vec());
        if let Ok(parsed) = &parsed {
            assert_eq!(kept.as_deref(), Ok(&parsed[..]));
        }
        parsed
    }

    #[test]
    fn what_is_inside() {
        let inner = inner(5000);
        for batch in both(&inner, 10_000) {
            assert!(batch.len() < 200);
            assert_eq!(parse(&batch).as_ref(), Ok(&inner));
        }
        assert_eq!(Batch::parse(&both(&inner, 10_000)[0]).map(drop), Err(Damage::Compressed));
    }

    #[test]
    fn sizes_that_are_wrong() {
        for size in [0, 1, 9_999, 10_001, 20_000, u64::MAX] {
            for batch in both(&inner(5000), size) {
                assert!(parse(&batch).is_err(), "{size}");
            }
        }
        for batch in both(&inner(1 << 20), 2 << 20) {
            assert_eq!(parse(&batch), Err(Damage::Limit("bytes of a batch", 1 << 20)));
        }
    }

    /// A size that is allowed needs bytes enough to come from.
    #[test]
    fn no_memory_for_what_can_not_be() {
        for (codec, compressed, most) in [(1, 100, 25_500u64), (2, 16, 4 << 17)] {
            let zeros = vec![0; compressed];
            let refused = malformed("compressed batch cannot have the size that it says");
            assert_eq!(parse(&outer(codec, &zeros, most + 1)), refused);
            assert_ne!(parse(&outer(codec, &zeros, most)), refused);
        }
    }

    #[test]
    fn inside_of_one_another() {
        for nested in both(&inner(5000), 10_000) {
            for batch in both(&nested, nested.len() as u64) {
                assert_eq!(parse(&batch), malformed("compressed batch inside of one"));
            }
        }
    }

    #[test]
    fn damaged_ones() {
        let [lz4, zstd] = both(&inner(50), 100);
        for batch in [&lz4, &zstd] {
            for cut in 0..batch.len() {
                assert!(cut == 0 || parse(&batch[..cut]).is_err(), "{cut}");
            }
            let beside = [&batch[..], &[0x10, 1]].concat();
            assert_eq!(parse(&beside), malformed("compressed batch has more beside it"));
        }
        for codec in [0, 3] {
            let batch = [&[0x50, codec][..], &lz4[2..]].concat();
            assert!(parse(&batch).is_err());
        }
        let frame = zstd::bulk::compress(&inner(50), 3).unwrap();
        let twice = outer(2, &[&frame[..], &frame].concat(), 200);
        assert_eq!(parse(&twice), malformed("compressed batch has more than one frame"));
        assert!(parse(&[0x60, 5]).is_err() && parse(&[0x50, 1]).is_err());
    }

    #[test]
    fn memory_is_given_back() {
        let limits = Limits { max_batch_bytes: 8 << 20, ..Limits::DEFAULT };
        let mut inflater = Inflater::new(limits);
        let small = &both(&inner(5000), 10_000)[0];
        let large = &both(&inner(3 << 20), 6 << 20)[1];
        inflater.parse(large).unwrap();
        inflater.parse(small).unwrap();
        assert!(inflater.buffer.capacity() < KEPT);
        assert_eq!(inflater.inflate(large).unwrap().len(), 6 << 20);
        assert_eq!(inflater.buffer.capacity(), 0);
    }
}
