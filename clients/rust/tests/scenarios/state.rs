//! The Applier's state.

use std::time::Duration;

use pgcdc::{Applier, Error, MemoryState, Op, Position, PostgresApplier, Relation, State, Stream};

use crate::common::Random;
use crate::compare_mod::compare;
use crate::live::{available, next, Database};
use crate::workload_mod::{Workload, SCHEMA};

/// Applies what comes: so many transactions, or up to the message that is the last one.
/// Whether that has come.
async fn follow(
    stream: &mut Stream,
    copy: &mut PostgresApplier,
    mut transactions: usize,
) -> Result<bool, Error> {
    while transactions > 0 {
        let delivery = next(stream).await?;
        let batch = delivery.batch()?;
        copy.apply_batch(&batch, delivery.schemas()).await?;
        stream.ack(&delivery);
        transactions -= usize::from(delivery.is_end());
        for event in batch.events() {
            let event = event?;
            if event.op == Op::Message && event.message.is_some_and(|m| m.prefix == "end") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What is there, to be compared.
async fn in_memory(copy: &mut PostgresApplier) -> Applier<MemoryState> {
    let schemas: Vec<_> = copy.schemas().cloned().collect();
    let mut state = MemoryState::default();
    for schema in &schemas {
        let relation = Relation::from(&schema.table);
        for (key, row) in copy.rows(&relation).await.unwrap() {
            assert_eq!(copy.row(&relation, &key).await.unwrap().unwrap(), row);
            state.put(&relation, &key, &row).unwrap();
        }
    }
    Applier::resume(state, copy.position(), schemas)
}

#[tokio::test]
async fn state_postgres() {
    if !available() {
        return;
    }
    let mut db = Database::new("state").await;
    let mut target = Database::without_slot("state_copy").await;
    PostgresApplier::create_tables(&target.connect()).await.unwrap();
    db.run(SCHEMA).await;
    let mut workload = Workload::new(7, &db.name);
    let mut random = Random(3);
    let ours = target.one("SELECT pg_backend_pid()").await;
    let terminate = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{}' AND pid <> {ours}",
        target.name
    );
    let (mut cut, mut ended, mut last, mut moved) = (0, 0, Position::default(), 0);
    for round in 0..16 {
        for _ in 0..20 {
            workload.transaction(&mut db.sql, false).await;
        }
        let mut copy = PostgresApplier::open(target.connect(), "copy").await.unwrap();
        moved += usize::from(std::mem::replace(&mut last, copy.position()) != copy.position());
        // small parts: a transaction is killed in the middle of them
        let config = db.config().option("messages", "*").option("batch_bytes", "300B");
        let mut stream = config.checkpoint(db.checkpoint()).start().await.unwrap();
        follow(&mut stream, &mut copy, 1 + random.below(4)).await.unwrap();
        // or each round would begin where the first one did
        stream.flush().await.unwrap();
        let what = follow(&mut stream, &mut copy, usize::MAX);
        if round % 2 == 0 {
            let wait = Duration::from_micros(random.below(20_000) as u64);
            cut += usize::from(tokio::time::timeout(wait, what).await.is_err());
        } else {
            let kill = async {
                db.run(&terminate).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            };
            tokio::select! {
                result = what => ended += usize::from(result.is_err()),
                () = kill => (),
            }
        }
    }
    println!("{cut} times given up, {ended} times ended by the server, {moved} times further");
    assert!(cut > 0 && ended > 0 && moved > 4);
    workload.finish(&mut db.sql).await;
    let mut copy = PostgresApplier::open(target.connect(), "copy").await.unwrap();
    let config = db.config().option("messages", "*").checkpoint(db.checkpoint());
    let mut stream = config.start().await.unwrap();
    assert!(follow(&mut stream, &mut copy, usize::MAX).await.unwrap());
    let rows = compare(&mut in_memory(&mut copy).await);
    println!("{rows} rows equal");
    assert!(rows > 100 && copy.lost().is_empty());
    // what somebody else has committed is not overwritten
    let mut late = PostgresApplier::open(target.connect(), "copy").await.unwrap();
    let before = late.position();
    db.run("INSERT INTO plain (id) VALUES (-1)").await;
    let delivery = next(&mut stream).await.unwrap();
    let batch = delivery.batch().unwrap();
    copy.apply_batch(&batch, delivery.schemas()).await.unwrap();
    let error = late.apply_batch(&batch, delivery.schemas()).await.unwrap_err();
    assert!(error.to_string().contains("somebody else"), "{error}");
    assert!(late.apply_batch(&batch, delivery.schemas()).await.is_err(), "opened again first");
    let late = PostgresApplier::open(target.connect(), "copy").await.unwrap();
    assert!(late.position() == copy.position() && late.position() != before);
    drop((late, copy));
    stream.close().await.unwrap();
    target.drop().await;
    db.drop().await;
}
