//! A copy that is kept from topics is the source, however far each partition is ahead of the
//! others, whatever comes twice, and wherever it is begun again. The topics are made here, as
//! docs/relay.md says, of random transactions. SEED, ROUNDS: which, and how many.

mod common;

use std::collections::BTreeMap;

use common::Random;
use pgcdc::topic::{Applier, Error, Reader, Record};
use pgcdc::{fingerprint, pb, MemoryState, Relation, Wire};
use prost::Message;

/// Columns other than the key by number; NULL is absent.
type Columns = BTreeMap<u32, u64>;
type Rows = BTreeMap<u64, Columns>;

#[derive(Clone, Copy, Debug)]
struct Mode {
    /// 0: a stream, where all is one order.
    partitions: usize,
    full: bool,
    whole_old: bool,
    sequences: bool,
    /// The log begins in the middle, and the rest is loaded.
    load: bool,
    tombstones: bool,
}

/// A message of a log.
#[derive(Clone, Debug, Default)]
struct Logged {
    partition: usize,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, String)>,
}

/// What one transaction did, and what it left.
#[derive(Clone, Debug, Default)]
struct Transaction {
    events: Vec<pb::ChangeEvent>,
    after: Rows,
    schema: usize,
}

const PREFIX: &str = "p.public.t";

fn row(columns: &Columns) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in columns {
        prost::encoding::uint64::encode(*number, value, &mut out);
    }
    out
}

fn key(id: u64) -> Vec<u8> {
    row(&Columns::from([(1, id)]))
}

/// Later schemas have more columns, with a value for rows that are older.
fn schema(columns: usize, full: bool) -> pb::SchemaVersion {
    let column = |number: u32| pb::Column {
        number,
        name: format!("c{number}"),
        r#type: pb::Type::Uint32 as i32,
        pg_type: "pg_catalog.oid".into(),
        key: number == 1,
        missing: if number > 3 {
            row(&Columns::from([(number, 70 + u64::from(number))]))
        } else {
            vec![]
        },
        ..Default::default()
    };
    let identity = if full { pb::ReplicaIdentity::Full } else { pb::ReplicaIdentity::Default };
    let table = pb::Table {
        schema: "public".into(),
        name: "t".into(),
        columns: (1..=columns as u32).map(column).collect(),
        replica_identity: identity as i32,
    };
    let table = table.encode_to_vec();
    pb::SchemaVersion { fingerprint: fingerprint(&table), table, ..Default::default() }
}

/// The source.
struct Source {
    random: Random,
    mode: Mode,
    rows: Rows,
    columns: usize,
}

impl Source {
    fn below(&mut self, n: usize) -> usize {
        self.random.below(n)
    }

    fn event(&self, op: pb::Op) -> pb::ChangeEvent {
        let schema = schema(self.columns, self.mode.full).fingerprint;
        pb::ChangeEvent { op: op as i32, schema, ..Default::default() }
    }

    fn value(&mut self) -> Option<u64> {
        (self.below(4) > 0).then(|| self.below(1000) as u64)
    }

    fn insert(&mut self, op: pb::Op, id: u64, columns: &Columns) -> pb::ChangeEvent {
        pb::ChangeEvent { key: key(id), new: row(columns), ..self.event(op) }
    }

    fn update(&mut self, id: u64) -> pb::ChangeEvent {
        let before = self.rows.remove(&id).unwrap();
        let after_id = match self.below(3) {
            0 => self.below(40) as u64,
            _ => id,
        };
        let after_id = if self.rows.contains_key(&after_id) { id } else { after_id };
        let mut after = before.clone();
        let mut event = pb::ChangeEvent { key: key(id), ..self.event(pb::Op::Update) };
        let mut new = Columns::new();
        for number in 2..=self.columns as u32 {
            let set = self.below(2) == 0;
            let value = if set { self.value() } else { before.get(&number).copied() };
            let is_changed = value != before.get(&number).copied();
            // a large value that did not change is not sent
            let is_sent = is_changed || (!self.mode.full && (number != 3 || value.is_none()));
            match value {
                Some(value) => after.insert(number, value),
                None => after.remove(&number),
            };
            match value {
                Some(value) if is_sent => {
                    new.insert(number, value);
                }
                None if is_sent => event.nulls.push(number),
                _ => (),
            }
        }
        event.new = row(&new);
        if after_id != id {
            event.new_key = key(after_id);
        }
        if self.mode.whole_old {
            event.old = row(&before);
        }
        self.rows.insert(after_id, after);
        event
    }

