//! The initial load: a table as it is, by `cdc.snapshot()`, joined with the
//! stream without a gap or a repetition.

mod copy;
mod joiner;
mod progress;

use self::copy::CopyReader;
use crate::applier::State;
use crate::batch::{Batch, OwnedSnapshot};
use crate::error::Error;
use crate::frame::unframe;
use crate::limits::Limits;
use crate::net::{quote_literal, Connection};
use crate::position::Lsn;
use crate::schema::SchemaCache;

pub use joiner::{Joiner, Reread};

/// A range of a table, as `cdc.snapshot_chunks()` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    /// Array literals; `None` is open.
    from_key: Option<String>,
    to_key: Option<String>,
    from_block: Option<String>,
    to_block: Option<String>,
    done: bool,
}

/// The load of one table.
///
/// 1. Create the slot, so that it is older than the snapshots.
/// 2. [`InitialLoad::plan`], then [`InitialLoad::read_next`] until it is done:
///    the rows go to a [`Joiner`]. Keep [`InitialLoad::to_bytes`] together with the
///    state after each, and a load that was interrupted goes on.
/// 3. Apply the stream by the joiner. Where it needs a row again
///    ([`Joiner::take_rereads`]), [`InitialLoad::reread`].
/// 4. Once the stream has passed [`InitialLoad::end_lsn`] the copy is that of one
///    moment, and [`Joiner::into_applier`] goes on alone.
///
/// The table must not be altered from the creation of the slot until the join
/// is over. A table without a key is read in one transaction, and not resumed in
/// the middle.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialLoad {
    relation: String,
    /// Of the plugin: names and values in turn.
    options: Vec<String>,
    key_columns: Vec<String>,
    chunks: Vec<Chunk>,
    end_lsn: Lsn,
    snapshots: Vec<OwnedSnapshot>,
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

impl InitialLoad {
    /// Asks the server for ranges of about `max_rows` rows. `relation` as SQL
    /// takes it: `public.orders`; `options` those of the stream.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn plan(
        connection: &mut Connection,
        relation: &str,
        max_rows: u64,
        options: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let sql = format!(
            "SELECT from_key, to_key, from_block, to_block, array_to_json(key_columns)::text \
             FROM cdc.snapshot_chunks({}::regclass, {max_rows})",
            quote_literal(relation)
        );
        let mut load = InitialLoad {
            relation: relation.to_owned(),
            options: options.iter().flat_map(|(n, v)| [(*n).to_owned(), (*v).to_owned()]).collect(),
            key_columns: Vec::new(),
            chunks: Vec::new(),
            end_lsn: Lsn::ZERO,
            snapshots: Vec::new(),
        };
        for row in connection.query(&sql).await? {
            let [from_key, to_key, from_block, to_block, key_columns] = <[_; 5]>::try_from(row)
                .map_err(|_| {
                    Error::Protocol("unexpected answer of cdc.snapshot_chunks()".into())
                })?;
            load.key_columns = key_columns.as_deref().map(progress::strings).unwrap_or_default();
            load.chunks.push(Chunk { from_key, to_key, from_block, to_block, done: false });
        }
        Ok(load)
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
    /// table was truncated or rewritten meanwhile: call it again.
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
        self.read(connection, joiner, &ranges).await?;
        self.chunks[range].iter_mut().for_each(|chunk| chunk.done = true);
        Ok(true)
    }

    /// Reads a row again.
    ///
    /// # Errors
    /// As [`InitialLoad::read_next`].
    pub async fn reread<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        reread: &Reread,
    ) -> Result<(), Error> {
        let values: Vec<_> = self.key_columns.iter().map(|name| reread.value(name)).collect();
        let values: Option<Vec<String>> = values.into_iter().collect();
        let Some(values) = values else {
            return Err(Error::Protocol("key without all of its columns".into()));
        };
        let rows = connection.query(&format!("SELECT {}::text", array(&values))).await?;
        let key = rows.into_iter().flatten().next().flatten();
        let chunk = Chunk { from_key: key.clone(), to_key: key, ..Chunk::default() };
        self.read(connection, joiner, &[chunk]).await
    }

    async fn read<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        chunks: &[Chunk],
    ) -> Result<(), Error> {
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let result = self.read_inside(connection, joiner, chunks).await;
        // also after an error of the server, which left the transaction open
        let ended = connection.query("COMMIT").await;
        result?;
        ended?;
        let rows = connection.query("SELECT pg_catalog.pg_current_wal_lsn()").await?;
        let lsn = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        self.end_lsn = lsn.ok_or_else(|| Error::Protocol("no LSN".into()))?;
        Ok(())
    }

    async fn read_inside<S: State>(
        &mut self,
        connection: &mut Connection,
        joiner: &mut Joiner<S>,
        chunks: &[Chunk],
    ) -> Result<(), Error> {
        let (limits, keyed) = (Limits::DEFAULT, self.is_keyed());
        let mut schemas = SchemaCache::new(limits);
        for chunk in chunks {
            let sql = format!(
                "COPY (SELECT cdc.snapshot({}::regclass, {}, {}, {}, {}, {})) TO STDOUT (FORMAT binary)",
                quote_literal(&self.relation),
                argument(&chunk.from_key, "text[]"),
                argument(&chunk.to_key, "text[]"),
                argument(&chunk.from_block, "bigint"),
                argument(&chunk.to_block, "bigint"),
                array(&self.options),
            );
            let mut reader = CopyReader::default();
            let snapshots = &mut self.snapshots;
            connection
                .copy_out(&sql, |piece| {
                    reader.push(&piece, &limits, |payload| {
                        let batch = Batch::parse(unframe(payload, &limits)?)?;
                        schemas.add_all(&batch)?;
                        if let Some(snapshot) = batch.snapshot {
                            let snapshot = OwnedSnapshot::from(snapshot);
                            if snapshots.last() != Some(&snapshot) {
                                snapshots.push(snapshot);
                            }
                        }
                        joiner.load(&batch, &schemas, keyed)
                    })
                })
                .await?;
            if !reader.is_complete() {
                return Err(Error::Protocol("COPY data is cut".into()));
            }
        }
        Ok(())
    }
}
