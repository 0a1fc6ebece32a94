//! Lives through a breaking change of a table: says which version it reads, takes both
//! while the older one lasts, and tells the registry, so that the next change of the
//! kind is noticed where it is made.
//!
//!     cargo run --example versions -- CONNINFO SLOT SCHEMA.TABLE VERSION
//!
//! With the version that the table has it reads that one; with an older one it reads
//! rows in that, as long as the server can send them so, and then ends.

use std::collections::BTreeMap;

use pgcdc::{Change, Compression, ConnectConfig, Connection, Limits, Router, StreamConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = read().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn read() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [conninfo, slot, relation, version] = &args[..] else {
        return Err("usage: versions CONNINFO SLOT SCHEMA.TABLE VERSION".into());
    };
    let server = ConnectConfig::parse(conninfo)?;
    let version: u32 = version.parse()?;

    // a change that breaks this one is refused from now on, or says whom it breaks
    let mut sql = Connection::connect(&server, &Limits::DEFAULT).await?;
    sql.register_reader("examples/versions", relation, version).await?;
    sql.close().await;

    let mut topics: BTreeMap<String, u64> = BTreeMap::new();
    let mut router =
        Router::new(|change: &Change<'_>| format!("{:?} of something else", change.op));
    router.route(relation, version, |change| {
        let name = change.schema.map(|schema| schema.versioned_name()).unwrap_or_default();
        *topics.entry(name.clone()).or_default() += 1;
        format!("{name}: {:?}, {} of its kind", change.op, topics[&name])
    })?;

    let mut stream = StreamConfig::new(server, slot)
        .compression(Compression::Lz4)
        .version(relation, version)
        .start()
        .await?;
    while let Some(txn) = stream.next().await {
        let txn = txn?;
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            println!("{}", router.dispatch(&change?));
        }
        stream.ack(&txn);
    }
    Ok(())
}