    fn change(&mut self) -> Vec<pb::ChangeEvent> {
        let ids: Vec<_> = self.rows.keys().copied().collect();
        let id = (!ids.is_empty()).then(|| ids[self.below(ids.len())]);
        match (self.below(40), id) {
            (0, _) => {
                self.rows.clear();
                vec![self.event(pb::Op::Truncate)]
            }
            (1, Some(_)) => self.rewrite(),
            (2, _) if self.columns < 6 => vec![self.alter()],
            (3..=7, Some(id)) => {
                self.rows.remove(&id);
                vec![pb::ChangeEvent { key: key(id), ..self.event(pb::Op::Delete) }]
            }
            (8..=25, Some(id)) => vec![self.update(id)],
            _ => {
                let id = self.below(40) as u64;
                if self.rows.contains_key(&id) {
                    return vec![self.update(id)];
                }
                let columns = self.columns as u32;
                let columns: Columns =
                    (2..=columns).filter_map(|n| Some((n, self.value()?))).collect();
                let event = self.insert(pb::Op::Insert, id, &columns);
                self.rows.insert(id, columns);
                vec![event]
            }
        }
    }

    fn rewrite(&mut self) -> Vec<pb::ChangeEvent> {
        for columns in self.rows.values_mut() {
            columns.insert(2, 5);
        }
        let mut events = Vec::new();
        for (id, columns) in self.rows.clone() {
            events.push(self.insert(pb::Op::Rewrite, id, &columns));
        }
        events[0].rewrite_start = true;
        events
    }

    fn alter(&mut self) -> pb::ChangeEvent {
        self.columns += 1;
        let number = self.columns as u32;
        for columns in self.rows.values_mut() {
            columns.insert(number, 70 + u64::from(number));
        }
        let schema_change = Some(pb::SchemaChange {
            kind: pb::SchemaChangeKind::Altered as i32,
            command_tag: "ALTER TABLE".into(),
            ..Default::default()
        });
        pb::ChangeEvent { schema_change, ..self.event(pb::Op::Schema) }
    }

    fn transactions(&mut self, n: usize) -> Vec<Transaction> {
        let mut all = Vec::new();
        for _ in 0..n {
            let events = (0..1 + self.below(5)).flat_map(|_| self.change()).collect();
            all.push(Transaction { events, after: self.rows.clone(), schema: self.columns });
        }
        all
    }

    /// The messages of a transaction, by its number.
    fn messages(&mut self, number: usize, transaction: &Transaction, out: &mut Vec<Logged>) {
        let commit_lsn = 1000 * (number as u64 + 1);
        // records of subtransactions may stand in another order than their changes
        let offset = |i: usize| 1 + (i as u64 * 37) % 101;
        for (i, event) in transaction.events.iter().enumerate() {
            let mut event = event.clone();
            event.lsn_offset = offset(i);
            let columns = (3..7).find(|n| schema(*n, self.mode.full).fingerprint == event.schema);
            let batch = pb::Batch {
                transaction: Some(pb::Transaction {
                    xid: 100 + number as u32,
                    first_lsn: commit_lsn - 500,
                    commit_lsn,
                    ..Default::default()
                }),
                schemas: vec![schema(columns.unwrap(), self.mode.full)],
                events: vec![event.clone()],
                ..Default::default()
            };
            let lsn = commit_lsn - 500 + offset(i);
            let op = pb::Op::try_from(event.op).unwrap().as_str_name().trim_start_matches("OP_");
            let base = Logged {
                value: Some(batch.encode_to_vec()),
                headers: vec![
                    ("cdc-op", op.to_owned()),
                    ("cdc-position", format!("0/{commit_lsn:X}/0/{lsn:X}/0")),
                ],
                ..Logged::default()
            };
            self.route(&event, &base, out);
        }
    }

    fn partition(&self, key: &[u8]) -> usize {
        match self.mode.partitions {
            0 => 0,
            n => (fingerprint(key) % n as u64) as usize,
        }
    }

