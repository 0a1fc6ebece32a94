//! Random changes decode to the same JSON as in the server. EVENTS says how
//! many there are to be.

mod common;
#[path = "common/live.rs"]
mod live;
#[path = "common/workload.rs"]
mod workload_mod;

use live::{available, hex, lines, next, server_lines, Database};
use pgcdc::Op;
use workload_mod::{Workload, SCHEMA};

#[tokio::test]
async fn same_json_as_the_server() {
    if !available() {
        return;
    }
    let wanted: usize = std::env::var("EVENTS").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000);
    let mut db = Database::new("equal").await;
    db.run(SCHEMA).await;
    let mut workload = Workload::new(0x5eed_5eed, &db.name);
    let mut sql = db.another().await;
    let mut stream = db
        .config()
        .option("messages", "*")
        .option("schemas", "batch")
        .option("old", "full")
        .start()
        .await
        .unwrap();
    let mut events = 0;
    while events < wanted {
        for _ in 0..100 {
            workload.transaction(&mut db.sql, false).await;
        }
        db.run("SELECT pg_logical_emit_message(true, 'mark', '')").await;
        let (mut ours, mut frames, mut marked) = (Vec::new(), String::new(), false);
        while !marked {
            let delivery = next(&mut stream).await.unwrap();
            ours.extend(lines(&delivery));
            hex(&mut frames, delivery.bytes());
            let batch = delivery.batch().unwrap();
            events += batch.event_len() as usize;
            marked = batch.events().any(|event| event.unwrap().op == Op::Message);
            stream.ack(&delivery);
            if frames.len() > 4 << 20 || marked {
                let theirs = server_lines(&mut sql, &frames).await;
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    assert_eq!(ours, theirs);
                }
                assert_eq!(ours.len(), theirs.len());
                (ours, frames) = (Vec::new(), String::new());
            }
        }
    }
    println!("{events} events are the same JSON");
    stream.close().await.unwrap();
    db.drop().await;
}
