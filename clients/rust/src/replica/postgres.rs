//! Rows in tables of PostgreSQL.

use std::collections::HashMap;
use std::sync::Arc;

use super::applier::Applier;
use super::held::{Changes, Held, Moves, Pairs};
use super::wants::Wants;
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::base::position::Position;
use crate::base::relation::Relation;
use crate::model::batch::{Batch, Outcome, SchemaVersion};
use crate::model::schema::{fingerprint, Schema, SchemaCache};
use crate::net::config::ConnectConfig;
use crate::net::connection::{Connection, Rows};
use crate::stream::txn::Txn;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS cdc_applier (\
    name text PRIMARY KEY, position text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now()); \
    CREATE TABLE IF NOT EXISTS cdc_applier_schema (\
    name text, relation text, descriptor bytea NOT NULL, PRIMARY KEY (name, relation)); \
    CREATE TABLE IF NOT EXISTS cdc_applier_row (\
    name text, relation text, digest bytea, key bytea NOT NULL, value bytea NOT NULL, \
    PRIMARY KEY (name, relation, digest))";

// a key can be longer than an index takes
const READ: &str = "SELECT encode(r.key, 'hex'), encode(r.value, 'hex') \
    FROM unnest($3::bytea[]) AS k JOIN cdc_applier_row AS r ON r.digest = sha256(k) \
    WHERE r.name = $1 AND r.relation = $2";
const READ_ALL: &str = "SELECT encode(key, 'hex'), encode(value, 'hex') \
    FROM cdc_applier_row WHERE name = $1 AND relation = $2";
const WRITE: &str = "INSERT INTO cdc_applier_row (name, relation, digest, key, value) \
    SELECT $1, $2, sha256(k), k, v FROM unnest($3::bytea[], $4::bytea[]) AS u (k, v) \
    ON CONFLICT (name, relation, digest) DO UPDATE SET value = EXCLUDED.value";
const DELETE: &str = "DELETE FROM cdc_applier_row WHERE name = $1 AND relation = $2 \
    AND digest IN (SELECT sha256(k) FROM unnest($3::bytea[]) AS k)";
const DELETE_ALL: &str = "DELETE FROM cdc_applier_row WHERE name = $1 AND relation = $2";
// two may exchange their names: first to one that none has, then to the new one
const MOVE: &str = "UPDATE cdc_applier_row SET relation = $3 WHERE name = $1 AND relation = $2";
const FORGET: &str = "DELETE FROM cdc_applier_schema WHERE name = $1 AND relation = $2";
const SCHEMA: &str = "INSERT INTO cdc_applier_schema (name, relation, descriptor) \
    VALUES ($1, $2, $3::bytea) \
    ON CONFLICT (name, relation) DO UPDATE SET descriptor = EXCLUDED.descriptor";
// no row: somebody else was here meanwhile
const COMMIT: &str = "INSERT INTO cdc_applier AS a (name, position) VALUES ($1, $2) \
    ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position, updated_at = now() \
    WHERE a.position = $3 RETURNING 1";

/// An [`Applier`] whose rows are in tables of a PostgreSQL database, and which waits for
/// that database without blocking. What it does of a transaction is one transaction there,
/// together with the position: no crash repeats or loses a change.
///
/// ```no_run
/// # use pgcdc::{ConnectConfig, Error, PostgresApplier, Stream};
/// # async fn copy(target: ConnectConfig, mut stream: Stream) -> Result<(), Error> {
/// PostgresApplier::create_tables(&target).await?;
/// let mut copy = PostgresApplier::open(target, "orders").await?;
/// while let Some(delivery) = stream.next_batch().await {
///     let delivery = delivery?;
///     copy.apply_batch(&delivery.batch()?, delivery.schemas()).await?;
///     stream.ack(&delivery);
/// }
/// # Ok(())
/// # }
/// ```
///
/// What a batch needs is read with one statement for each table, and what it changes is written
/// with two. After an error, or where a call was given up, its last commit is what there is:
/// open it again. Rows are bytes there, as an [`Applier`] has them.
#[derive(Debug)]
pub struct PostgresApplier {
    name: String,
    applier: Applier<Held>,
    /// Taken out while it is at work, and not put back after an error.
    connection: Option<Connection>,
    /// Of a transaction.
    inside: bool,
    committed: Position,
    /// The schemas that are stored.
    stored: HashMap<Relation, u64>,
}

