//! Prints orders as structs that prost generated from `cdc.proto()`: whole rows where the table
//! is under REPLICA IDENTITY FULL.
//!
//!     cargo run --example typed -- "host=/run/postgresql dbname=shop" SLOT

use pgcdc::{ConnectConfig, Decoder, Error, FileStore, StreamConfig};

mod rows {
    include!("rows/cdc.rows.public.orders.v1.rs");
}
const DESCRIPTORS: &[u8] = include_bytes!("rows/orders.fds");

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = print_orders().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn print_orders() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let server = ConnectConfig::parse(&args.next().unwrap_or_default())?;
    let slot = args.next().unwrap_or("orders".into());
    let mut orders = Decoder::<rows::Orders>::new(DESCRIPTORS, "cdc.rows.public.orders.v1.Orders")?;
    let mut stream = StreamConfig::new(server, &slot)
        .create_slot()
        .option("tables", "public.orders")
        .option("old", "full")
        .checkpoint(FileStore::new(format!("{slot}.json")))
        .start()
        .await?;
    while let Some(txn) = stream.next().await {
        let txn = txn?;
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            let change = change?;
            let Some(schema) = change.schema else { continue };
            let (before, after) = (orders.before(schema, &change)?, orders.after(schema, &change)?);
            println!(
                "{} {:?}\n  before {before:?}\n  after  {after:?}",
                change.position, change.op
            );
        }
        stream.ack(&txn);
    }
    Ok(())
}
