//! How fast batches are read: `cargo bench`, or `cargo bench -- FILE` with what
//! pg_recvlogical wrote. Prints the best of several rounds, per event.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pgcdc::{json, pb, Batch, Damage, Frames, Inflater, Limits, SchemaCache};
use prost::Message;

/// 100000 inserts of ten columns, in batches of 64 kB.
fn synthetic() -> Vec<u8> {
    use pb::Type::*;
    let types = [Int32, Int64, Text, Numeric, Timestamptz, Bool, Double, Uuid, Text, Int32];
    let columns = types.iter().zip(1..).map(|(r#type, number)| pb::Column {
        number,
        name: format!("column_{number}"),
        r#type: *r#type as i32,
        pg_type: "pg_catalog.x".into(),
        key: number == 1,
        ..Default::default()
    });
    let table = pb::Table {
        schema: "public".into(),
        name: "wide".into(),
        columns: columns.collect(),
        ..Default::default()
    }
    .encode_to_vec();
    let fingerprint = pgcdc::fingerprint(&table);
    let schema = pb::SchemaVersion { fingerprint, table, ..Default::default() };
    let mut new = vec![0x10, 0x80, 0x88, 0x7a, 0x1a, 20];
    new.extend([b'x'; 20]);
    new.extend(*b"\x22\x07123.456\x29\x01\x02\x03\x04\x05\x06\x00\x00\x30\x01\x39\x00\x00\x00\x00\x00\x00\xf8\x3f\x42\x10");
    new.extend([7; 16]);
    new.extend(*b"\x4a\x05hello\x50\x06");
    let mut out = Vec::new();
    for part in 0..200u32 {
        let events = (0..500u32).map(|i| pb::ChangeEvent {
            op: pb::Op::Insert as i32,
            lsn_offset: u64::from(part * 500 + i) * 120,
            schema: schema.fingerprint,
            key: vec![0x08, 0xac, 0x02],
            new: new.clone(),
            ..Default::default()
        });
        let batch = pb::Batch {
            transaction: Some(pb::Transaction {
                xid: 7,
                first_lsn: 1 << 30,
                commit_lsn: 1 << 31,
                commit_time: 1_700_000_000_000_000,
                ..Default::default()
            }),
            part,
            schemas: if part == 0 { vec![schema.clone()] } else { Vec::new() },
            events: events.collect(),
            ..Default::default()
        };
        out.extend(batch.encode_length_delimited_to_vec());
    }
    out
}

fn each(bytes: &[u8], mut f: impl FnMut(&Batch<'_>) -> Result<(), Damage>) -> Result<(), Damage> {
    let mut inflater = Inflater::new(Limits::DEFAULT);
    Frames::new(bytes, Limits::DEFAULT).try_for_each(|frame| f(&inflater.parse(frame?)?))
}

/// The same stream, compressed as a server does it.
fn compressed(bytes: &[u8], codec: pb::Codec) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in Frames::new(bytes, Limits::DEFAULT).flatten() {
        let compressed = match codec {
            pb::Codec::Lz4 => lz4_flex::block::compress(frame),
            _ => zstd::bulk::compress(frame, 1).unwrap_or_default(),
        };
        let raw_size = frame.len() as u64;
        let batch = pb::Batch { codec: codec as i32, compressed, raw_size, ..Default::default() };
        out.extend(batch.encode_length_delimited_to_vec());
    }
    out
}

/// Of several runs the best.
fn report(name: &str, events: u64, bytes: usize, f: &mut dyn FnMut() -> u64) {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        black_box(f());
        best = best.min(start.elapsed());
    }
    let ns = best.as_nanos() as f64 / events.max(1) as f64;
    let rate = bytes as f64 / best.as_secs_f64() / 1e6;
    println!("{name:34} {ns:8.1} ns/event {rate:8.0} MB/s {:10.0} events/s", 1e9 / ns);
}

type Look<'f> = &'f dyn Fn(&pgcdc::Event<'_>) -> Result<u64, Damage>;

/// What is found in all events, added up.
fn walk(bytes: &[u8], f: Look<'_>) -> u64 {
    let mut sum = 0u64;
    each(bytes, |batch| {
        for event in batch.events() {
            sum = sum.wrapping_add(f(&event?)?);
        }
        Ok(())
    })
    .map_or(0, |()| sum)
}

fn main() -> Result<(), Damage> {
    let file = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let bytes = match &file {
        Some(name) => std::fs::read(name).unwrap_or_else(|error| panic!("{name}: {error}")),
        None => synthetic(),
    };
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    let mut events = 0;
    each(&bytes, |batch| {
        events += batch.event_len();
        schemas.add_all(batch)
    })?;
    println!("{events} events, {} bytes", bytes.len());

    let report = |name: &str, f: &mut dyn FnMut() -> u64| report(name, events, bytes.len(), f);
    let walk = |f: Look<'_>| walk(&bytes, f);
    report("events", &mut || walk(&|event| Ok(event.position.lsn.0)));
    for codec in [pb::Codec::Lz4, pb::Codec::Zstd] {
        let smaller = compressed(&bytes, codec);
        let share = 100.0 * smaller.len() as f64 / bytes.len() as f64;
        let mut sum = 0u64;
        report(&format!("events, {}, {share:.0} %", codec.as_str_name()), &mut || {
            let all = each(&smaller, |batch| {
                for event in batch.events() {
                    sum = sum.wrapping_add(event?.position.lsn.0);
                }
                Ok(())
            });
            all.map_or(0, |()| sum)
        });
    }
    report("events, fields of rows", &mut || {
        walk(&|event| {
            let fields = event.key.fields().chain(event.new.fields());
            fields.map(|field| Ok(u64::from(field?.number))).sum()
        })
    });
    report("events, values by column", &mut || {
        walk(&|event| {
            if event.schema == 0 {
                return Ok(0);
            }
            let table = &schemas.get(event.schema)?.table;
            let values = event.key.values(table).chain(event.new.values(table));
            values.map(|value| Ok(u64::from(value?.0.number))).sum()
        })
    });
    report("JSON", &mut || {
        let mut out = String::new();
        let result = each(&bytes, |batch| {
            out.clear();
            json::write_batch(&mut out, batch, &schemas)
        });
        result.map_or(0, |()| out.len() as u64)
    });
    report("prost, whole batches", &mut || {
        let frames = Frames::new(&bytes, Limits::DEFAULT).flatten();
        frames
            .map(|frame| pb::Batch::decode(frame).map_or(0, |batch| batch.events.len() as u64))
            .sum()
    });
    Ok(())
}