impl PostgresApplier {
    /// Makes the tables `cdc_applier`, `cdc_applier_schema` and `cdc_applier_row`, unless they exist.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn create_tables(config: &ConnectConfig) -> Result<(), Error> {
        let mut connection = Connection::connect(config, &Limits::DEFAULT).await?;
        connection.query(TABLES).await.map(drop)
    }

    /// Connects, and goes on with what was committed under a name. Several can share a database.
    ///
    /// # Errors
    /// The server's, the network's; rows in the tables that are none of its own.
    pub async fn open(config: ConnectConfig, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let mut connection = Connection::connect(&config, &Limits::DEFAULT).await?;
        let sql = "SELECT position FROM cdc_applier WHERE name = $1";
        let position = match first(connection.query_with(sql, &[Some(&name)]).await?) {
            None => Position::default(),
            Some(text) => text.parse().map_err(|_| damaged("cdc_applier"))?,
        };
        let sql = "SELECT encode(descriptor, 'hex') FROM cdc_applier_schema WHERE name = $1";
        let mut schemas = SchemaCache::new(Limits::DEFAULT);
        let mut tables = Vec::new();
        for row in connection.query_with(sql, &[Some(&name)]).await? {
            let bytes = first(vec![row]).as_deref().and_then(unhex);
            let bytes = bytes.ok_or_else(|| damaged("cdc_applier_schema"))?;
            let fingerprint = fingerprint(&bytes);
            schemas.add(&SchemaVersion { fingerprint, table: &bytes, ..Default::default() })?;
            tables.push(schemas.get(fingerprint)?.clone());
        }
        let stored = tables.iter().map(|s| (Relation::from(&s.table), s.fingerprint)).collect();
        let applier = Applier::resume(Held::default(), position, tables);
        let connection = Some(connection);
        let committed = position;
        Ok(PostgresApplier { name, applier, connection, inside: false, committed, stored })
    }

    /// Applies the events of a batch of a committed transaction, and commits with the last one.
    ///
    /// # Errors
    /// Those of [`Applier::apply_batch`], the server's, the network's.
    pub async fn apply_batch(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
    ) -> Result<(), Error> {
        let mut wants = Wants::default();
        for event in batch.events() {
            self.applier.wants(&event?, schemas, &mut wants)?;
        }
        let mut connection = self.take()?;
        self.read(&mut connection, wants).await?;
        self.applier.apply_batch(batch, schemas)?;
        self.write(&mut connection, batch.is_end()).await?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Applies a transaction that was put together, if it is committed, and commits it. The rows
    /// that it changes are in memory meanwhile.
    ///
    /// # Errors
    /// As [`PostgresApplier::apply_batch`].
    pub async fn apply_txn(
        &mut self,
        transaction: &Txn,
        schemas: &SchemaCache,
    ) -> Result<(), Error> {
        if transaction.outcome != Outcome::Committed {
            return Ok(());
        }
        let mut wants = Wants::default();
        transaction.for_each(|event| self.applier.wants(event, schemas, &mut wants))?;
        let mut connection = self.take()?;
        self.read(&mut connection, wants).await?;
        self.applier.apply_txn(transaction, schemas)?;
        self.write(&mut connection, true).await?;
        self.connection = Some(connection);
        Ok(())
    }

    /// The row with a key, `None` if there is none.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn row(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let (relation, keys) = (relation.to_string(), array([key]));
        let mut connection = self.take()?;
        let parameters = [Some(&*self.name), Some(&*relation), Some(&*keys)];
        let found = pairs(connection.query_with(READ, &parameters).await?)?;
        self.connection = Some(connection);
        Ok(found.into_iter().next().map(|(_, row)| row))
    }

    /// All rows of a relation, by their keys, in any order.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn rows(&mut self, relation: &Relation) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let relation = relation.to_string();
        let mut connection = self.take()?;
        let found = connection.query_with(READ_ALL, &[Some(&self.name), Some(&relation)]).await?;
        self.connection = Some(connection);
        pairs(found)
    }

    /// The last change applied.
    pub fn position(&self) -> Position {
        self.applier.position()
    }

    /// The schema that each relation has now.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.applier.schemas()
    }

    /// As [`Applier::lost`], since it was opened.
    pub fn lost(&self) -> &[Relation] {
        self.applier.lost()
    }

    fn take(&mut self) -> Result<Connection, Error> {
        let lost = || Error::Config(format!("the state \"{}\" has to be opened again", self.name));
        self.connection.take().ok_or_else(lost)
    }

    async fn read(&mut self, connection: &mut Connection, wants: Wants) -> Result<(), Error> {
        let Wants { keys, whole, .. } = wants;
        for relation in &whole {
            let name = relation.to_string();
            let found = connection.query_with(READ_ALL, &[Some(&self.name), Some(&name)]).await?;
            self.applier.state().fill(relation, None::<[Vec<u8>; 0]>, pairs(found)?);
        }
        for (relation, keys) in keys.into_iter().filter(|(relation, _)| !whole.contains(relation)) {
            let (name, list) = (relation.to_string(), array(keys.iter().map(Vec::as_slice)));
            let parameters = [Some(&*self.name), Some(&*name), Some(&*list)];
            let found = connection.query_with(READ, &parameters).await?;
            self.applier.state().fill(&relation, Some(keys), pairs(found)?);
        }
        Ok(())
    }

    async fn run(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        parameters: &[&str],
    ) -> Result<(), Error> {
        if !std::mem::replace(&mut self.inside, true) {
            connection.query("BEGIN").await?;
        }
        let name = [Some(&*self.name)].into_iter();
        let parameters: Vec<_> = name.chain(parameters.iter().map(|text| Some(*text))).collect();
        connection.query_with(sql, &parameters).await.map(drop)
    }

    /// Writes what has changed, and holds nothing any more.
    async fn write(&mut self, connection: &mut Connection, end: bool) -> Result<(), Error> {
        let held = std::mem::take(self.applier.state());
        self.rename(connection, held.moves()).await?;
        for (relation, part) in held.parts {
            let (Changes { written, gone }, relation) = (part.changes(), relation.to_string());
            if part.origin.is_some() && !gone.is_empty() {
                self.run(connection, DELETE, &[&relation, &array(gone)]).await?;
            }
            if !written.is_empty() {
                let keys = array(written.iter().map(|(key, _)| *key));
                let rows = array(written.iter().map(|(_, row)| *row));
                self.run(connection, WRITE, &[&relation, &keys, &rows]).await?;
            }
        }
        // what changes no row may change a schema
        if end && (self.inside || self.has_other_schemas()) {
            self.commit(connection).await?;
        }
        Ok(())
    }

    /// Brings stored rows to the names that their relations have now.
    async fn rename(&mut self, connection: &mut Connection, moves: Moves) -> Result<(), Error> {
        for gone in moves.gone {
            self.run(connection, DELETE_ALL, &[&gone.to_string()]).await?;
        }
        for (from, _) in &moves.moved {
            let from = from.to_string();
            self.run(connection, MOVE, &[&from, &format!("was {from}")]).await?;
        }
        for (from, to) in &moves.moved {
            self.run(connection, MOVE, &[&format!("was {from}"), &to.to_string()]).await?;
        }
        Ok(())
    }

    fn has_other_schemas(&self) -> bool {
        let is_stored = |schema: &Arc<Schema>| {
            self.stored.get(&Relation::from(&schema.table)) == Some(&schema.fingerprint)
        };
        let mut n = 0;
        !self.applier.schemas().inspect(|_| n += 1).all(is_stored) || n != self.stored.len()
    }

    /// Stores the schemas that relations have now.
    async fn write_schemas(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.stored);
        for schema in self.applier.schemas().cloned().collect::<Vec<_>>() {
            let relation = Relation::from(&schema.table);
            if before.remove(&relation) != Some(schema.fingerprint) {
                let bytes = format!("\\x{}", hex(&schema.bytes));
                self.run(connection, SCHEMA, &[&relation.to_string(), &bytes]).await?;
            }
            self.stored.insert(relation, schema.fingerprint);
        }
        for gone in before.keys() {
            self.run(connection, FORGET, &[&gone.to_string()]).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, connection: &mut Connection) -> Result<(), Error> {
        if self.has_other_schemas() {
            self.write_schemas(connection).await?;
        }
        let (now, before) = (self.position().to_string(), self.committed.to_string());
        let parameters = [Some(&*self.name), Some(&*now), Some(&*before)];
        if connection.query_with(COMMIT, &parameters).await?.is_empty() {
            let why = format!("somebody else has written to the state \"{}\"", self.name);
            return Err(Error::Config(why));
        }
        connection.query("COMMIT").await?;
        (self.inside, self.committed) = (false, self.position());
        Ok(())
    }
}

