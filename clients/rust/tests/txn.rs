//! Whole transactions, out of a source in memory.
#![cfg(feature = "test")]

use std::io;
use std::sync::{Arc, Mutex};

use pgcdc::test::{insert, things, Script};
use pgcdc::{pb, DeadLetter, DeadLetterSink, Outcome, Policy, Stream, StreamConfig, Txn};
use prost::Message;

const COMMIT: u64 = 0x9000;

/// A part of transaction 9, which commits at the end.
fn part(number: u32, outcome: pb::Outcome, events: &[(i32, u32)]) -> pb::Batch {
    let ends = outcome != pb::Outcome::Open;
    pb::Batch {
        transaction: Some(pb::Transaction {
            xid: 9,
            first_lsn: 0x2000,
            commit_lsn: if ends { COMMIT } else { 0 },
            ..Default::default()
        }),
        part: number,
        outcome: outcome as i32,
        end_lsn: if ends { COMMIT + 8 } else { 0 },
        schemas: if number == 0 { vec![things()] } else { Vec::new() },
        events: events
            .iter()
            .map(|&(id, subxid)| pb::ChangeEvent {
                lsn_offset: id as u64 * 8,
                subxid,
                ..insert(id, "x")
            })
            .collect(),
        source: (number == 0).then(|| pb::Source { slot: "test".into(), ..Default::default() }),
        ..Default::default()
    }
}

fn counted(batch: pb::Batch, event_count: u64) -> pb::Batch {
    pb::Batch { event_count, ..batch }
}

fn script(batches: &[pb::Batch]) -> Script {
    batches.iter().fold(Script::new(), |script, batch| script.batch(&batch.encode_to_vec()))
}

/// The ids of the rows that are passed on.
fn ids(txn: &Txn) -> Vec<u8> {
    let (mut ids, mut changes) = (Vec::new(), txn.changes());
    while let Some(change) = changes.next() {
        let change = change.unwrap();
        assert_eq!(change.position.commit_lsn, txn.commit_lsn.unwrap());
        assert_eq!(change.table().unwrap().name, "things");
        ids.push(change.key.bytes()[1] / 2);
    }
    ids
}

