//! What a copy that is kept from topics makes of each message.

use pgcdc::topic::{Applier, Error, Reader, Record};
use pgcdc::{fingerprint, pb, MemoryState, Relation, State};
use prost::Message;

/// Columns 1 to 3, and whether column 1 is a key.
fn schema(name: &str, keyed: bool, identity: pb::ReplicaIdentity) -> pb::SchemaVersion {
    let column = |number: u32| pb::Column {
        number,
        name: format!("c{number}"),
        r#type: pb::Type::Uint32 as i32,
        pg_type: "pg_catalog.oid".into(),
        key: keyed && number == 1,
        ..Default::default()
    };
    let table = pb::Table {
        schema: "public".into(),
        name: name.into(),
        columns: (1..=3).map(column).collect(),
        replica_identity: identity as i32,
    };
    let table = table.encode_to_vec();
    pb::SchemaVersion { fingerprint: fingerprint(&table), table, ..Default::default() }
}

fn t() -> pb::SchemaVersion {
    schema("t", true, pb::ReplicaIdentity::Default)
}

fn row(columns: &[(u32, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    columns.iter().for_each(|(n, value)| prost::encoding::uint64::encode(*n, value, &mut out));
    out
}

fn event(op: pb::Op, key: &[(u32, u64)], new: &[(u32, u64)]) -> pb::ChangeEvent {
    let (key, new) = (row(key), row(new));
    pb::ChangeEvent { op: op as i32, key, new, ..Default::default() }
}

fn insert(id: u64) -> pb::ChangeEvent {
    event(pb::Op::Insert, &[(1, id)], &[(2, id), (3, id)])
}

/// A key that changes, and column 2; column 3 is large and did not.
fn moved(from: u64, to: u64, value: u64) -> pb::ChangeEvent {
    let update = event(pb::Op::Update, &[(1, from)], &[(2, value)]);
    pb::ChangeEvent { new_key: row(&[(1, to)]), ..update }
}

fn command(kind: pb::SchemaChangeKind, former: &str) -> pb::ChangeEvent {
    let schema_change = Some(pb::SchemaChange {
        kind: kind as i32,
        command_tag: "DDL".into(),
        former_schema: if former.is_empty() { "" } else { "public" }.into(),
        former_name: former.into(),
    });
    pb::ChangeEvent { op: pb::Op::Schema as i32, schema_change, ..Default::default() }
}

/// A reader of a bus that there is not.
struct Test {
    reader: Reader,
    applier: Applier<MemoryState>,
    commit: u64,
    sequence: u64,
    stream: &'static str,
}

impl Test {
    fn new(stream: &'static str) -> Self {
        let applier = Applier::new(MemoryState::default()).unwrap();
        Test { reader: Reader::default(), applier, commit: 1, sequence: 0, stream }
    }

    /// As a transaction of its own, or with 0 of the same as before.
    fn send(
        &mut self,
        (topic, partition): (&str, i32),
        version: &pb::SchemaVersion,
        mut event: pb::ChangeEvent,
        more: &[(&str, &str)],
    ) -> Result<bool, Error> {
        self.sequence += 1;
        if event.subxid == 0 {
            self.commit += 0x1000;
        }
        event.index = event.subxid.saturating_sub(1);
        event.subxid = 0;
        let is_gone = event.schema_change.as_ref().is_some_and(|change| {
            [pb::SchemaChangeKind::Dropped as i32, pb::SchemaChangeKind::Left as i32]
                .contains(&change.kind)
        });
        event.schema = if is_gone { 0 } else { version.fingerprint };
        event.lsn_offset = self.commit / 0x10;
        let is_read = event.op == pb::Op::Read as i32;
        let op = pb::Op::try_from(event.op).unwrap().as_str_name().trim_start_matches("OP_");
        let position = format!("0/{:X}/0/{:X}/{}", self.commit, self.commit / 0x10, event.index);
        let transaction = pb::Transaction {
            xid: (self.commit / 0x1000) as u32,
            commit_lsn: self.commit,
            ..Default::default()
        };
        let xmax = 1 + self.commit / 0x1000;
        let batch = pb::Batch {
            transaction: (!is_read).then_some(transaction),
            snapshot: is_read.then(|| pb::Snapshot { xmin: xmax, xmax, ..Default::default() }),
            schemas: vec![version.clone()],
            events: vec![event],
            ..Default::default()
        };
        let value = batch.encode_to_vec();
        let mut headers = vec![
            ("cdc-op", op.as_bytes()),
            ("cdc-position", position.as_bytes()),
            ("cdc-source", b"7/1/d/s"),
            ("cdc-relation", b"public.t"),
        ];
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_bytes())));
        let record = Record {
            topic,
            partition,
            stream: self.stream,
            sequence: self.sequence,
            value: Some(&value),
            headers,
            ..Record::default()
        };
        let message = self.reader.read(&record)?;
        self.applier.apply(&message)
    }

    fn apply(&mut self, partition: i32, event: pb::ChangeEvent) {
        assert!(self.send(("p.t", partition), &t(), event, &[]).unwrap());
    }

    fn role(&mut self, partition: i32, event: pb::ChangeEvent, role: &str) {
        let copy = if role == "new" { "2/2" } else { "1/2" };
        let headers = [("cdc-key", role), ("cdc-copy", copy)];
        assert!(self.send(("p.t", partition), &t(), event, &headers).unwrap());
    }

    /// Columns 1 of what is held.
    fn ids(&mut self, name: &str) -> Vec<u8> {
        let relation = Relation { schema: "public".into(), name: name.into() };
        let mut ids = Vec::new();
        let collect = |_: &pgcdc::Schema, row: pgcdc::Row<'_>| {
            ids.push(row.bytes()[1]);
            Ok(())
        };
        self.applier.rows(&relation, collect).unwrap();
        ids.sort_unstable();
        ids
    }

    fn row(&mut self, id: u64) -> Option<Vec<u8>> {
        self.applier.row(&"public.t".parse().unwrap(), &row(&[(1, id)])).unwrap()
    }

    fn restart(&mut self) {
        self.applier.save().unwrap();
        let state = self.applier.with_state(|state| state.clone());
        self.applier = Applier::new(state).unwrap();
    }
}

