//! A cache of whole rows by key, as a search index or a service would keep it:
//! the applier merges deltas, and this prints each row as it is afterwards.
//! Large transactions come before they have ended.
//!
//!     cargo run --example cache -- "host=/run/postgresql dbname=shop" SLOT

use pgcdc::{Applier, ConnectConfig, Error, MemoryState, Op, Relation, Row, State, StreamConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = keep_rows().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn keep_rows() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let server = ConnectConfig::parse(&args.next().unwrap_or_default())?;
    let slot = args.next().unwrap_or("cache".into());
    // nothing is acknowledged: the cache is in memory, and is built again from
    // the slot's beginning
    let mut stream =
        StreamConfig::new(server, slot).create_slot().option("streaming", "on").start().await?;
    let mut cache = Applier::new(MemoryState::default());
    while let Some(txn) = stream.next().await {
        let txn = txn?;
        cache.apply_txn(&txn, txn.schemas())?;
        txn.for_each(|event| {
            if !matches!(event.op, Op::Insert | Op::Update) || event.key.is_empty() {
                return Ok(());
            }
            let key = if event.new_key.is_empty() { event.key } else { event.new_key };
            let table = &txn.schemas().get(event.schema)?.table;
            let Some(row) = cache.state().get(&Relation::from(table), key.bytes())? else {
                return Ok(());
            };
            print!("{table}:");
            for value in Row::new(&row).values(table) {
                let (column, value) = value?;
                print!(" {}={value}", column.name);
            }
            println!();
            Ok(())
        })?;
    }
    Ok(())
}
