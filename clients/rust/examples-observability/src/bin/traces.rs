//! Handles the transactions of a slot, each in a span that has a link to the one which wrote it
//! (`cdc.set_traceparent()`), and prints these spans. With a number it ends after so many.
//!
//!     traces SLOT [COUNT]
//!
//! The source is where the PG* environment points to. The exporter here keeps spans in memory;
//! take one of opentelemetry-otlp's instead.

use std::error::Error;

use opentelemetry::trace::{Link, Span, SpanKind, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use pgcdc::{ConnectConfig, Op, StreamConfig, TraceParent, Txn};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let slot = args.next().ok_or("usage: traces SLOT [COUNT]")?;
    let count = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let tracer = provider.tracer("consumer");

    let mut stream =
        StreamConfig::new(ConnectConfig::parse("")?, slot).create_slot().start().await?;
    let mut handled = 0;
    while let Some(txn) = stream.next().await {
        let txn = txn?;
        let traceparent = txn.metadata.iter().find(|(key, _)| key == "traceparent");
        if let Some(parent) = traceparent.and_then(|(_, value)| TraceParent::parse(value)) {
            let builder = tracer.span_builder("handle transaction");
            let builder =
                builder.with_kind(SpanKind::Consumer).with_links(vec![Link::from(parent)]);
            let mut span = builder.start(&tracer);
            handle(&txn)?;
            span.end();
            handled += 1;
        }
        stream.ack(&txn);
        print(&spans)?;
        if handled == count {
            break;
        }
    }
    Ok(stream.close().await?)
}

/// What the consumer does with a transaction.
fn handle(txn: &Txn) -> Result<()> {
    let mut changes = txn.changes();
    while let Some(change) = changes.next() {
        let change = change?;
        if change.op != Op::Schema {
            println!("{} {:?}", change.position, change.op);
        }
    }
    Ok(())
}

/// What a tracing system would get.
fn print(spans: &InMemorySpanExporter) -> Result<()> {
    for span in spans.get_finished_spans()? {
        let context = &span.span_context;
        print!("span {:?} trace {} span {}", span.name, context.trace_id(), context.span_id());
        for link in span.links.iter() {
            let to = &link.span_context;
            print!(" linked to trace {} span {}", to.trace_id(), to.span_id());
        }
        println!();
    }
    spans.reset();
    Ok(())
}