fn damaged(table: &str) -> Error {
    Error::Config(format!("a row of {table} is none of this program's"))
}

fn first(rows: Rows) -> Option<String> {
    rows.into_iter().next()?.into_iter().next()?
}

/// Rows of two columns in hexadecimal.
fn pairs(rows: Rows) -> Result<Pairs, Error> {
    let pair = |row: Vec<Option<String>>| match &row[..] {
        [Some(key), Some(value)] => Some((unhex(key)?, unhex(value)?)),
        _ => None,
    };
    rows.into_iter().map(|row| pair(row).ok_or_else(|| damaged("cdc_applier_row"))).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pair = |pair: &[u8]| Some(value(pair[0])? << 4 | value(*pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

/// An array of bytea as text.
fn array<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> String {
    let values: Vec<_> =
        values.into_iter().map(|value| format!("\"\\\\x{}\"", hex(value))).collect();
    format!("{{{}}}", values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_text() {
        assert_eq!(array([&b"\x00\xfa"[..], b""]), r#"{"\\x00fa","\\x"}"#);
        assert_eq!(unhex("00fa").unwrap(), [0, 0xfa]);
        assert_eq!((unhex("0"), unhex("0g"), unhex("")), (None, None, Some(Vec::new())));
        assert!(pairs(vec![vec![Some("00".into()), None]]).is_err());
    }
}