/// The other message of the same change.
fn again(event: pb::ChangeEvent) -> pb::ChangeEvent {
    pb::ChangeEvent { subxid: 1, ..event }
}

/// Another change of the same transaction.
fn then(event: pb::ChangeEvent) -> pb::ChangeEvent {
    pb::ChangeEvent { subxid: 2, ..event }
}

#[test]
fn partitions_are_apart() {
    let mut test = Test::new("");
    test.apply(0, insert(1));
    test.apply(1, insert(2));
    test.apply(0, event(pb::Op::Truncate, &[], &[]));
    assert_eq!(test.ids("t"), [2]);
    let start = pb::ChangeEvent {
        rewrite_start: true,
        ..event(pb::Op::Rewrite, &[(1, 3)], &[(2, 3), (3, 3)])
    };
    test.role(1, start.clone(), "elsewhere");
    assert!(test.ids("t").is_empty());
    test.apply(0, again(start));
    assert_eq!(test.ids("t"), [3]);
}

#[test]
fn a_row_moves_from_either_side() {
    for new_first in [false, true] {
        let mut test = Test::new("");
        test.apply(0, insert(1));
        let change = moved(1, 2, 9);
        let mut sides = [(0, "old"), (1, "new")];
        if new_first {
            sides.reverse();
        }
        test.role(sides[0].0, change.clone(), sides[0].1);
        assert_eq!(test.applier.waiting().unwrap(), 1);
        assert_eq!(test.ids("t"), if new_first { vec![1] } else { vec![] });
        test.restart();
        if new_first {
            // what follows under the new key waits with it
            let commit = test.commit;
            test.apply(1, event(pb::Op::Update, &[(1, 2)], &[(2, 10)]));
            test.commit = commit;
        }
        test.role(sides[1].0, again(change), sides[1].1);
        let value = if new_first { 10 } else { 9 };
        assert_eq!(test.row(2).unwrap(), row(&[(1, 2), (2, value), (3, 1)]));
        assert_eq!((test.ids("t"), test.applier.waiting().unwrap()), (vec![2], 0));
    }
}

#[test]
fn a_row_that_waits_may_go_or_move_on() {
    for deleted in [true, false] {
        let mut test = Test::new("");
        test.apply(0, insert(1));
        let (first, commit) = (moved(1, 2, 8), test.commit + 0x1000);
        test.role(1, first.clone(), "new");
        if deleted {
            test.apply(1, event(pb::Op::Delete, &[(1, 2)], &[]));
        } else {
            let second = moved(2, 3, 9);
            test.role(1, second.clone(), "old");
            test.role(2, again(second), "new");
        }
        test.restart();
        test.commit = commit;
        test.role(0, again(first), "old");
        let ids = if deleted { vec![] } else { vec![3] };
        assert_eq!((test.ids("t"), test.applier.waiting().unwrap()), (ids, 0));
        let wanted = (!deleted).then(|| row(&[(1, 3), (2, 9), (3, 1)]));
        assert_eq!(test.row(3), wanted);
    }
}