    fn route(&self, event: &pb::ChangeEvent, base: &Logged, out: &mut Vec<Logged>) {
        let to = |partition: usize, key: &[u8], role: &str| {
            let mut message = Logged { partition, key: key.to_vec(), ..base.clone() };
            if !role.is_empty() {
                message.headers.push(("cdc-key", role.to_owned()));
            }
            message
        };
        let mut messages = Vec::new();
        let everywhere = 0..self.mode.partitions.max(1);
        let own = self.partition(&event.key);
        let is_keyed = self.mode.partitions > 0;
        match pb::Op::try_from(event.op).unwrap() {
            pb::Op::Truncate | pb::Op::Schema => {
                messages.extend(everywhere.map(|partition| to(partition, &[], "")));
            }
            pb::Op::Update if is_keyed && !event.new_key.is_empty() => {
                messages.push(to(own, &event.key, "old"));
                if self.mode.tombstones {
                    messages.push(Logged { value: None, ..messages[0].clone() });
                }
                messages.push(to(self.partition(&event.new_key), &event.new_key, "new"));
            }
            _ => {
                if event.rewrite_start {
                    let others = everywhere.filter(|other| *other != own);
                    messages.extend(others.map(|other| to(other, &[], "elsewhere")));
                }
                messages.push(to(own, &event.key, ""));
                if self.mode.tombstones && is_keyed && event.op == pb::Op::Delete as i32 {
                    messages.push(Logged { value: None, ..messages[0].clone() });
                }
            }
        }
        let n = messages.len();
        for (i, message) in messages.iter_mut().enumerate().filter(|_| n > 1) {
            message.headers.push(("cdc-copy", format!("{}/{n}", i + 1)));
        }
        out.extend(messages);
    }

    /// The log of transactions from one on, with the load of what was there before.
    fn log(&mut self, all: &[Transaction]) -> Vec<Logged> {
        let mut out = Vec::new();
        if !self.mode.load {
            for (number, transaction) in all.iter().enumerate() {
                self.messages(number, transaction, &mut out);
            }
            return out;
        }
        let (first, mut range, mut latest) = (all.len() / 3, 0, 0);
        self.mark("begin", &mut out);
        for number in first..all.len() {
            self.messages(number, &all[number], &mut out);
            while range < 4 && self.below(all.len() / 8) == 0 {
                // of a state that the log comes to later, or that has just been reached
                let ahead = self.below(all.len() / 8);
                let seen = (number + ahead).max(latest).min(all.len() - 1);
                latest = seen;
                self.read(all, (number, seen), range, &mut out);
                range += 1;
                if self.below(5) == 0 {
                    // a range is read again after a crash
                    range -= 1;
                }
            }
        }
        let last = all.len() - 1;
        for range in range..4 {
            self.read(all, (last, last), range, &mut out);
        }
        self.mark("end", &mut out);
        out
    }

    fn mark(&self, mark: &'static str, out: &mut Vec<Logged>) {
        for partition in 0..self.mode.partitions.max(1) {
            let headers = vec![
                ("cdc-op", "READ".to_owned()),
                ("cdc-load", "3".to_owned()),
                ("cdc-load-mark", mark.to_owned()),
            ];
            out.push(Logged { partition, headers, ..Logged::default() });
        }
    }

    /// The rows of a quarter of the keys, as a transaction left them.
    fn read(
        &mut self,
        all: &[Transaction],
        (number, seen): (usize, usize),
        range: u64,
        out: &mut Vec<Logged>,
    ) {
        let Transaction { after, schema: columns, .. } = &all[seen];
        for (id, row_) in after.range(range * 10..(range + 1) * 10) {
            let schema = schema(*columns, self.mode.full);
            let xmax = 101 + seen as u64;
            let event = pb::ChangeEvent {
                op: pb::Op::Read as i32,
                schema: schema.fingerprint,
                key: key(*id),
                new: row(row_),
                ..Default::default()
            };
            let batch = pb::Batch {
                schemas: vec![schema],
                events: vec![event],
                snapshot: Some(pb::Snapshot { xmin: xmax, xmax, ..Default::default() }),
                ..Default::default()
            };
            let commit_lsn = 1000 * (number as u64 + 1);
            out.push(Logged {
                partition: self.partition(&key(*id)),
                key: key(*id),
                value: Some(batch.encode_to_vec()),
                headers: vec![
                    ("cdc-op", "READ".to_owned()),
                    ("cdc-load", "3".to_owned()),
                    ("cdc-position", format!("0/{commit_lsn:X}/0/{commit_lsn:X}/0")),
                ],
            });
        }
    }
}

/// A partition: what it has, and how far it was read.
#[derive(Default)]
struct Partition {
    log: Vec<Logged>,
    at: usize,
    saved: usize,
}

struct Consumer {
    mode: Mode,
    reader: Reader,
    applier: Applier<MemoryState>,
    saved: MemoryState,
}

impl Consumer {
    fn new(mode: Mode, state: MemoryState) -> Self {
        let applier = Applier::new(state.clone()).unwrap();
        let applier = if mode.whole_old { applier.whole_old() } else { applier };
        Consumer { mode, reader: Reader::default(), applier, saved: state }
    }

