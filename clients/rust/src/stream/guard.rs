//! Compares the versions that rows come in with those that are expected.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use prost::Message;

use super::about::About;
use super::metrics::{Counter, Metrics};
use super::versions::{Convert, VersionPolicy};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::base::relation::{split, Relation};
use crate::base::version::VersionError;
use crate::model::batch::{Batch, Outcome, SchemaVersion};
use crate::model::event::{Event, Op};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::single::put_schema;
use crate::pb;
use crate::wire::field::{put_bytes, put_varint, Fields};

/// What is expected, by relation.
pub(crate) type Expected = HashMap<Relation, u32>;

/// # Errors
/// A name that is none, a version that is none.
pub(crate) fn expected(versions: &BTreeMap<String, u32>) -> Result<Expected, Error> {
    let entry = |(name, &version): (&String, &u32)| match name.parse::<Relation>() {
        Ok(_) if version == 0 => Err(Error::Config(format!("the version of {name} must not be 0"))),
        Ok(relation) => Ok((relation, version)),
        Err(error) => Err(Error::Config(format!("versions: {name}: {error}"))),
    };
    versions.iter().map(entry).collect()
}

/// The value of the option `versions`.
pub(crate) fn option(expected: &Expected) -> String {
    let mut all: Vec<_> =
        expected.iter().map(|(name, version)| format!("{name}={version}")).collect();
    all.sort();
    all.join(",")
}

/// What a value of the option asks for; what cannot be read is for the server to say.
fn asked_for(mut text: &str) -> Expected {
    let mut expected = Expected::new();
    while let Some((relation, rest)) = split(text) {
        let (version, rest) = rest.split_once(',').unwrap_or((rest, ""));
        if let Some(version) = version.strip_prefix('=').and_then(|v| v.trim().parse().ok()) {
            expected.insert(relation, version);
        }
        text = rest.trim_start();
    }
    expected
}

