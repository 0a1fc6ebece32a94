//! A change, and which of them are passed on.

use std::ops::Deref;

use super::about::About;
use super::config::StreamConfig;
use super::letters::set_aside;
use super::metrics::Counter;
use super::store::deadletter::{Policy, Reason};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::model::event::{Event, Op};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::table::Table;

/// A change: an event and the schema of its relation.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The event.
    pub event: Event<'a>,
    /// Of its relation; `None` for a message, and for a relation that is gone.
    pub schema: Option<&'a Schema>,
}

impl<'a> Change<'a> {
    /// The table; `None` for a message, and for a relation that is gone.
    pub fn table(&self) -> Option<&'a Table> {
        self.schema.map(|schema| &schema.table)
    }

    /// The major version of the relation that the rows are in; 0 for a message, and for
    /// a relation that is gone or not registered.
    pub fn version(&self) -> u32 {
        self.schema.map_or(0, |schema| schema.version)
    }
}

impl<'a> Deref for Change<'a> {
    type Target = Event<'a>;

    fn deref(&self) -> &Event<'a> {
        &self.event
    }
}

/// Events by op, so that metrics are told once for a batch.
#[derive(Debug, Default)]
struct Counts {
    ops: [(Option<Op>, u64); 10],
    redacted: u64,
    unknown: u64,
}

impl Counts {
    fn add(&mut self, op: Op) {
        let free = self.ops.iter_mut().find(|(known, _)| known.is_none_or(|known| known == op));
        if let Some((known, n)) = free {
            *known = Some(op);
            *n += 1;
        }
    }
}

/// Passes changes on, unless the policies say otherwise, and counts them.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    /// `None`: whatever cannot be handled is an error.
    config: Option<&'a StreamConfig>,
    counts: Counts,
    last: Option<(&'a Schema, bool)>,
    passed: Option<&'a Schema>,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(config: Option<&'a StreamConfig>) -> Self {
        Sieve { config, counts: Counts::default(), last: None, passed: None }
    }

    /// Fields that this version does not know.
    pub(super) fn unknown(&mut self, fields: u32) {
        self.counts.unknown += u64::from(fields);
    }

    /// That of the change that was passed on last.
    pub(super) fn last(&self) -> Option<&'a Schema> {
        self.passed
    }

    /// Schemas may have been announced with other versions since.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn schema(
        &mut self,
        fingerprint: u64,
        schemas: &'a SchemaCache,
    ) -> Result<(&'a Schema, bool), Damage> {
        match self.last {
            Some(last) if last.0.fingerprint == fingerprint => Ok(last),
            _ => {
                let schema = &**schemas.get(fingerprint)?;
                let redacted = schema.table.columns.iter().any(|column| column.is_redacted());
                self.last = Some((schema, redacted));
                Ok((schema, redacted))
            }
        }
    }

    /// The change; `None` if it is passed over. `alone` makes a batch of it.
    pub(super) fn change<'e>(
        &mut self,
        event: Event<'e>,
        schemas: &'a SchemaCache,
        alone: impl Fn(&Event<'_>, Option<&Schema>) -> Result<Vec<u8>, Damage>,
    ) -> Result<Option<Change<'e>>, Error>
    where
        'a: 'e,
    {
        self.unknown(event.unknown_fields());
        let config = self.config;
        let dispose = |reason, schema: Option<&Schema>, error: Error| match config {
            Some(config) => {
                let about = About::new(event.schema, schema);
                set_aside(config, reason, event.position, about, &alone(&event, schema)?, error)
            }
            None => Err(error),
        };
        let mut schema = None;
        if event.schema != 0 {
            match self.schema(event.schema, schemas) {
                Ok((found, redacted)) => {
                    schema = Some(found);
                    self.counts.redacted += u64::from(redacted);
                }
                Err(damage) => {
                    return dispose(damage.into(), None, damage.into()).map(|()| None);
                }
            }
        }
        let passes = config.is_some_and(|config| config.on_failure == Policy::Pass);
        if let Some(failure) = event.failure.filter(|_| !passes) {
            let error = Error::Failure {
                position: event.position,
                sqlstate: failure.sqlstate.into(),
                message: failure.message.into(),
            };
            return dispose(Reason::Failure, schema, error).map(|()| None);
        }
        self.counts.add(event.op);
        self.passed = schema;
        Ok(Some(Change { event, schema }))
    }
}

impl Drop for Sieve<'_> {
    fn drop(&mut self) {
        let Some(metrics) = self.config.map(|config| &config.metrics) else { return };
        for (op, n) in self.counts.ops {
            if let Some(op) = op {
                metrics.add(Counter::Events(op), n);
            }
        }
        for (counter, n) in [
            (Counter::Redacted, self.counts.redacted),
            (Counter::UnknownFields, self.counts.unknown),
        ] {
            if n > 0 {
                metrics.add(counter, n);
            }
        }
    }
}