#[test]
fn what_is_lost_is_told() {
    let missing = || event(pb::Op::Update, &[(1, 9)], &[(2, 1)]);
    let failed = pb::ChangeEvent {
        failure: Some(pb::Failure { message: "bad".into(), ..Default::default() }),
        ..insert(5)
    };
    let cases = [
        (missing(), None, "the row is not there"),
        (failed, None, "could not write it: bad"),
        (insert(5), Some(("cdc-reason", "too_large")), "dead letters: too_large"),
        (insert(5), Some(("cdc-reference", "99")), "read the row from the table"),
    ];
    for (event, header, why) in cases {
        let mut test = Test::new("");
        let more: Vec<_> = header.into_iter().collect();
        let error = test.send(("p.t", 0), &t(), event.clone(), &more).unwrap_err();
        let Error::Lost(lost) = &error else { panic!("{error}") };
        assert!(lost.why.contains(why), "{error}");
        assert_eq!((&*lost.relation, &*lost.place), ("public.t", "p.t/0"));
        let told = std::sync::Arc::new(std::sync::Mutex::new(0));
        let counted = told.clone();
        let mut test = Test::new("");
        test.applier = Applier::new(MemoryState::default()).unwrap().on_lost(move |_| {
            *counted.lock().unwrap() += 1;
            Ok(())
        });
        test.send(("p.t", 0), &t(), event, &more).unwrap();
        test.apply(0, insert(1));
        assert_eq!((test.ids("t"), *told.lock().unwrap()), (vec![1], 1));
    }
    let mut test = Test::new("");
    let json = [("content-type", "application/json")];
    let error = test.send(("p.t", 0), &t(), insert(1), &json).unwrap_err();
    assert!(matches!(error, Error::UnsupportedValue { .. }), "{error}");
}

#[test]
fn another_topic_has_the_table() {
    let mut test = Test::new("");
    test.apply(0, insert(1));
    let error = test.send(("p.t.v2", 0), &t(), insert(2), &[]).unwrap_err();
    assert!(error.to_string().contains("has another topic now"), "{error}");
    let mut test = Test::new("");
    test.applier = Applier::new(MemoryState::default()).unwrap().on_lost(|_| Ok(()));
    test.apply(0, insert(1));
    test.send(("p.t.v2", 0), &t(), insert(2), &[]).unwrap();
    assert_eq!(test.ids("t"), [2], "the other one is forgotten");
}

#[test]
fn commands_in_one_order() {
    use pb::SchemaChangeKind::{Altered, Created, Dropped, Entered, Left};
    let mut test = Test::new("S");
    let u = schema("u", true, pb::ReplicaIdentity::Default);
    let send = |test: &mut Test, version: &_, event| {
        assert!(test.send(("p", 0), version, event, &[]).unwrap());
        test.restart();
    };
    send(&mut test, &t(), insert(1));
    send(&mut test, &u, command(Altered, "t"));
    assert_eq!((test.ids("t"), test.ids("u")), (vec![], vec![1]));
    send(&mut test, &u, insert(2));
    // rows of CREATE TABLE AS come before it
    send(&mut test, &t(), insert(3));
    send(&mut test, &t(), then(command(Created, "")));
    assert_eq!((test.ids("t"), test.ids("u")), (vec![3], vec![1, 2]));
    send(&mut test, &u, command(Dropped, "u"));
    assert_eq!((test.ids("t"), test.ids("u")), (vec![3], vec![]));
    send(&mut test, &t(), command(Left, "t"));
    assert_eq!(test.ids("t"), [3]);
    send(&mut test, &t(), insert(4));
    assert_eq!(test.ids("t"), [4], "what is back begins anew");
    send(&mut test, &t(), command(Left, "t"));
    send(&mut test, &t(), command(Entered, ""));
    assert!(test.ids("t").is_empty());
}

#[test]
fn tables_without_a_key() {
    let full = schema("t", false, pb::ReplicaIdentity::Full);
    let mut test = Test::new("");
    let columns: [(u32, u64); 2] = [(1, 1), (2, 2)];
    let send = |test: &mut Test, event| test.send(("p.t", 0), &full, event, &[]).unwrap();
    send(&mut test, event(pb::Op::Insert, &[], &columns));
    send(&mut test, event(pb::Op::Insert, &[], &columns));
    assert_eq!(test.ids("t"), [1, 1]);
    let delete = pb::ChangeEvent { old: row(&columns), ..event(pb::Op::Delete, &[], &[]) };
    send(&mut test, delete.clone());
    assert_eq!(test.ids("t"), [1]);
    // read under one snapshot, and again under another: the first ones count no more
    let read = |test: &mut Test| send(test, again(event(pb::Op::Read, &[], &columns)));
    read(&mut test);
    read(&mut test);
    assert_eq!(test.ids("t"), [1, 1]);
    test.restart();
    test.commit += 0x1000;
    read(&mut test);
    assert_eq!(test.ids("t"), [1]);
    // which has what that transaction did
    send(&mut test, again(delete));
    assert_eq!(test.ids("t"), [1]);
}