/// Compares what comes with what is expected.
#[derive(Clone)]
pub(crate) struct Guard {
    expected: Expected,
    policy: VersionPolicy,
    metrics: Arc<dyn Metrics>,
    /// Of which a log tells.
    slot: String,
    mismatches: HashMap<u64, VersionError>,
    /// Events of open transactions, by xid, that were set aside.
    missing: HashMap<u32, u64>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl Guard {
    pub(crate) fn new(
        expected: Expected,
        policy: VersionPolicy,
        metrics: Arc<dyn Metrics>,
        slot: &str,
    ) -> Self {
        let (mismatches, missing) = Default::default();
        Guard { expected, policy, metrics, slot: slot.to_owned(), mismatches, missing }
    }

    /// Of the value of the option `versions`: other rows than it asks for are refused.
    pub(crate) fn of_option(value: &str) -> Self {
        Self::new(asked_for(value), VersionPolicy::Refuse, Arc::new(()), "")
    }

    /// A connection has ended: open transactions come again.
    pub(crate) fn disconnected(&mut self) {
        self.missing.clear();
    }

    /// A schema has been announced.
    pub(crate) fn note(&mut self, schema: &Schema) {
        if self.expected.is_empty() {
            return;
        }
        let relation = Relation::from(&schema.table);
        let wanted = self.expected.get(&relation).copied();
        let fits = wanted.is_none_or(|wanted| wanted == schema.version);
        if fits && schema.unmapped.is_empty() {
            self.mismatches.remove(&schema.fingerprint);
            return;
        }
        let mismatch = VersionError {
            relation,
            wanted: wanted.unwrap_or(0),
            got: schema.version,
            reason: schema.unmapped.as_ref().into(),
        };
        let About { relation, fingerprint, version } = About::new(schema.fingerprint, Some(schema));
        tracing::warn!(slot = self.slot, relation, fingerprint, version, expected = mismatch.wanted,
            error = %mismatch, "rows come in another version");
        self.mismatches.insert(schema.fingerprint, mismatch);
    }

    /// Takes up the schemas of a batch that are new or other than they were.
    pub(crate) fn add_all(
        &mut self,
        batch: &Batch<'_>,
        schemas: &mut Arc<SchemaCache>,
    ) -> Result<(), Damage> {
        for version in batch.schemas() {
            let version = version?;
            if !schemas.has(&version) {
                // cloned only while a delivery of before is still held
                Arc::make_mut(schemas).add(&version)?;
                self.note(schemas.get(version.fingerprint)?);
            }
        }
        Ok(())
    }

    /// The batch that it is now, if it is another one. `set_aside` is what becomes of
    /// events that could not be converted.
    pub(crate) fn check(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
        mut set_aside: impl FnMut(&Event<'_>, &Schema, Error) -> Result<(), Error>,
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.mismatches.is_empty() && self.missing.is_empty() {
            return Ok(None);
        }
        let mut concerned = self.count(batch)?;
        let converter = match self.policy.clone() {
            VersionPolicy::Convert(converter) => Some(converter),
            VersionPolicy::Skip | VersionPolicy::DeadLetter => None,
            VersionPolicy::Refuse | VersionPolicy::Pass => return Ok(None),
        };
        if let Some(t) = &batch.transaction {
            if batch.part == 0 {
                self.missing.remove(&t.xid);
            }
            concerned |= self.missing.contains_key(&t.xid);
        }
        concerned |= batch.schemas().flatten().any(|version| self.is_other(&version));
        match concerned {
            true => self.rewrite(converter.as_deref(), batch, schemas, &mut set_aside).map(Some),
            false => Ok(None),
        }
    }

    fn is_other(&self, version: &SchemaVersion<'_>) -> bool {
        self.mismatches.contains_key(&version.fingerprint)
    }

    /// Whether there are events in other versions. What cannot be read is found by
    /// whoever reads it.
    fn count(&self, batch: &Batch<'_>) -> Result<bool, Error> {
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let mut concerned = false;
        for event in batch.events().flatten() {
            let Some(mismatch) = self.mismatches.get(&event.schema) else { continue };
            concerned = true;
            // it has no row
            if event.op == Op::Schema {
                continue;
            }
            if let VersionPolicy::Refuse = self.policy {
                self.tell(mismatch, 1);
                return Err(Error::Version(mismatch.clone()));
            }
            *counts.entry(event.schema).or_default() += 1;
        }
        for (fingerprint, n) in &counts {
            self.tell(&self.mismatches[fingerprint], *n);
        }
        Ok(concerned)
    }

    fn tell(&self, mismatch: &VersionError, n: u64) {
        let relation = mismatch.relation.to_string();
        self.metrics.add_for(Counter::SchemaVersionMismatches, &relation, n);
    }

    /// The batch with its events converted, and the schemas that they have then; without a
    /// converter without them. What cannot be read stays as it is.
    fn rewrite(
        &mut self,
        converter: Option<&dyn Convert>,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
        set_aside: &mut dyn FnMut(&Event<'_>, &Schema, Error) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(batch.bytes().len());
        let (mut announced, mut missing) = (Vec::new(), 0);
        for field in Fields::new(batch.bytes()) {
            let field = field?;
            let other = match field.number {
                5 => continue,
                6 => {
                    if !self.is_other(&SchemaVersion::parse(field.value.bytes()?)?) {
                        out.extend_from_slice(field.raw);
                    }
                    continue;
                }
                7 => batch.event(field.value.bytes()?).ok(),
                _ => None,
            };
            let other = other.and_then(|event| Some((event, self.mismatches.get(&event.schema)?)));
            let Some((event, mismatch)) = other else {
                out.extend_from_slice(field.raw);
                continue;
            };
            let schema = schemas.get(event.schema)?;
            let mut message =
                pb::ChangeEvent::decode(event.bytes()).map_err(|_| Damage::Malformed("event"))?;
            let converted = match converter {
                Some(converter) => {
                    converter.convert(mismatch, schema, &mut message).map_err(Error::Other)
                }
                None => Err(Error::Version(mismatch.clone())),
            };
            match converted {
                Ok(target) => {
                    if !announced.contains(&target.fingerprint) {
                        announced.push(target.fingerprint);
                        put_schema(&mut out, &target);
                    }
                    message.schema = target.fingerprint;
                    put_bytes(&mut out, 7, &message.encode_to_vec());
                }
                Err(error) => {
                    missing += 1;
                    if event.op != Op::Schema {
                        set_aside(&event, schema, error)?;
                    }
                }
            }
        }
        self.put_event_count(&mut out, batch, missing);
        Ok(out)
    }

    /// Of the whole transaction, without those that were set aside.
    fn put_event_count(&mut self, out: &mut Vec<u8>, batch: &Batch<'_>, missing: u64) {
        let Some(t) = &batch.transaction else { return };
        let missing = missing + self.missing.remove(&t.xid).unwrap_or(0);
        if batch.outcome == Outcome::Open {
            if missing > 0 {
                self.missing.insert(t.xid, missing);
            }
        } else if batch.event_count > missing {
            out.push(5 << 3);
            put_varint(out, batch.event_count - missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations() {
        let versions = |all: &[(&str, u32)]| {
            all.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect()
        };
        let found = expected(&versions(&[("public.Orders", 2), ("\"A\".b", 1)])).unwrap();
        assert_eq!(option(&found), "\"A\".b=1,public.orders=2");
        assert_eq!(asked_for(&option(&found)), found);
        assert_eq!(asked_for("\"A\".b=1, Public.orders=2"), found);
        for wrong in [[("orders", 1)], [("public.orders", 0)]] {
            assert!(matches!(expected(&versions(&wrong)), Err(Error::Config(_))));
        }
    }
}
