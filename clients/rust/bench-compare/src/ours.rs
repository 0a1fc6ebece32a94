//! cdc, read by its client.

use std::hint::black_box;

use pgcdc::{Change, ConnectConfig, Decoder, StreamConfig, Table, Value};

use crate::{workload, Result, Tally};

/// What `codegen/generate.sh` made of `cdc.proto('mixed')`.
mod rows {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rows/cdc.rows.public.mixed.v1.rs"));
}
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/rows/mixed.fds"));

async fn read(
    events: u64,
    mut each: impl FnMut(&Change<'_>, &Table, &mut Tally) -> Result<()>,
) -> Result<Tally> {
    let mut config = ConnectConfig::from_env()?;
    config.dbname = workload::DATABASE.into();
    let mut stream = StreamConfig::new(config, workload::slot("cdc")).start().await?;
    let mut tally = Tally::default();
    while tally.events < events {
        let Some(delivery) = stream.next_batch().await else { break };
        let delivery = delivery?;
        for change in delivery.changes() {
            let change = change?;
            let Some(table) = change.table() else { continue };
            tally.events += 1;
            each(&change, table, &mut tally)?;
        }
    }
    Ok(tally)
}

/// Every value, as it is in the batch.
pub async fn views(events: u64) -> Result<Tally> {
    read(events, |change, table, tally| {
        for value in change.key.values(table).chain(change.new.values(table)) {
            let (column, value) = value?;
            if let (2, Value::Int32(n)) = (column.number, value) {
                tally.quantity += i64::from(n);
            }
            tally.values += 1;
            black_box(&value);
        }
        tally.values += change.nulls().count() as u64;
        Ok(())
    })
    .await
}

/// The struct that prost makes of `cdc.proto()`.
pub async fn typed(events: u64) -> Result<Tally> {
    let mut mixed = Decoder::<rows::Mixed>::new(DESCRIPTORS, "cdc.rows.public.mixed.v1.Mixed")?;
    read(events, |change, _, tally| {
        let Some(schema) = change.schema else { return Ok(()) };
        if let Some(row) = mixed.after(schema, change)? {
            tally.quantity += i64::from(row.quantity.unwrap_or(0));
            black_box(&row);
        }
        Ok(())
    })
    .await
}
