//! A copy of the table public.orders, kept from a topic, with typed rows: what both programs
//! do, whatever the broker is.

mod state;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pgcdc::topic::{Applier, Error, Progress, Reader, Record};
use pgcdc::{ConnectConfig, Connection, Decoder, Limits, MemoryState};

/// Generated from `cdc.proto('public.orders')`.
mod rows {
    include!("../../examples/rows/cdc.rows.public.orders.v1.rs");
}
pub use rows::Orders;

const DESCRIPTORS: &[u8] = include_bytes!("../../examples/rows/orders.fds");

const SOURCE: &str = "SELECT id, customer, total, \
    (extract(epoch FROM placed) * 1000000)::int8 - 946684800000000, array_to_string(tags, ',') \
    FROM public.orders ORDER BY id";

/// How long the copy may take to become the source's.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills [`Orders`].
pub fn orders() -> Result<Decoder<Orders>, Error> {
    Ok(Decoder::new(DESCRIPTORS, "cdc.rows.public.orders.v1.Orders")?)
}

/// The copy.
pub struct Copy {
    reader: Reader,
    applier: Applier<MemoryState>,
    decoder: Decoder<Orders>,
    file: PathBuf,
    applied: u64,
    saved: u64,
    /// To compare with.
    source: Option<ConnectConfig>,
    begun: Instant,
}

impl Copy {
    /// Goes on with what the file has. With a source it is compared with that: see
    /// [`Copy::rest`].
    pub fn open(file: impl Into<PathBuf>, source: Option<&str>) -> Result<Self, Error> {
        let file = file.into();
        Ok(Copy {
            reader: Reader::default(),
            applier: Applier::new(state::load(&file)?)?,
            decoder: orders()?,
            file,
            applied: 0,
            saved: 0,
            source: source.map(ConnectConfig::parse).transpose()?,
            begun: Instant::now(),
        })
    }

    /// Where each partition was left.
    pub fn progress(&self) -> &Progress {
        self.applier.progress()
    }

    /// Applies a record. One that has been applied before does nothing.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let message = self.reader.read(record)?;
        self.applied += u64::from(self.applier.apply(&message)?);
        if self.applied - self.saved >= 10_000 {
            self.save()?;
        }
        Ok(())
    }

    /// Rows and progress reach the disk together.
    fn save(&mut self) -> Result<(), Error> {
        self.applier.save()?;
        let file = &self.file;
        self.applier.with_state(|state| state::save(state, file))?;
        self.saved = self.applied;
        Ok(())
    }

    /// Nothing more has come for a while. Whether that is all: when the copy is the source's.
    pub async fn rest(&mut self) -> Result<bool, Error> {
        if self.applied > self.saved {
            self.save()?;
        }
        let Some(source) = &self.source else { return Ok(false) };
        let mut source = Connection::connect(source, &Limits::DEFAULT).await?;
        let wanted: Vec<String> = source
            .query(SOURCE)
            .await?
            .into_iter()
            .map(|row| {
                row.iter().map(|c| c.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
            })
            .collect();
        let found: Vec<_> = self.rows()?.iter().map(as_text).collect();
        if found == wanted {
            println!("{} changes applied, {} rows equal", self.applied, found.len());
            return Ok(true);
        }
        if self.begun.elapsed() > PATIENCE {
            let other = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
            eprintln!("{} rows, {} wanted, such as {other:?}", found.len(), wanted.len());
            std::process::exit(1);
        }
        Ok(false)
    }

    /// All rows, in the order of their ids.
    pub fn rows(&mut self) -> Result<Vec<Orders>, Error> {
        let Copy { applier, decoder, .. } = self;
        let mut rows = Vec::new();
        let orders = pgcdc::Relation { schema: "public".into(), name: "orders".into() };
        applier.rows(&orders, |schema, row| {
            rows.push(decoder.row(schema, row)?);
            Ok(())
        })?;
        rows.sort_by_key(|order: &Orders| order.id);
        Ok(rows)
    }
}

/// As the source gives it.
fn as_text(order: &Orders) -> String {
    let null = || "NULL".to_owned();
    [
        order.id.map_or_else(null, |id| id.to_string()),
        order.customer.clone().unwrap_or_else(null),
        order.total.clone().unwrap_or_else(null),
        order.placed.map_or_else(null, |placed| placed.to_string()),
        order.tags.as_ref().map_or_else(null, |tags| tags.values.join(",")),
    ]
    .join("|")
}
