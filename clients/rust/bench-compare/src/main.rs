//! What it costs a process to read one and the same WAL through cdc and this client,
//! and through pgoutput and pg_walstream: CPU time of the client alone, time that
//! passes, allocations.
//!
//!     cd clients/rust/bench-compare && PGHOST=127.0.0.1 cargo run --release
//!
//! libpq's environment names a server that listens on TCP (which pg_walstream needs),
//! without TLS, with wal_level = logical and the extension cdc. A database
//! cdc_compare_rust is made there, and dropped at the end. Nothing is acknowledged
//! while it is measured, so that all read the same again and again, each in a process
//! of its own, one after the other. INSERTS (200000), UPDATES (100000), ROUNDS (3).

mod measure;
mod ours;
mod peer;
mod workload;

use std::future::Future;
use std::pin::Pin;
use std::process::Command;

use measure::{Measured, Meter};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What must be the same for all that look at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    events: u64,
    values: u64,
    /// A sum over all rows; 0 where values are not parsed.
    quantity: i64,
}

type Reader = fn(u64) -> Pin<Box<dyn Future<Output = Result<Tally>>>>;

/// Who takes part.
const CONTENDERS: [(&str, Reader); 6] = [
    ("cdc, values as they are in the batch", |n| Box::pin(ours::views(n))),
    ("cdc, generated struct", |n| Box::pin(ours::typed(n))),
    ("pg_walstream, text, values unparsed", |n| Box::pin(peer::text(n))),
    ("pg_walstream, binary, values unparsed", |n| Box::pin(peer::binary(n))),
    ("pg_walstream, text, struct", |n| Box::pin(peer::owned(n))),
    ("pg_walstream, text, borrowing struct", |n| Box::pin(peer::borrowed(n))),
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Measures one in a process of its own.
fn child(contender: usize) -> Result<Measured> {
    let output = Command::new(std::env::current_exe()?)
        .arg(contender.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let line = String::from_utf8(output.stdout)?;
    Measured::parse(&line)
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{}: {}", CONTENDERS[contender].0, output.status).into())
}

/// The least value and the median.
fn spread(results: &[Measured], of: fn(&Measured) -> f64) -> (f64, f64) {
    let mut values: Vec<_> = results.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2])
}

fn print(results: &[Vec<Measured>]) {
    println!("| reader | CPU seconds, min / median | wall seconds, min / median | events per CPU second | allocations per event | bytes allocated per event |");
    println!("|---|---:|---:|---:|---:|---:|");
    for ((name, _), list) in CONTENDERS.iter().zip(results) {
        let (cpu, wall) = (spread(list, |r| r.cpu), spread(list, |r| r.wall));
        let events = list[0].tally.events as f64;
        println!(
            "| {name} | {:.2} / {:.2} | {:.2} / {:.2} | {:.0} | {:.2} | {:.0} |",
            cpu.0,
            cpu.1,
            wall.0,
            wall.1,
            events / cpu.1,
            list[0].allocations as f64 / events,
            list[0].bytes as f64 / events
        );
    }
}

/// Sees to it that all have read the same.
fn compare(results: &[Vec<Measured>], events: u64) -> Result<()> {
    let quantity = results[0][0].tally.quantity;
    for ((name, _), list) in CONTENDERS.iter().zip(results) {
        for Measured { tally, .. } in list {
            if tally.events != events || (tally.quantity != 0 && tally.quantity != quantity) {
                return Err(format!("{name} read {tally:?}, not {:?}", results[0][0].tally).into());
            }
        }
    }
    Ok(())
}

async fn measure(inserts: u64, updates: u64) -> Result<Vec<Vec<Measured>>> {
    workload::prepare(inserts, updates).await?;
    let before = workload::positions().await?;
    let mut results = vec![Vec::new(); CONTENDERS.len()];
    for round in 1..=setting("ROUNDS", 3) {
        for (i, (name, _)) in CONTENDERS.iter().enumerate() {
            let measured = child(i)?;
            if workload::positions().await? != before {
                return Err(format!("{name} moved a slot").into());
            }
            eprintln!(
                "round {round}: {name:40} {:.2} s of CPU, {:.2} s",
                measured.cpu, measured.wall
            );
            results[i].push(measured);
        }
    }
    compare(&results, inserts + updates)?;
    Ok(results)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (inserts, updates) = (setting("INSERTS", 200_000), setting("UPDATES", 100_000));
    if let Some(contender) = std::env::args().nth(1) {
        let (_, read) = CONTENDERS[contender.parse::<usize>()?];
        let meter = Meter::start();
        let tally = read(inserts + updates).await?;
        println!("{}", meter.stop(tally).line());
        // nothing is to be told to the server
        std::process::exit(0);
    }
    let results = measure(inserts, updates).await;
    workload::clean().await?;
    print(&results?);
    Ok(())
}
