//! Dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use pgcdc::test::{insert, things, Script};
use pgcdc::{
    pb, single, Assembler, DeadLetter, DeadLetterDir, DeadLetterSink, Frames, Inflater, Limits,
    Lsn, Reason, SchemaCache,
};
use prost::Message;

use crate::common::{golden, to_json};
use crate::live::{available, next};
use crate::look::tables;
use crate::tail::TAIL;

fn folder(name: &str) -> PathBuf {
    // in memory where that can be, as each file is synced
    let memory = PathBuf::from("/dev/shm");
    let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let path = root.join(format!("pgcdc-letters-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    path
}

/// Names and contents of what is in a folder.
fn files(path: &Path, end: &str) -> BTreeMap<String, Vec<u8>> {
    let all = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    all.filter(|path| name(path).ends_with(end))
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect()
}

fn transaction(part: u32, commit: u64) -> pb::Transaction {
    pb::Transaction {
        xid: 700,
        first_lsn: 0x1000,
        commit_lsn: commit,
        commit_time: if commit > 0 { 1_700_000_000_000_000 } else { 0 },
        metadata: match part {
            0 if commit == 0 => Default::default(),
            _ => [("who".to_owned(), "ada".to_owned())].into(),
        },
        ..pb::Transaction::default()
    }
}

/// A transaction of `n` events in four parts; `commit`: where each part says that it
/// commits.
fn parts(n: usize, commit: [u64; 4]) -> Vec<pb::Batch> {
    (0..4)
        .map(|part| {
            let events = (0..n / 4).map(|i| {
                let id = part * n / 4 + i;
                pb::ChangeEvent { lsn_offset: id as u64 * 8, ..insert(id as i32, "x") }
            });
            pb::Batch {
                transaction: Some(transaction(part as u32, commit[part])),
                part: part as u32,
                outcome: match part {
                    3 => pb::Outcome::Committed as i32,
                    _ => pb::Outcome::Open as i32,
                },
                end_lsn: if part == 3 { 0x200_0000 } else { 0 },
                event_count: if part == 3 { n as u64 } else { 0 },
                schemas: if part == 0 { vec![things()] } else { Vec::new() },
                events: events.collect(),
                source: (part == 0).then(|| pb::Source {
                    system_identifier: 7,
                    slot: "test".into(),
                    ..pb::Source::default()
                }),
                ..pb::Batch::default()
            }
        })
        .collect()
}

fn script(batches: &[pb::Batch]) -> Script {
    batches.iter().fold(Script::new(), |script, batch| script.batch(&batch.encode_to_vec()))
}

fn event_lines(bytes: &[u8]) -> Vec<String> {
    let all = to_json(bytes).unwrap();
    all.lines().filter(|line| line.contains("\"position\"")).map(str::to_owned).collect()
}

#[tokio::test]
async fn letters_each_event() {
    let dir = folder("each");
    let batches = parts(10_000, [0x100_0000; 4]);
    let wanted: BTreeSet<String> = {
        let bytes: Vec<u8> =
            batches.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        event_lines(&bytes).into_iter().collect()
    };
    let config = Script::config().dead_letters(DeadLetterDir::new(&dir));
    let mut stream = script(&batches).start_with(config);
    while let Some(delivery) = stream.next_batch().await {
        let delivery = delivery.unwrap();
        delivery.reject_all("not today").unwrap();
        stream.ack(&delivery);
    }
    assert_eq!(stream.acknowledged(), Lsn(0x200_0000));
    let letters = files(&dir, ".pb");
    assert_eq!(letters.len(), 10_000);
    let found: BTreeSet<String> = letters
        .values()
        .map(|letter| {
            let mut lines = event_lines(letter);
            assert_eq!(lines.len(), 1);
            lines.pop().unwrap()
        })
        .collect();
    assert!(found == wanted);
    assert_eq!(files(&dir, ".json").len(), 10_000);
    std::fs::remove_dir_all(dir).unwrap();
}

struct Failing(AtomicUsize);

impl DeadLetterSink for Failing {
    fn put(&self, _: &DeadLetter<'_>) -> io::Result<()> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            2 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn letters_before_ack() {
    let sink = Arc::new(Failing(AtomicUsize::new(0)));
    for again in [false, true] {
        let config = Script::config().dead_letters(sink.clone());
        let mut stream = Script::new()
            .transaction(&[insert(1, "a"), insert(2, "b"), insert(3, "c")])
            .start_with(config);
        let delivery = stream.next_batch().await.unwrap().unwrap();
        let rejected = delivery.reject_all("no");
        assert_eq!(rejected.is_ok(), again);
        if rejected.is_ok() {
            stream.ack(&delivery);
        }
        assert_eq!(stream.acknowledged() > Lsn::ZERO, again);
    }
}

#[test]
fn letters_shared_folder() {
    let dir = folder("shared");
    let consumers: Vec<_> = [("a", 7), ("b", 7), ("a", 8)]
        .into_iter()
        .map(|(slot, system)| {
            let sink = DeadLetterDir::new(&dir);
            std::thread::spawn(move || {
                let batch = pb::Batch {
                    source: Some(pb::Source { system_identifier: system, ..Default::default() }),
                    ..Default::default()
                }
                .encode_to_vec();
                for i in 1..100 {
                    let mut letter = DeadLetter::new(Reason::Handler, "no", slot, &batch);
                    letter.position = Some(format!("0/{i:X}/0/1/0").parse().unwrap());
                    sink.put(&letter).unwrap();
                }
            })
        })
        .collect();
    for consumer in consumers {
        consumer.join().unwrap();
    }
    assert_eq!(files(&dir, ".pb").len(), 3 * 99);
    assert_eq!(files(&dir, ".json").len(), 3 * 99);
    assert_eq!(files(&dir, "").len(), 6 * 99, "nothing else is left");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn letters_again() {
    let dir = folder("again");
    let sink = DeadLetterDir::new(&dir);
    for _ in 0..2 {
        sink.put(&DeadLetter::new(Reason::Damage, "no", "s", b"\x01")).unwrap();
    }
    let names: Vec<_> = files(&dir, "").into_keys().collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("s-0-0-0-0-0-damage-"), "{names:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn letters_name() {
    let mut letter = DeadLetter::new(Reason::Handler, "no", "s", &[1, 2]);
    letter.position = Some("16/B374D848/16/B374D700/3".parse().unwrap());
    assert_eq!(letter.name(), "s-16-B374D848-16-B374D700-3-handler-a12871fee210fb86");
    letter.slot = "A/é";
    assert!(letter.name().starts_with("%41%2F%C3%A9-16-"), "{}", letter.name());
}

#[tokio::test]
async fn letters_streamed() {
    let dir = folder("streamed");
    // the commit is known at the end only
    let batches = parts(8, [0, 0, 0, 0x100_0000]);
    let config = Script::config().dead_letters(DeadLetterDir::new(&dir));
    let mut stream = script(&batches).start_with(config.clone());
    while let Some(txn) = stream.next().await {
        let txn = txn.unwrap();
        txn.reject_all("no").unwrap();
        stream.ack(&txn);
    }
    // the same letters where the program puts the batches together
    let names = files(&dir, ".pb");
    let (mut stream, mut assembler) = (script(&batches).start_with(config), Assembler::default());
    while let Some(delivery) = stream.next_batch().await {
        let delivery = delivery.unwrap();
        if let Some(whole) = assembler.push(&delivery.batch().unwrap()).unwrap() {
            delivery.reject_txn(&whole, "no").unwrap();
        }
    }
    assert_eq!(files(&dir, ".pb"), names);
    let letters = files(&dir, ".pb");
    assert_eq!(letters.len(), 8);
    for (name, letter) in letters {
        assert!(name.starts_with("test-0-1000000-0-10"), "{name}");
        let batch = pb::Batch::decode_length_delimited(&letter[..]).unwrap();
        assert_eq!(batch.transaction, Some(transaction(3, 0x100_0000)));
        assert_eq!(batch.source.unwrap().system_identifier, 7);
        assert_eq!((batch.events.len(), batch.schemas.len()), (1, 1));
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn letters_read() {
    if !available() {
        return;
    }
    let mut db = tables("letters").await;
    db.run("INSERT INTO orders SELECT generate_series(1, 20)").await;
    let folder = db.dir.join("letters");
    std::fs::create_dir(&folder).unwrap();
    let config = db.config().option("batch_bytes", "1kB");
    let mut stream = config.dead_letters(DeadLetterDir::new(&folder)).start().await.unwrap();
    let mut wanted = BTreeSet::new();
    loop {
        let delivery = next(&mut stream).await.unwrap();
        wanted.extend(
            crate::live::lines(&delivery).into_iter().filter(|l| l.contains("\"position\"")),
        );
        delivery.reject_all("no").unwrap();
        if delivery.is_end() {
            break;
        }
    }
    stream.close().await.unwrap();
    assert_eq!(wanted.len(), 20);
    let (mut by_tail, mut by_server) = (BTreeSet::new(), BTreeSet::new());
    for (name, bytes) in files(&folder, ".pb") {
        let path = folder.join(name);
        let out = Command::new(TAIL).args(["--json", "--file"]).arg(path).output().unwrap();
        assert!(out.status.success());
        by_tail.insert(String::from_utf8(out.stdout).unwrap().trim_end().to_owned());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let sql = "SELECT cdc.decode_json(decode($1, 'hex'))";
        let rows = db.sql.query_with(sql, &[Some(&hex)]).await.unwrap();
        by_server.extend(rows.into_iter().map(|mut row| row.pop().unwrap().unwrap()));
    }
    assert!(by_tail == wanted);
    assert!(by_server == wanted);
    db.drop().await;
}

/// Every event of a file cut out of it, as the batches of one connection.
fn cuts(bytes: &[u8]) -> Vec<u8> {
    let mut inflater = Inflater::new(Limits::DEFAULT);
    let mut schemas = SchemaCache::new(Limits::DEFAULT);
    let (mut out, mut source) = (Vec::new(), None);
    for frame in Frames::new(bytes, Limits::DEFAULT) {
        let batch = inflater.parse(frame.unwrap()).unwrap();
        schemas.add_all(&batch).unwrap();
        if batch.source.is_some() {
            let whole = pgcdc::Fields::new(batch.bytes()).flatten().find(|f| f.number == 9);
            let pgcdc::Wire::Bytes(bytes) = whole.unwrap().value else { panic!("no message") };
            source = Some(bytes.to_vec());
        }
        for event in batch.events() {
            let event = event.unwrap();
            let schema = (event.schema != 0).then(|| &**schemas.get(event.schema).unwrap());
            let piece = single(&batch, &event, schema, source.as_deref()).unwrap();
            prost::encode_length_delimiter(piece.len(), &mut out).unwrap();
            out.extend_from_slice(&piece);
        }
    }
    out
}

#[test]
fn cuts_golden() {
    let directory = std::env::var_os("CUTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cuts"),
        PathBuf::from,
    );
    if !directory.exists() {
        eprintln!("skipped: there are no cuts in test/golden");
        return;
    }
    let mut inputs: Vec<PathBuf> = golden();
    let all = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    inputs.extend(all.filter(|path| path.extension().is_some_and(|end| end == "in")));
    let mut compared = 0;
    for input in inputs {
        let name = Path::new(input.file_stem().unwrap()).with_extension("pb");
        let Ok(wanted) = std::fs::read(directory.join(&name)) else { continue };
        assert!(cuts(&std::fs::read(&input).unwrap()) == wanted, "{}", input.display());
        compared += 1;
    }
    assert!(compared >= 16, "{compared} files of cuts");
}
