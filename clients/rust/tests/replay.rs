//! A copy that is kept by the stream equals the source, under random changes,
//! also when transactions are sent before they have ended.

mod common;
#[path = "common/compare.rs"]
mod compare_mod;
#[path = "common/live.rs"]
mod live;
#[path = "common/workload.rs"]
mod workload_mod;

use compare_mod::{compare, rows};
use live::{available, next, Database};
use pgcdc::{
    Applier, Assembler, Error, MemoryState, Op, Outcome, Relation, SchemaCache, State,
    StreamConfig, Transport,
};
use workload_mod::{Workload, SCHEMA};

fn is_end(event: &pgcdc::Event<'_>) -> bool {
    event.op == Op::Message && event.message.is_some_and(|m| m.prefix == "end")
}

/// Reads a slot to the end message, through an assembler. With `breaks` the
/// walsender is killed from time to time.
async fn replay(
    db: &mut Database,
    config: StreamConfig,
    breaks: bool,
) -> (Applier<MemoryState>, usize) {
    let slot = config.slot.clone();
    let mut stream = config.start().await.unwrap();
    let mut applier = Applier::new(MemoryState::default());
    let mut assembler = Assembler::new(20_000, std::env::temp_dir()).encrypt(&[3; 32]).unwrap();
    let (mut streamed, mut batches) = (0, 0);
    let mut done = false;
    while !done {
        let delivery = next(&mut stream).await.unwrap();
        let batch = delivery.batch().unwrap();
        if delivery.is_first_of_connection() {
            assembler.disconnected();
        }
        streamed += usize::from(batch.transaction.is_some_and(|t| t.commit_lsn.0 == 0));
        batches += 1;
        if breaks && batches % 499 == 0 {
            end_walsender(db, &slot).await;
        }
        if let Some(transaction) = assembler.push(&batch).unwrap() {
            if transaction.outcome == Outcome::Prepared {
                assembler.keep_prepared(transaction).unwrap();
            } else {
                let schemas: &SchemaCache = delivery.schemas();
                applier.apply_txn(&transaction, schemas).unwrap();
                transaction
                    .for_each(|event| {
                        done |= is_end(event);
                        Ok::<(), Error>(())
                    })
                    .unwrap();
            }
        }
        stream.ack(&delivery);
    }
    assert!(assembler.is_empty());
    let closed = stream.close().await;
    // it may just be connecting, and has no store
    assert!(breaks || closed.is_ok(), "{closed:?}");
    (applier, streamed)
}

async fn end_walsender(db: &mut Database, slot: &str) {
    db.run(&format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}'"
    ))
    .await;
}

/// The same by whole transactions; how many there were.
async fn replay_whole(
    db: &mut Database,
    mut config: StreamConfig,
) -> (Applier<MemoryState>, usize) {
    let slot = config.slot.clone();
    (config.assembler.memory_bytes, config.assembler.key) = (20_000, Some([3; 32]));
    let mut stream = config.start().await.unwrap();
    let mut applier = Applier::new(MemoryState::default());
    let (mut transactions, mut done) = (0, false);
    while !done {
        let txn = tokio::time::timeout(std::time::Duration::from_secs(30), stream.next()).await;
        let txn = txn.expect("nothing came for 30 s").unwrap().unwrap();
        assert_eq!(txn.outcome, Outcome::Committed);
        applier.apply_txn(&txn, txn.schemas()).unwrap();
        let (mut changes, mut wanted) = (txn.changes(), 0);
        while let Some(change) = changes.next() {
            done |= is_end(&change.unwrap());
            wanted += 1;
        }
        let mut raw = Vec::new();
        txn.raw_events(&mut raw).unwrap();
        assert_eq!(pgcdc::Fields::new(&raw).count(), wanted);
        transactions += 1;
        if transactions % 99 == 0 {
            end_walsender(db, &slot).await;
        }
        stream.ack(&txn);
    }
    let _ = stream.close().await;
    (applier, transactions)
}

#[tokio::test]
async fn copy_equals_source() {
    if !available() {
        return;
    }
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    println!("SEED={seed}");
    let mut db = Database::without_slot("replay").await;
    let name = db.name.clone();
    for (slot, two_phase) in [
        ("plain", false),
        ("streamed", false),
        ("two", true),
        ("broken", false),
        ("fetched", true),
        ("whole", true),
    ] {
        db.run(&format!(
            "SELECT pg_create_logical_replication_slot('{name}_{slot}', 'cdc', false, {two_phase})"
        ))
        .await;
    }
    db.run(SCHEMA).await;
    let mut workload = Workload::new(seed, &name);
    for _ in 0..250 {
        workload.transaction(&mut db.sql, true).await;
    }
    workload.finish(&mut db.sql).await;
    for (slot, options) in [
        ("plain", &[][..]),
        ("streamed", &[("streaming", "on"), ("batch_bytes", "2kB")][..]),
        ("two", &[("streaming", "on"), ("two_phase", "on"), ("compression", "zstd")][..]),
        ("broken", &[("streaming", "on"), ("batch_bytes", "1kB")][..]),
        ("fetched", &[("two_phase", "on"), ("batch_bytes", "1kB"), ("compression", "lz4")][..]),
        ("whole", &[("streaming", "on"), ("two_phase", "on"), ("batch_bytes", "1kB")][..]),
    ] {
        let mut config = db.config().option("messages", "*");
        config.slot = format!("{name}_{slot}");
        config.connect.options = Some("-c logical_decoding_work_mem=64kB".into());
        config.max_backoff = std::time::Duration::from_millis(50);
        let fetched = slot == "fetched";
        if fetched {
            config.transport = Transport::Fetch;
            config.fetch_bytes = 20_000;
        }
        for (option, value) in options {
            config = config.option(*option, *value);
        }
        let (mut applier, streamed) = match slot {
            "whole" => replay_whole(&mut db, config).await,
            _ => replay(&mut db, config, slot == "broken" || fetched).await,
        };
        let compared = compare(&mut applier);
        println!("{slot}: {compared} rows equal, {streamed} batches before their commit, or transactions");
        assert!(compared > 300 && applier.lost().is_empty());
        // a comparison that cannot fail would say nothing
        let schema = applier.schemas().find(|s| s.table.name == "arrays").unwrap().clone();
        let before = rows(applier.state(), &schema);
        let relation = Relation::from(&schema.table);
        applier.state().put(&relation, b"\x08\x01", b"\x08\x01").unwrap();
        assert_ne!(rows(applier.state(), &schema), before);
        assert!(slot == "plain" || streamed > 0, "nothing was streamed");
    }
    db.drop().await;
}
