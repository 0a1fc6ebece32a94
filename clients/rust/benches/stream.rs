//! How fast a slot is read: `PGHOST=... cargo bench --bench stream`. Beside it
//! pg_recvlogical, which only writes what comes to a file. ROWS: how many.

use std::process::Command;
use std::time::{Duration, Instant};

use pgcdc::{ConnectConfig, Connection, Error, Limits, Op, StreamConfig, Transport};

const TABLE: &str = "CREATE TABLE bench (id bigint PRIMARY KEY, a int, b text, c numeric(12,2), \
    d timestamptz, e boolean, f float8, g uuid, h text, i int)";

async fn fill(sql: &mut Connection, rows: u64) -> Result<String, Error> {
    sql.query(&format!(
        "INSERT INTO bench SELECT i, i, md5(i::text), i / 100.0, now(), i % 2 = 0, i / 3.0, \
         gen_random_uuid(), 'hello', 7 FROM generate_series(1, {rows}) i"
    ))
    .await?;
    sql.query("SELECT pg_logical_emit_message(true, 'end', '')").await?;
    let rows = sql.query("SELECT pg_current_wal_flush_lsn()").await?;
    Ok(rows[0][0].clone().unwrap_or_default())
}

async fn read(config: StreamConfig, values: bool) -> Result<(u64, Duration), Error> {
    let start = Instant::now();
    let mut stream = config.option("messages", "*").start().await?;
    let mut changes = 0;
    while let Some(delivery) = stream.next_batch().await {
        let delivery = delivery?;
        for change in delivery.changes() {
            let change = change?;
            changes += 1;
            if change.op == Op::Message {
                let time = start.elapsed();
                stream.close().await.unwrap();
                return Ok((changes, time));
            }
            if let (true, Some(table)) = (values, change.table()) {
                for value in change.new.values(table) {
                    std::hint::black_box(value?);
                }
            }
        }
    }
    Ok((changes, start.elapsed()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var_os("PGHOST").is_none() {
        println!("skipped: PGHOST does not name a server");
        return Ok(());
    }
    let rows = std::env::var("ROWS").ok().and_then(|s| s.parse().ok()).unwrap_or(300_000);
    let mut admin = Connection::connect(&ConnectConfig::from_env()?, &Limits::DEFAULT).await?;
    let name = format!("rust_bench_{}", std::process::id());
    admin.query(&format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
    let config = ConnectConfig::parse(&format!("dbname={name}"))?;
    let mut sql = Connection::connect(&config, &Limits::DEFAULT).await?;
    sql.query("CREATE EXTENSION cdc").await?;
    sql.query(&format!("SELECT cdc.create_slot('{name}')")).await?;
    sql.query(TABLE).await?;
    let end = fill(&mut sql, rows).await?;
    let stream = || StreamConfig::new(config.clone(), &name);
    for round in 0..3 {
        let (changes, time) = read(stream(), false).await?;
        println!(
            "round {round}: events {changes}, {:.2} s, {:.0}/s",
            time.as_secs_f64(),
            changes as f64 / time.as_secs_f64()
        );
        for transport in [Transport::Replication, Transport::Fetch] {
            let (changes, time) = read(stream().transport(transport), true).await?;
            println!(
                "round {round}: with values, {transport:?} {changes}, {:.2} s, {:.0}/s",
                time.as_secs_f64(),
                changes as f64 / time.as_secs_f64()
            );
        }
    }
    // last, since it acknowledges what it has received when it ends
    let start = Instant::now();
    let status = Command::new("pg_recvlogical")
        .args(["-d", &name, "-S", &name, "--start", "--no-loop", "-f", "/dev/null"])
        .args(["--endpos", &end])
        .status()?;
    let time = start.elapsed().as_secs_f64();
    println!("pg_recvlogical to /dev/null, {time:.2} s, {:.0}/s ({status})", rows as f64 / time);
    // the walsender may need a moment to notice
    while sql.query(&format!("SELECT pg_drop_replication_slot('{name}')")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sql.close().await;
    admin.query(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
    Ok(())
}