async fn next(stream: &mut Stream) -> Txn {
    stream.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn parts_are_one_transaction() {
    let mut gone = part(2, pb::Outcome::Open, &[]);
    gone.rolled_back_xids = vec![11];
    let batches = [
        part(0, pb::Outcome::Open, &[(1, 9), (2, 11)]),
        part(1, pb::Outcome::Open, &[(3, 9)]),
        gone,
        counted(part(3, pb::Outcome::Committed, &[(4, 9)]), 4),
    ];
    for (memory, key) in [(1 << 20, None), (0, None), (0, Some([7; 32]))] {
        let mut config = Script::config();
        (config.assembler.memory_bytes, config.assembler.key) = (memory, key);
        let after = script(&batches).transaction(&[insert(5, "y")]);
        let mut stream = after.start_with(config);
        let txn = next(&mut stream).await;
        assert_eq!((txn.outcome, txn.xid, txn.event_len()), (Outcome::Committed, 9, 4));
        assert_eq!((ids(&txn), ids(&txn)), (vec![1, 3, 4], vec![1, 3, 4]), "{memory}");
        assert_eq!(stream.checkpoint(&txn).end_lsn.0, COMMIT + 8);
        assert_eq!(stream.checkpoint(&txn).position.commit_lsn.0, COMMIT);
        assert_eq!(stream.acknowledged().0, 0);
        stream.ack(&txn);
        assert_eq!(stream.acknowledged().0, COMMIT + 8);
        assert!(stream.next().await.is_none(), "what comes before it was applied");
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_passed_over() {
    let batches =
        [part(0, pb::Outcome::Open, &[(1, 9)]), counted(part(1, pb::Outcome::RolledBack, &[]), 1)];
    let mut stream = script(&batches).start();
    assert!(stream.next().await.is_none());
    let mut config = Script::config();
    config.assembler.deliver_prepared = true;
    assert!(script(&batches).start_with(config).next().await.is_none());
}

#[tokio::test]
async fn a_new_connection_begins_anew() {
    let open = part(0, pb::Outcome::Open, &[(1, 9)]).encode_to_vec();
    let again = [
        part(0, pb::Outcome::Open, &[(1, 9), (2, 9)]),
        counted(part(1, pb::Outcome::Committed, &[(3, 9)]), 3),
    ];
    let script = Script::new().batch(&open).reconnect();
    let script = again.iter().fold(script, |script, batch| script.batch(&batch.encode_to_vec()));
    assert_eq!(ids(&next(&mut script.start()).await), [1, 2, 3]);
}

/// As they are by default, when they are committed; or when they are prepared.
#[tokio::test]
async fn prepared_transactions() {
    let named = |mut batch: pb::Batch| {
        let t = batch.transaction.as_mut().unwrap();
        t.gid = "g".into();
        if batch.outcome == pb::Outcome::Prepared as i32 {
            (t.commit_lsn, t.prepare_lsn) = (0, 0x8000);
            batch.end_lsn = 0x8008;
        }
        batch
    };
    let prepared = named(counted(part(0, pb::Outcome::Prepared, &[(1, 0)]), 1));
    let committed = named(part(0, pb::Outcome::Committed, &[]));
    let rolled_back = named(part(0, pb::Outcome::RolledBack, &[]));
    let both = [prepared.clone(), committed.clone()];

    let mut stream = script(&both).start();
    let txn = next(&mut stream).await;
    assert_eq!((txn.outcome, &*txn.gid, ids(&txn)), (Outcome::Committed, "g", vec![1]));
    stream.ack(&txn);
    assert_eq!(stream.acknowledged().0, COMMIT + 8, "with what was prepared");
    let mut stream = script(&[prepared, rolled_back]).transaction(&[insert(2, "b")]).start();
    assert!(stream.next().await.is_none());
    let alone = next(&mut script(&[committed]).start()).await;
    assert!(!alone.is_known && ids(&alone).is_empty());

    let mut config = Script::config();
    config.assembler.deliver_prepared = true;
    let mut stream = script(&both).start_with(config);
    let txn = next(&mut stream).await;
    assert_eq!((txn.outcome, txn.event_len()), (Outcome::Prepared, 1));
    stream.ack(&txn);
    assert_eq!(stream.acknowledged().0, 0x8008);
    let txn = next(&mut stream).await;
    assert_eq!((txn.outcome, txn.event_len()), (Outcome::Committed, 0));
}

#[derive(Default)]
struct Letters(Mutex<Vec<(&'static str, pb::Batch)>>);

impl Letters {
    fn taken(&self) -> Vec<(&'static str, pb::Batch)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl DeadLetterSink for Letters {
    fn put(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        let batch = pb::Batch::decode(letter.batch).unwrap_or_default();
        self.0.lock().unwrap().push((letter.reason.name(), batch));
        Ok(())
    }
}

/// A transaction with an event that failed, one of no schema, and one that is none.
fn broken(memory: usize) -> (Script, StreamConfig, Arc<Letters>) {
    let mut batch = counted(part(0, pb::Outcome::Committed, &[(1, 9), (2, 9), (3, 9)]), 4);
    batch.events[0].failure = Some(pb::Failure { sqlstate: "XX000".into(), ..Default::default() });
    batch.events[1].schema = 7;
    let bytes = [&batch.encode_to_vec()[..], &[0x3a, 1, 0xff]].concat();
    let letters = Arc::new(Letters::default());
    let mut config = Script::config().dead_letters(letters.clone());
    config.assembler.memory_bytes = memory;
    (Script::new().batch(&bytes), config, letters)
}

#[tokio::test]
async fn policies() {
    let (script, config, letters) = broken(1 << 20);
    let txn = next(&mut script.start_with(config)).await;
    assert_eq!(ids(&txn), [3]);
    let letters = letters.taken();
    let reasons: Vec<_> = letters.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, ["failure", "unknown_schema", "damage"]);
    for (reason, batch) in letters.iter().take(2) {
        assert_eq!(batch.transaction.as_ref().unwrap().commit_lsn, COMMIT, "{reason}");
        assert_eq!((batch.events.len(), batch.source.is_some()), (1, true));
    }
    assert_eq!(letters[0].1.schemas.len(), 1);

    let (script, mut config, _) = broken(1 << 20);
    config.on_failure = Policy::Stop;
    let txn = next(&mut script.start_with(config)).await;
    assert!(txn.changes().next().unwrap().is_err());
}

#[tokio::test]
async fn what_the_consumer_rejects() {
    let letters = Arc::new(Letters::default());
    let config = Script::config().dead_letters(letters.clone());
    let events = [insert(1, "a"), insert(2, "b")];
    let mut stream = Script::new().transaction(&events).start_with(config);
    let txn = next(&mut stream).await;
    let mut changes = txn.changes();
    txn.reject(&changes.next().unwrap().unwrap(), "no").unwrap();
    txn.reject_all("no").unwrap();
    let letters = letters.taken();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0].1, letters[1].1, "alone and with the others");
    assert!(letters.iter().all(|(reason, batch)| *reason == "handler" && batch.schemas.len() == 1));
    let txn = next(&mut Script::new().transaction(&events).start()).await;
    assert_eq!(txn.reject_all("why").unwrap_err().to_string(), "why");
}

/// After a batch that was passed over nothing is demanded of the open transactions.
#[tokio::test]
async fn gaps_are_let_pass_where_damage_is() {
    let first = part(0, pb::Outcome::Open, &[(1, 9)]).encode_to_vec();
    let last = counted(part(2, pb::Outcome::Committed, &[(3, 9)]), 3).encode_to_vec();
    let script = || Script::new().batch(&first).payload(&b"\x05"[..]).batch(&last);
    let mut config = Script::config();
    config.on_damage = Policy::Skip;
    assert_eq!(ids(&next(&mut script().start_with(config)).await), [1, 3]);
    assert!(script().start().next().await.unwrap().is_err());
}

#[tokio::test]
async fn messages_outside_of_transactions() {
    let outside = pb::Batch {
        end_lsn: 0x7008,
        source: Some(pb::Source::default()),
        events: vec![pb::ChangeEvent {
            op: pb::Op::Message as i32,
            lsn_offset: 0x7000,
            message: Some(pb::Message { prefix: "p".into(), ..Default::default() }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut stream = script(&[outside]).start();
    let txn = next(&mut stream).await;
    assert_eq!((txn.outcome, txn.commit_lsn, txn.xid), (Outcome::Committed, None, 0));
    let mut changes = txn.changes();
    assert_eq!(changes.next().unwrap().unwrap().message.unwrap().prefix, "p");
    assert!(changes.next().is_none());
    stream.acker().ack(&txn);
    assert_eq!(stream.acknowledged().0, 0x7008);
}
