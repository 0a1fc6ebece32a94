//! The messages of test/golden/relay, read through the module `topic`: to the JSON beside them,
//! each alone and all with one reader.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use common::{damage, Random};
use pgcdc::metrics::{Counter, Gauge, Histogram, Metrics};
use pgcdc::topic::{Applier, Kind, Message, Progress, Reader, Record};
use pgcdc::{json, Batch, MemoryState, SchemaCache};

/// A line of the files.
struct Line {
    topic: String,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
}

fn unhex(value: &serde_json::Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    Some(digits.map(byte).collect())
}

impl Line {
    fn new(line: &str) -> Self {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let headers = line["headers"].as_array().unwrap();
        Line {
            topic: text(&line["topic"]),
            partition: line["partition"].as_i64().unwrap() as i32,
            key: unhex(&line["key"]),
            value: unhex(&line["value"]),
            headers: headers.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        }
    }

    fn record(&self) -> Record<'_> {
        Record {
            topic: &self.topic,
            partition: self.partition,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: self.headers.iter().map(|(name, value)| (&**name, value.as_bytes())).collect(),
            ..Record::default()
        }
    }
}

fn golden() -> Vec<PathBuf> {
    let files = messages_of("tests/golden/relay");
    assert!(files.len() >= 10);
    files
}

/// Rows of loads, which come again and again.
fn loads() -> Vec<PathBuf> {
    let files = messages_of("tests/golden/relay/load");
    assert!(files.len() >= 2);
    files
}

fn messages_of(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_wanted = |path: &PathBuf| path.extension().is_some_and(|end| end == "messages");
    let mut files: Vec<_> = files.filter(is_wanted).collect();
    files.sort();
    files
}

fn lines(path: &Path) -> Vec<Line> {
    std::fs::read_to_string(path).unwrap().lines().map(Line::new).collect()
}

