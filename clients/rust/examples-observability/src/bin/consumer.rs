//! A consumer with metrics: prints the changes of a slot, and shows Prometheus how it does.
//!
//!     consumer -slot shop -listen 127.0.0.1:9182 -letters /var/lib/shop/letters \
//!         -checkpoint shop.checkpoint -versions public.orders=1
//!     curl -s 127.0.0.1:9182/metrics | grep ^cdc_
//!
//! The source is where the PG* environment points to.

use std::collections::BTreeMap;
use std::error::Error;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pgcdc::metrics::Recorder;
use pgcdc::{ConnectConfig, DeadLetterDir, FileStore, StreamConfig, VersionPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = options(std::env::args().skip(1))?;
    let option = |name: &str| options.get(name).map_or("", String::as_str);
    let slot = option("-slot");
    let listener = TcpListener::bind(option("-listen")).await?;
    tokio::spawn(show(listener, PrometheusBuilder::new().install_recorder()?));

    // the label tells consumers apart; the server's own metrics have it, too
    let metrics = Recorder { labels: vec![("slot", slot.to_owned())] };
    let mut config = StreamConfig::new(ConnectConfig::parse("")?, slot)
        .create_slot()
        .option("messages", "cdc.heartbeat") // what always comes, if somebody writes it
        .checkpoint(FileStore::new(option("-checkpoint")))
        .dead_letters(DeadLetterDir::new(option("-letters")))
        .metrics(metrics);
    if let Some((table, version)) = option("-versions").split_once('=') {
        // columns are looked up by their names here: counting will do
        config = config.version(table, version.parse()?).on_version(VersionPolicy::Pass);
        config.request_versions = false;
    }
    let mut stream = config.start().await?;
    let mut stop = signal(SignalKind::terminate())?;
    loop {
        let txn = tokio::select! {
            txn = stream.next() => txn,
            _ = stop.recv() => break,
        };
        let Some(txn) = txn.transpose()? else { break };
        let mut changes = txn.changes();
        while let Some(change) = changes.next() {
            let change = change?;
            let table = change.table().map(ToString::to_string).unwrap_or_default();
            println!("{} {:?} {table}", change.position, change.op);
        }
        stream.ack(&txn);
    }
    Ok(stream.close().await?)
}

fn options(mut args: impl Iterator<Item = String>) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    Ok(options)
}

/// Answers whatever is asked with all metrics, which is what Prometheus asks for.
async fn show(listener: TcpListener, metrics: PrometheusHandle) -> Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let mut request = [0; 4096];
            if !matches!(socket.read(&mut request).await, Ok(n) if n > 0) {
                return;
            }
            let body = metrics.render();
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        });
    }
}