    fn apply(&mut self, logged: &Logged, sequence: usize) -> Result<bool, Error> {
        let source = ("cdc-source", "7/1/d/s".to_owned());
        let relation = ("cdc-relation", "public.t".to_owned());
        let headers = logged.headers.iter().chain([&source, &relation]);
        let record = Record {
            topic: PREFIX,
            partition: logged.partition as i32,
            stream: if self.mode.partitions == 0 { "S" } else { "" },
            sequence: if self.mode.sequences { sequence as u64 } else { 0 },
            key: Some(&logged.key),
            value: logged.value.as_deref(),
            headers: headers.map(|(name, value)| (*name, value.as_bytes())).collect(),
        };
        let message = self.reader.read(&record)?;
        self.applier.apply(&message)
    }

    fn save(&mut self) {
        self.applier.save().unwrap();
        self.saved = self.applier.with_state(|state| state.clone());
    }

    fn rows(&mut self) -> Rows {
        let (relation, mut rows) = ("public.t".parse::<Relation>().unwrap(), Rows::new());
        let collect = |_: &pgcdc::Schema, row: pgcdc::Row<'_>| {
            let mut columns = Columns::new();
            for field in row.fields() {
                let field = field?;
                let Wire::Varint(value) = field.value else { panic!("{field:?}") };
                columns.insert(field.number, value);
            }
            let id = columns.remove(&1).unwrap();
            assert!(rows.insert(id, columns).is_none(), "{id} is in two partitions");
            Ok(())
        };
        self.applier.rows(&relation, collect).unwrap();
        rows
    }
}

/// Reads all, with crashes and repetitions.
fn consume(random: &mut Random, mode: Mode, log: Vec<Logged>) -> (Consumer, usize) {
    let mut partitions: Vec<_> =
        (0..mode.partitions.max(1)).map(|_| Partition::default()).collect();
    for logged in log {
        partitions[logged.partition].log.push(logged);
    }
    let mut consumer = Consumer::new(mode, MemoryState::default());
    let mut crashes = 0;
    // one partition may be far ahead of the others
    let mut favourite = 0;
    while partitions.iter().any(|p| p.at < p.log.len()) {
        if random.below(30) == 0 {
            favourite = random.below(partitions.len());
        }
        let is_favoured = random.below(10) > 0;
        let at = if is_favoured { favourite } else { random.below(partitions.len()) };
        let partition = &mut partitions[at];
        let Some(logged) = partition.log.get(partition.at) else {
            favourite = random.below(partitions.len());
            continue;
        };
        consumer.apply(logged, partition.at + 1).unwrap_or_else(|error| panic!("{error}"));
        partition.at += 1;
        match random.below(80) {
            0 | 1 => {
                consumer.save();
                partitions.iter_mut().for_each(|p| p.saved = p.at);
            }
            2 => {
                crashes += 1;
                consumer = Consumer::new(mode, consumer.saved);
                for p in &mut partitions {
                    // without sequences not right behind what was read last
                    let last = if mode.sequences { p.saved } else { p.saved.saturating_sub(1) };
                    p.at = last.saturating_sub(random.below(4));
                }
            }
            3 if mode.sequences => {
                partition.at -= random.below(partition.at.min(20) + 1);
            }
            _ => (),
        }
    }
    (consumer, crashes)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn modes() -> Vec<Mode> {
    let mut modes = Vec::new();
    for partitions in [0, 1, 3, 8] {
        for (full, whole_old) in [(false, false), (true, false), (true, true)] {
            for load in [false, true] {
                for sequences in [false, true] {
                    let tombstones = partitions > 1;
                    modes.push(Mode { partitions, full, whole_old, sequences, load, tombstones });
                }
            }
        }
    }
    modes
}

#[test]
fn a_copy_equals_the_source() {
    let (seed, rounds) = (number("SEED", 1), number("TOPIC_ROUNDS", 2));
    let (mut messages, mut crashes, mut held) = (0, 0, 0);
    for round in 0..rounds {
        for (i, mode) in modes().into_iter().enumerate() {
            let random = Random(0x9e37_79b9 + seed * 1_000_003 + round * 1009 + i as u64);
            let mut source = Source { random, mode, rows: Rows::new(), columns: 3 };
            let transactions = source.transactions(120);
            let log = source.log(&transactions);
            messages += log.len();
            let (mut consumer, crashed) = consume(&mut source.random, mode, log);
            crashes += crashed;
            held += source.rows.len();
            let context = format!("SEED={seed}, round {round}, {mode:?}");
            assert_eq!(consumer.rows(), source.rows, "{context}");
            assert_eq!(consumer.applier.waiting().unwrap(), 0, "{context}");
        }
    }
    println!("SEED={seed}: {messages} messages, {crashes} crashes, {held} rows equal");
    assert!(crashes > 100 && held > 100);
}