/// A table that is loaded again while nobody writes is read under the same snapshot each time.
#[test]
fn tables_that_are_loaded_twice() {
    for keyed in [true, false] {
        let table = schema("t", keyed, pb::ReplicaIdentity::Full);
        let mut test = Test::new("");
        let key: &[(u32, u64)] = if keyed { &[(1, 1)] } else { &[] };
        let new: &[(u32, u64)] = if keyed { &[(2, 2), (3, 3)] } else { &[(1, 1), (2, 2)] };
        for _ in 0..3 {
            let mut send = |event, more: &[(&str, &str)]| {
                test.send(("p.t", 0), &table, again(event), more).unwrap()
            };
            send(event(pb::Op::Read, &[], &[]), &[("cdc-load", "7"), ("cdc-load-mark", "begin")]);
            send(event(pb::Op::Read, key, new), &[]);
            send(event(pb::Op::Read, key, new), &[]);
            send(event(pb::Op::Read, &[], &[]), &[("cdc-load", "7"), ("cdc-load-mark", "end")]);
            assert_eq!(test.ids("t").len(), if keyed { 1 } else { 2 });
        }
    }
}

/// A key that was looked for and has no row.
#[test]
fn rows_that_are_gone() {
    let mut test = Test::new("");
    let gone = |test: &mut Test, id| {
        let read = event(pb::Op::Read, &[(1, id)], &[]);
        let headers = [("cdc-load", "7"), ("cdc-load-mark", "gone")];
        test.send(("p.t", 0), &t(), again(read), &headers)
    };
    gone(&mut test, 1).unwrap(); // of a table that has no rows yet
    (1..=3).for_each(|id| test.apply(0, insert(id)));
    gone(&mut test, 1).unwrap();
    gone(&mut test, 1).unwrap();
    test.restart();
    gone(&mut test, 9).unwrap();
    assert_eq!(test.ids("t"), [2, 3]);
    test.apply(0, insert(1));
    test.commit -= 0x1000;
    gone(&mut test, 1).unwrap(); // once more, behind what it is older than
    assert_eq!(test.ids("t"), [1, 2, 3]);
    test.commit += 0x1000;
    let lost = test.send(("p.t", 0), &t(), event(pb::Op::Update, &[(1, 9)], &[(2, 8)]), &[]);
    assert!(matches!(lost, Err(Error::Lost(_))), "a row is missing: {lost:?}");
}

/// A table that is loaded over what is there: what was neither read nor changed is gone.
#[test]
fn tables_that_are_loaded_again() {
    for begun in [true, false] {
        let mut test = Test::new("");
        for id in 1..=5 {
            test.apply(0, insert(id));
        }
        let mark = |test: &mut Test, mark| {
            let read = event(pb::Op::Read, &[], &[]);
            let headers = [("cdc-load", "7"), ("cdc-load-mark", mark)];
            assert!(!test.send(("p.t", 0), &t(), again(read), &headers).unwrap());
        };
        if begun {
            mark(&mut test, "begin");
        }
        let read = event(pb::Op::Read, &[(1, 1)], &[(2, 9), (3, 9)]);
        test.apply(0, again(read));
        test.restart();
        test.apply(0, event(pb::Op::Update, &[(1, 2)], &[(2, 8)]));
        test.role(0, moved(3, 13, 4), "old");
        test.role(0, again(moved(3, 13, 4)), "new");
        test.apply(0, insert(6));
        // of a row that was deleted before it could be read
        if begun {
            test.apply(0, event(pb::Op::Update, &[(1, 99)], &[(2, 8)]));
        }
        test.restart();
        mark(&mut test, "end");
        let ids = if begun { vec![1, 2, 6, 13] } else { vec![1, 2, 4, 5, 6, 13] };
        assert_eq!(test.ids("t"), ids);
        assert_eq!(test.row(1).unwrap(), row(&[(1, 1), (2, 9), (3, 9)]));
    }
}

#[test]
fn what_is_damaged_in_the_state() {
    for (name, key, text) in [("@progress", "", "{}"), ("@places", "p.t/0", "\u{ff}")] {
        let mut state = MemoryState::default();
        let relation = Relation { schema: String::new(), name: name.into() };
        state.put(&relation, key.as_bytes(), text.as_bytes()).unwrap();
        let error = Applier::new(state).map(|applier| {
            let mut test = Test { applier, ..Test::new("") };
            test.send(("p.t", 0), &t(), insert(1), &[]).unwrap_err()
        });
        let error = error.unwrap_or_else(|error| error);
        assert!(error.to_string().contains("progress") || error.to_string().contains("notes"));
    }
}
