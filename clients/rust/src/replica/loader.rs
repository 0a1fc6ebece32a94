//! The initial load: a table as it is, by `cdc.snapshot()`, joined with the
//! stream without a gap or a repetition.

use super::applier::Applier;
use super::joiner::{Joiner, Reload, Reread};
use super::loaded::ReadTable;
use std::sync::Arc;
use std::time::Duration;

use super::copy::CopyReader;
use super::meter::Meter;
use super::state::State;
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::base::position::Lsn;
use crate::base::relation::Relation;
use crate::json::text::strings;
use crate::model::batch::{Batch, OwnedSnapshot};
use crate::model::schema::{Schema, SchemaCache};
use crate::net::connection::{quote_literal, Connection};
use crate::stream::config::StreamConfig;
use crate::stream::guard::Guard;
use crate::wire::frame::unframe;
use crate::wire::inflate::Inflater;

/// How often a load may begin anew before all is read once.
const MAX_RESTARTS: u32 = 5;

/// Which relation it is, whatever it will be called, and whether it is a partitioned one.
const IDENTITY: &str = "SELECT c.oid, c.relkind OPERATOR(pg_catalog.=) 'p' \
    FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass";

/// Whether the stream tells what commands make of tables.
const TRACKED: &str = "SELECT 1 FROM pg_catalog.pg_event_trigger t \
    WHERE t.evtname OPERATOR(pg_catalog.=) 'cdc_track_schema' \
    AND t.evtenabled OPERATOR(pg_catalog.<>) 'D' \
    AND coalesce(pg_catalog.current_setting('cdc.track_schema', true), 'on') \
    OPERATOR(pg_catalog.=) 'on'";

/// Of a table and its partitions, as ANALYZE and VACUUM have counted.
const EXPECTED: &str =
    "SELECT sum(greatest(c.reltuples, 0))::pg_catalog.int8 FROM pg_catalog.pg_class c \
    WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.regclass OR c.oid OPERATOR(pg_catalog.=) ANY \
    (ARRAY(SELECT t.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) t))";

/// A range of a table, as `cdc.snapshot_chunks()` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Array literals; `None` is open.
    pub(super) from_key: Option<String>,
    pub(super) to_key: Option<String>,
    pub(super) from_block: Option<String>,
    pub(super) to_block: Option<String>,
    pub(super) done: bool,
}

/// The load of one table.
///
/// 1. Create the slot, so that it is older than the snapshots.
/// 2. [`Loader::plan_for`], then [`Loader::read_next`] until it is done:
///    the rows go to a [`Joiner`]. Keep [`Loader::to_bytes`] together with the
///    state after each, and a load that was interrupted goes on.
/// 3. Apply the stream by the joiner. Where it needs a row again
///    ([`Joiner::take_rereads`]), [`Loader::reread`]; where a table was altered
///    after it was read ([`Joiner::reloads`]), [`Loader::reload`] and step 2.
/// 4. Once the stream has passed [`Loader::end_lsn`] the copy is that of one
///    moment, and [`Joiner::into_applier`] goes on alone.
///
/// Whatever commands make of the table meanwhile, the stream says, and the joiner follows:
/// it may be altered, renamed and dropped. Where it cannot go on with what was read, as
/// with another key or a new name between the parts, and where the stream does not tell
/// changes of schemas ([`Source::schema_changes`](crate::Source::schema_changes)), the table
/// is read anew; after five times before all is read once that is an error. A table without
/// a key is read in one transaction, and not resumed in the middle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loader {
    pub(super) relation: String,
    /// Its OID, once it is known.
    pub(super) oid: String,
    pub(super) partitioned: bool,
    /// The stream tells changes of schemas.
    pub(super) tracked: bool,
    /// The slot whose stored options count too; empty for none.
    pub(super) slot: String,
    /// Of the plugin: names and values in turn.
    pub(super) options: Vec<String>,
    pub(super) key_columns: Vec<String>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) end_lsn: Lsn,
    pub(super) snapshots: Vec<OwnedSnapshot>,
    /// What was read of it, since it was begun anew.
    pub(super) tables: Vec<ReadTable>,
    pub(super) max_rows: u64,
    pub(super) restarts: u32,
    pub(super) meter: Meter,
}

