//! pgoutput, read by the crate pg_walstream: of what is published, the one that
//! decodes rows, also into structs, and is well kept. (pgwire-replication hands out
//! undecoded messages.)

use std::hint::black_box;
use std::time::Duration;

use pg_walstream::{
    CancellationToken, ColumnValue, EventType, LogicalReplicationStream, ReplicationStreamConfig,
    RetryConfig, RowData, StreamingMode,
};
use pgcdc::ConnectConfig;
use serde::Deserialize;

use crate::{workload, Result, Tally};

/// Text where the crate has no type of its own: it does not parse what stays text.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Owned {
    id: i64,
    quantity: i32,
    price: Option<String>,
    code: String,
    note: Option<String>,
    paid: Option<bool>,
    made: Option<String>,
    weight: Option<f64>,
    token: Option<String>,
    extra: Option<String>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Borrowed<'a> {
    id: i64,
    quantity: i32,
    price: Option<&'a str>,
    code: &'a str,
    note: Option<&'a str>,
    paid: Option<bool>,
    made: Option<&'a str>,
    weight: Option<f64>,
    token: Option<&'a str>,
    extra: Option<&'a str>,
}

async fn read(
    binary: bool,
    events: u64,
    mut each: impl FnMut(&RowData, &mut Tally) -> Result<()>,
) -> Result<Tally> {
    let c = ConnectConfig::from_env()?;
    let host = &c.hosts[0];
    if host.name.starts_with('/') {
        return Err("pg_walstream needs TCP: PGHOST must be a name or an address".into());
    }
    let config = ReplicationStreamConfig::new(
        workload::slot("pgoutput"),
        "compare".into(),
        1,
        StreamingMode::Off,
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_secs(60),
        RetryConfig::default(),
    )
    .with_binary(binary);
    let password = c.password.map(|password| format!(":{password}")).unwrap_or_default();
    let url = format!(
        "postgresql://{}{password}@{}:{}/{}?replication=database&sslmode=disable",
        c.user,
        host.name,
        host.port,
        workload::DATABASE
    );
    let mut stream = LogicalReplicationStream::new(&url, config).await?;
    stream.start(None).await?;
    let token = CancellationToken::new();
    let mut tally = Tally::default();
    while tally.events < events {
        match stream.next_event(&token).await?.event_type {
            EventType::Insert { data, .. } => {
                tally.events += 1;
                each(&data, &mut tally)?;
            }
            EventType::Update { new_data, .. } => {
                tally.events += 1;
                each(&new_data, &mut tally)?;
            }
            _ => (),
        }
    }
    Ok(tally)
}

/// Every value as it was sent: nothing is parsed.
async fn values(binary: bool, events: u64) -> Result<Tally> {
    read(binary, events, |row, tally| {
        for (name, value) in row.iter() {
            tally.values += u64::from(!matches!(value, ColumnValue::Null));
            black_box((name, value));
        }
        Ok(())
    })
    .await
}

pub async fn text(events: u64) -> Result<Tally> {
    values(false, events).await
}

pub async fn binary(events: u64) -> Result<Tally> {
    values(true, events).await
}

pub async fn owned(events: u64) -> Result<Tally> {
    read(false, events, |row, tally| {
        let row: Owned = row.deserialize_into()?;
        tally.quantity += i64::from(row.quantity);
        black_box(&row);
        Ok(())
    })
    .await
}

pub async fn borrowed(events: u64) -> Result<Tally> {
    read(false, events, |row, tally| {
        let row: Borrowed<'_> = row.deserialize_borrowed()?;
        tally.quantity += i64::from(row.quantity);
        black_box(&row);
        Ok(())
    })
    .await
}