/// What a reader makes of a message: its event, and what is told of its transaction.
fn to_json(out: &mut String, message: &Message<'_>, schemas: &SchemaCache) {
    let value = message.value.unwrap_or_default();
    match (&message.kind, &message.event) {
        (kind, None) if *kind == Kind::Json || message.load_mark == "gone" && !value.is_empty() => {
            out.push_str(std::str::from_utf8(value).unwrap());
            out.push('\n');
        }
        (Kind::Tombstone | Kind::Marker | Kind::DeadLetter(_), None) => out.push('\n'),
        (Kind::Change | Kind::Marker | Kind::DeadLetter(_) | Kind::Reference, Some(event)) => {
            let batch = Batch::parse(value).unwrap();
            json::write_event(out, &batch, event, schemas).unwrap();
            out.push('\n');
            if batch.is_end() && batch.transaction.is_some() {
                json::write_outcome(out, &batch).unwrap();
                out.push('\n');
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn golden_messages() {
    let mut shared = Reader::default();
    let (mut n, mut letters) = (0, 0);
    for path in golden().into_iter().chain(loads()) {
        let wanted = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let (mut alone, mut together) = (String::new(), String::new());
        for line in lines(&path) {
            let record = line.record();
            let mut reader = Reader::default();
            let message = reader.read(&record).unwrap();
            to_json(&mut alone, &message, reader.schemas());
            let message = shared.read(&record).unwrap();
            to_json(&mut together, &message, shared.schemas());
            n += 1;
            letters += usize::from(matches!(message.kind, Kind::DeadLetter(_)));
            if let (Some(schema), Some(event)) = (&message.schema, &message.event) {
                assert_eq!(message.relation, schema.table.to_string());
                assert_eq!((message.version, event.op.name()), (schema.version, message.op));
            }
        }
        for (ours, wanted) in alone.lines().zip(wanted.lines()) {
            assert_eq!(ours, wanted, "{}", path.display());
        }
        assert_eq!(alone, wanted, "{}", path.display());
        assert_eq!(together, wanted, "{}", path.display());
    }
    println!(
        "{} files, {n} messages, the same JSON; {letters} dead letters",
        golden().len() + loads().len()
    );
    assert!(n > 250);
}

/// Each message counts once, wherever it is read again from, and the text is stored at any
/// message.
#[test]
fn each_counts_once() {
    for path in golden() {
        let lines = lines(&path);
        let places: std::collections::BTreeSet<_> =
            lines.iter().map(|line| line.record().place().into_owned()).collect();
        for place in &places {
            let here: Vec<_> =
                lines.iter().map(Line::record).filter(|r| r.place() == *place).collect();
            // markers always are new
            if here.iter().any(|record| record.header("cdc-op") == Some(b"BEGIN")) {
                continue;
            }
            for stop in 0..here.len() {
                for from in [0, stop / 2, stop] {
                    let (mut reader, mut progress) = (Reader::default(), Progress::default());
                    let mut take = |progress: &mut Progress, record: &Record<'_>| {
                        progress.take(&reader.read(record).unwrap()).unwrap()
                    };
                    for record in &here[..=stop] {
                        assert!(take(&mut progress, record));
                    }
                    let mut progress = Progress::from_json(&progress.to_json()).unwrap();
                    for (i, record) in here.iter().enumerate().skip(from) {
                        let is_new = take(&mut progress, record);
                        assert_eq!(is_new, i > stop, "{place}: {i} of {}", path.display());
                    }
                }
            }
        }
    }
}

/// Damaged keys, values and headers are errors, or read; never a panic.
#[test]
fn damaged_records() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut runs, mut refused) = (0, 0);
    for path in golden() {
        let lines = lines(&path);
        for _ in 0..10 {
            let mut reader = Reader::default();
            let mut applier = Applier::new(MemoryState::default()).unwrap().on_lost(|_| Ok(()));
            for line in &lines {
                let (mut value, mut headers) = (line.value.clone(), line.headers.clone());
                let at = random.below(headers.len() * 2);
                match (headers.get_mut(at), &mut value) {
                    (Some((_, text)), _) => {
                        let mut bytes = text.clone().into_bytes();
                        damage(&mut random, &mut bytes);
                        *text = String::from_utf8_lossy(&bytes).into_owned();
                    }
                    (None, Some(value)) => damage(&mut random, value),
                    _ => (),
                }
                let record = Record {
                    value: value.as_deref(),
                    headers: headers.iter().map(|(n, text)| (&**n, text.as_bytes())).collect(),
                    ..line.record()
                };
                let read = reader.read(&record).and_then(|message| applier.apply(&message));
                runs += 1;
                refused += usize::from(read.is_err());
            }
            applier.save().unwrap();
        }
    }
    println!("{runs} damaged records, {refused} refused");
    assert!(refused > runs / 10);
}

/// Keeps what is observed.
#[derive(Default)]
struct Delays(Mutex<Vec<f64>>);

impl Metrics for Delays {
    fn add(&self, _: Counter, _: u64) {}
    fn set(&self, _: Gauge, _: f64) {}
    fn observe(&self, histogram: Histogram, value: f64) {
        assert_eq!(histogram, Histogram::ReadDelaySeconds);
        self.0.lock().unwrap().push(value);
    }
}

#[test]
fn observed_delays() {
    let file = golden().into_iter().find(|file| file.ends_with("identity.messages")).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let line = Line::new(text.lines().next().unwrap());
    let mut reader = Reader::default();
    let message = reader.read(&line.record()).unwrap();
    let (delays, now) = (Delays::default(), SystemTime::now());
    message.observe_delay(&delays, now - Duration::from_secs(3));
    // by a clock that is ahead
    message.observe_delay(&delays, now + Duration::from_secs(60));
    let seen = delays.0.into_inner().unwrap();
    assert!(
        matches!(seen[..], [late, early] if (3.0..30.0).contains(&late) && early == 0.0),
        "{seen:?}"
    );
}