/// What has become of a read.
enum Read {
    Done,
    /// The table is not what it was when other parts were read.
    Altered,
    /// There is no such table any more.
    Gone,
}

fn array(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| quote_literal(item)).collect();
    format!("ARRAY[{}]::text[]", items.join(","))
}

fn argument(value: &Option<String>, r#type: &str) -> String {
    match value {
        Some(text) => format!("{}::{}", quote_literal(text), r#type),
        None => "NULL".into(),
    }
}

impl Loader {
    /// Asks the server for ranges of about `max_rows` rows, for a stream that is made by
    /// these settings: the options are theirs, and what is stored for the slot counts as
    /// it does in the stream. `relation` as SQL takes it: `public.orders`. Of a slot
    /// that is bound to a role only that role may read so. Where `config` expects
    /// versions, let the joiner do so too: [`Joiner::expect`].
    ///
    /// # Errors
    /// The server's, the network's; settings that are wrong.
    pub async fn plan_for(
        config: &StreamConfig,
        connection: &mut Connection,
        relation: &str,
        max_rows: u64,
    ) -> Result<Self, Error> {
        let options = config.guard()?.1;
        let mut load = Loader {
            relation: relation.to_owned(),
            slot: config.slot.clone(),
            options: options.into_iter().flat_map(|(name, value)| [name, value]).collect(),
            max_rows,
            meter: Meter::new(config.metrics.clone()),
            ..Loader::default()
        };
        load.find_chunks(connection).await?;
        Ok(load)
    }

    /// The same for a stream of which only the options are known. What is stored for
    /// its slot does not count: it must be among `options`.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn plan(
        connection: &mut Connection,
        relation: &str,
        max_rows: u64,
        options: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut load = Loader {
            relation: relation.to_owned(),
            options: options.iter().flat_map(|(n, v)| [(*n).to_owned(), (*v).to_owned()]).collect(),
            max_rows,
            ..Loader::default()
        };
        load.find_chunks(connection).await?;
        Ok(load)
    }

    /// What it is, by its name.
    async fn identify(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let rows = connection.query_with(IDENTITY, &[Some(&self.relation)]).await?;
        if let Some([Some(oid), Some(partitioned)]) = rows.first().map(Vec::as_slice) {
            (self.oid, self.partitioned) = (oid.clone(), partitioned == "t");
        }
        let wanted = self.option("schema_changes") != "off";
        self.tracked = wanted && !connection.query(TRACKED).await?.is_empty();
        Ok(())
    }

    /// Whether the table is not there any more.
    async fn is_gone(&self, connection: &mut Connection) -> Result<bool, Error> {
        Ok(connection.query_with(IDENTITY, &[Some(&self.oid)]).await?.is_empty())
    }

    async fn find_chunks(&mut self, connection: &mut Connection) -> Result<(), Error> {
        if self.oid.is_empty() {
            self.identify(connection).await?;
        }
        let sql = format!(
            "SELECT from_key, to_key, from_block, to_block, array_to_json(key_columns)::text \
             FROM cdc.snapshot_chunks({}::regclass, {})",
            quote_literal(&self.oid),
            self.max_rows
        );
        let rows = connection.query(&sql).await?;
        (self.key_columns, self.chunks) = (Vec::new(), Vec::new());
        for row in rows {
            let [from_key, to_key, from_block, to_block, key_columns] = <[_; 5]>::try_from(row)
                .map_err(|_| {
                    Error::Protocol("unexpected answer of cdc.snapshot_chunks()".into())
                })?;
            self.key_columns = key_columns.as_deref().map(strings).unwrap_or_default();
            self.chunks.push(Chunk { from_key, to_key, from_block, to_block, done: false });
        }
        let rows = connection.query_with(EXPECTED, &[Some(&self.oid)]).await?;
        let expected = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        self.meter.expect(expected.unwrap_or(0));
        Ok(())
    }

    /// How many rows have been read in this process, and about how many there are, as far
    /// as the server knows (0: it does not). Also logged after each chunk, with rows a second
    /// and the time that is left.
    pub fn rows(&self) -> (u64, u64) {
        (self.meter.rows, self.meter.expected)
    }

    fn option(&self, name: &str) -> &str {
        let pair = self.options.chunks(2).find(|pair| pair[0] == name);
        pair.and_then(|pair| pair.get(1)).map_or("", String::as_str)
    }

    /// Whether rows have a key, and chunks transactions of their own.
    fn is_keyed(&self) -> bool {
        !self.key_columns.is_empty()
    }

    /// Whether all chunks have been read.
    pub fn is_done(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.done)
    }

    /// How many chunks there are, and how many have been read.
    pub fn chunks(&self) -> (usize, usize) {
        (self.chunks.len(), self.chunks.iter().filter(|chunk| chunk.done).count())
    }

    /// The end of the server's WAL after the latest read: when the stream is
    /// beyond it, the join is over.
    pub fn end_lsn(&self) -> Lsn {
        self.end_lsn
    }

    /// Reads the next chunk, or all of them for a table without a key. `false`
    /// when there is nothing more.
    ///
    /// # Errors
    /// The server's, the network's, damage, the state's. With SQLSTATE 55000 the
    /// table was truncated or rewritten meanwhile: call it again. [`Error::Other`] where
    /// it was altered again and again.
    pub async fn read_next<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
    ) -> Result<bool, Error> {
        let Some(first) = self.chunks.iter().position(|chunk| !chunk.done) else {
            return Ok(false);
        };
        let range = if self.is_keyed() { first..first + 1 } else { 0..self.chunks.len() };
        let ranges: Vec<_> = self.chunks[range.clone()].to_vec();
        self.meter.begin();
        match self.read_ranges(connection, joiner, &ranges).await? {
            Read::Done => self.chunks[range].iter_mut().for_each(|chunk| chunk.done = true),
            Read::Altered => self.restart(connection, joiner).await?,
            Read::Gone => self.give_up(joiner)?,
        }
        if self.is_done() {
            self.restarts = 0;
        }
        self.meter.tell(&self.relation, self.chunks());
        Ok(true)
    }

    /// Nothing of it counts as read any more.
    async fn restart<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
    ) -> Result<(), Error> {
        if self.restarts == MAX_RESTARTS {
            let what = format!(
                "{} was altered {} times while it was loaded: begin anew when that is over",
                self.relation,
                self.restarts + 1
            );
            return Err(Error::Other(what.into()));
        }
        self.find_chunks(connection).await?;
        self.restarts += 1;
        self.forget(joiner)
    }

    fn forget<S: State>(&mut self, joiner: &mut Joiner<S>) -> Result<(), Error> {
        self.tables.clear();
        joiner.forget_all(&self.oid)
    }

    /// The table has been dropped, and so it is when the stream says that.
    fn give_up<S: State>(&mut self, joiner: &mut Joiner<S>) -> Result<(), Error> {
        self.chunks.clear();
        self.forget(joiner)
    }

    /// Begins anew with a table that must be, once the changes of it that were passed over
    /// can be seen; does nothing if it is another load's. [`Loader::read_next`] then
    /// reads it, before more of the stream is acknowledged.
    ///
    /// # Errors
    /// As [`Loader::read_next`].
    pub async fn reload<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        reload: &Reload,
    ) -> Result<(), Error> {
        if self.oid != reload.owner {
            return Ok(());
        }
        visible(connection, &reload.xids).await?;
        match self.is_gone(connection).await.unwrap_or(false) {
            true => self.give_up(joiner),
            false => self.restart(connection, joiner).await,
        }
    }

    /// Reads a row again.
    ///
    /// # Errors
    /// As [`Loader::read_next`].
    pub async fn reread<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        reread: &Reread,
    ) -> Result<(), Error> {
        let values: Vec<_> = self.key_columns.iter().map(|name| reread.value(name)).collect();
        let values: Option<Vec<String>> = values.into_iter().collect();
        let Some(values) = values else {
            // they have other names by now
            joiner.must_reload(reread);
            return Ok(());
        };
        let rows = connection.query(&format!("SELECT {}::text", array(&values))).await?;
        let key = rows.into_iter().flatten().next().flatten();
        let chunk = Chunk { from_key: key.clone(), to_key: key, ..Chunk::default() };
        visible(connection, &[reread.xid]).await?;
        match self.read_ranges(connection, joiner, &[chunk]).await? {
            Read::Done => (),
            Read::Altered => joiner.must_reload(reread),
            Read::Gone => self.give_up(joiner)?,
        }
        Ok(())
    }

    /// Ranges of a key that the table does not have any more cannot be read.
    async fn read_ranges<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        chunks: &[Chunk],
    ) -> Result<Read, Error> {
        let result = self.read(connection, joiner, chunks).await;
        let class = match &result {
            Err(Error::Server(error)) => error.code.get(..2).unwrap_or(""),
            _ => return result,
        };
        if self.is_gone(connection).await.unwrap_or(false) {
            self.read_end(connection, joiner).await?;
            return Ok(Read::Gone);
        }
        if ["22", "42"].contains(&class) {
            let mut now = self.clone();
            if now.find_chunks(connection).await.is_ok() && now.key_columns != self.key_columns {
                return Ok(Read::Altered);
            }
        }
        result
    }

    async fn read<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        chunks: &[Chunk],
    ) -> Result<Read, Error> {
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let result = self.read_inside(connection, joiner, chunks).await;
        // also after an error of the server, which left the transaction open
        let ended = connection.query("COMMIT").await;
        let read = result?;
        ended?;
        self.read_end(connection, joiner).await?;
        Ok(read)
    }

    /// Finds the end of what can have been read.
    async fn read_end<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
    ) -> Result<(), Error> {
        // not what has been written: a snapshot sees asynchronous commits before they are
        let rows = connection.query("SELECT pg_catalog.pg_current_wal_insert_lsn()").await?;
        let lsn = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        self.end_lsn = before_header(lsn.ok_or_else(|| Error::Protocol("no LSN".into()))?);
        joiner.read_until(&self.oid, self.end_lsn);
        Ok(())
    }

    fn sql(&self, chunk: &Chunk) -> String {
        format!(
            "COPY (SELECT cdc.snapshot({}::regclass, {}, {}, {}, {}, {}, {})) TO STDOUT (FORMAT binary)",
            quote_literal(&self.oid),
            argument(&chunk.from_key, "text[]"),
            argument(&chunk.to_key, "text[]"),
            argument(&chunk.from_block, "bigint"),
            argument(&chunk.to_block, "bigint"),
            array(&self.options),
            argument(&(!self.slot.is_empty()).then(|| self.slot.clone()), "name"),
        )
    }

    async fn read_inside<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        chunks: &[Chunk],
    ) -> Result<Read, Error> {
        let limits = Limits::DEFAULT;
        let mut schemas = Arc::new(SchemaCache::new(limits));
        let mut guard = joiner.guard().unwrap_or_else(|| Guard::of_option(self.option("versions")));
        let mut inflater = Inflater::new(limits);
        for chunk in chunks {
            let sql = self.sql(chunk);
            let (mut reader, mut altered) = (CopyReader::default(), false);
            let take = |payload: &[u8]| {
                let mut batch = inflater.parse(unframe(payload, &limits)?)?;
                guard.add_all(&batch, &mut schemas)?;
                let converted = guard.check(&batch, &schemas, |_, _, error| Err(error))?;
                if let Some(converted) = &converted {
                    batch = Batch::parse(converted)?;
                    Arc::make_mut(&mut schemas).add_all(&batch)?;
                }
                // the rest must still be read from the connection
                altered = altered || !self.take(&batch, &schemas, joiner)?;
                Ok(())
            };
            let mut take = take;
            connection.copy_out(&sql, |piece| reader.push(&piece, &limits, &mut take)).await?;
            if !reader.is_complete() {
                return Err(Error::Protocol("COPY data is cut".into()));
            }
            if altered {
                return Ok(Read::Altered);
            }
        }
        Ok(Read::Done)
    }

    /// Takes rows, unless they cannot stand beside those that were read before.
    fn take<S: State>(
        &mut self,
        batch: &Batch<'_>,
        schemas: &SchemaCache,
        joiner: &mut Joiner<S>,
    ) -> Result<bool, Error> {
        let snapshot = batch.snapshot.map(OwnedSnapshot::from);
        let snapshot = snapshot.filter(|snapshot| self.snapshots.last() != Some(snapshot));
        let number = (self.snapshots.len() + usize::from(snapshot.is_some())).saturating_sub(1);
        for version in batch.schemas() {
            if !self.takes(schemas.get(version?.fingerprint)?, number, joiner) {
                return Ok(false);
            }
        }
        self.snapshots.extend(snapshot);
        self.meter.read(batch.event_len());
        joiner.load(batch, schemas, (&self.oid, self.is_keyed()))?;
        Ok(true)
    }

    fn takes<S: State>(&mut self, schema: &Schema, number: usize, joiner: &mut Joiner<S>) -> bool {
        let (relation, fingerprint) = (Relation::from(&schema.table), schema.fingerprint);
        let mut known = self.tables.iter().filter(|table| table.relation == relation);
        let is_other = match known.next_back() {
            None => !self.tables.is_empty() && !self.partitioned,
            Some(table) if table.fingerprint == fingerprint => false,
            Some(_) => !self.tracked || !joiner.takes(schema),
        };
        if is_other {
            return false;
        }
        match self.tables.iter_mut().find(|t| t.fingerprint == fingerprint && t.end >= number) {
            Some(table) => table.end = number + 1,
            None => {
                self.tables.push(ReadTable {
                    relation,
                    fingerprint,
                    first: number,
                    end: number + 1,
                });
            }
        }
        true
    }
}

impl<S: State> Joiner<S> {
    /// For a load that was interrupted: of one table with a key, whose rows are
    /// in the state.
    pub fn resume(applier: Applier<S>, load: &Loader) -> Self {
        let (snapshots, end) = (load.snapshots().to_vec(), load.end_lsn());
        Joiner::having_read(applier, snapshots, &load.oid, &load.tables, end)
    }
}

/// Where a record ended after which one is inserted here: not behind the header of a
/// page of WAL, up to which a stream does not come until something is written there.
fn before_header(insert: Lsn) -> Lsn {
    const PAGE: u64 = 8192;
    const LONG_HEADER: u64 = 40;
    match insert.0 % PAGE {
        offset if offset <= LONG_HEADER => Lsn(insert.0 - offset),
        _ => insert,
    }
}

/// Waits until snapshots see transactions that have committed: the stream may tell of a
/// commit a little sooner.
async fn visible(connection: &mut Connection, xids: &[u32]) -> Result<(), Error> {
    loop {
        let rows = connection.query("SELECT pg_catalog.pg_current_snapshot()").await?;
        let text = rows.first().and_then(|row| row.first()?.as_deref()).unwrap_or("");
        let snapshot = OwnedSnapshot::of_text(text)
            .ok_or_else(|| Error::Protocol(format!("snapshot \"{text}\"")))?;
        if xids.iter().all(|&xid| snapshot.sees(xid)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_records() {
        for (insert, end) in [
            (0x2000, 0x2000),
            (0x2018, 0x2000),
            (0x2028, 0x2000),
            (0x2048, 0x2048),
            (0x3018, 0x3018),
        ] {
            assert_eq!(before_header(Lsn(insert)), Lsn(end), "{insert:x}");
        }
    }
}
