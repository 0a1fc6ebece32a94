//! What is checked before a stream begins.

use std::future::Future;
use std::time::Duration;

use super::config::{StreamConfig, Transport};
use super::store::checkpoint::Checkpoint;
use crate::base::error::Error;
use crate::base::position::{Lsn, Position};
use crate::base::refusal::Refusal;
use crate::net::connection::{quote_command, quote_identifier, quote_literal, Connection};

/// What the server says of itself.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) identifier: u64,
    pub(super) timeline: u32,
    pub(super) wal_end: Lsn,
    pub(super) database: String,
}

impl System {
    pub(super) fn checkpoint(
        &self,
        slot: &str,
        (end_lsn, position): (Lsn, Position),
    ) -> Checkpoint {
        Checkpoint {
            system_identifier: self.identifier,
            timeline: self.timeline,
            database: self.database.clone(),
            slot: slot.into(),
            position,
            end_lsn,
        }
    }
}

/// What the server says of the slot.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) confirmed: Lsn,
    pub(super) restart: Lsn,
}

type Row = Vec<Option<String>>;

fn text(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or("")
}

fn unexpected(what: &str) -> Error {
    Error::Protocol(format!("unexpected answer to {what}"))
}

/// What IDENTIFY_SYSTEM says, for roles without REPLICATION. A timeline is in the
/// control file only when a checkpoint has been made on it; the name of a WAL file
/// begins with it, in hexadecimal.
const IDENTIFY_BY_SQL: &str = "SELECT \
    (SELECT system_identifier FROM pg_catalog.pg_control_system()), \
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN greatest(c.timeline_id, r.min_recovery_end_timeline) \
    ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 END, \
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
    ELSE pg_catalog.pg_current_wal_flush_lsn() END, \
    pg_catalog.current_database() \
    FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r";

pub(super) async fn connect(config: &StreamConfig) -> Result<Connection, Error> {
    match config.transport {
        Transport::Replication => {
            Connection::connect_replication(&config.connect, &config.limits).await
        }
        Transport::Fetch => Connection::connect(&config.connect, &config.limits).await,
    }
}

/// Nothing was heard for too long.
pub(super) fn silent() -> Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server is silent").into()
}

/// What a server that is there answers at once: beyond `connect_timeout` it is not.
pub(super) async fn soon<T>(
    config: &StreamConfig,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let answer = tokio::time::timeout(config.connect.connect_timeout, answer).await;
    answer.unwrap_or_else(|_| Err(silent()))
}

pub(super) async fn identify(
    connection: &mut Connection,
    transport: Transport,
) -> Result<System, Error> {
    let rows = connection
        .query(match transport {
            Transport::Replication => "IDENTIFY_SYSTEM",
            Transport::Fetch => IDENTIFY_BY_SQL,
        })
        .await?;
    let wrong = || unexpected("IDENTIFY_SYSTEM");
    let row = rows.first().ok_or_else(wrong)?;
    // SQL has no unsigned numbers
    let identifier: i128 = text(row, 0).parse().map_err(|_| wrong())?;
    Ok(System {
        identifier: identifier as u64,
        timeline: text(row, 1).parse().map_err(|_| wrong())?,
        wal_end: text(row, 2).parse().map_err(|_| wrong())?,
        database: text(row, 3).to_owned(),
    })
}

/// The slot; `None` if it does not exist.
pub(super) async fn slot(
    connection: &mut Connection,
    name: &str,
    database: &str,
) -> Result<Option<Slot>, Error> {
    let sql = format!(
        "SELECT plugin, database, confirmed_flush_lsn, restart_lsn \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        quote_literal(name)
    );
    let rows = connection.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    if text(row, 0) != "cdc" {
        return Err(Refusal::OtherPlugin(text(row, 0).into()).into());
    }
    if text(row, 1) != database {
        let (slot, database) = (text(row, 1).into(), database.into());
        return Err(Refusal::OtherDatabase { slot, database }.into());
    }
    let lsn = |at| text(row, at).parse().unwrap_or(Lsn::ZERO);
    Ok(Some(Slot { confirmed: lsn(2), restart: lsn(3) }))
}

/// Creates the slot; where it begins, and the name of its snapshot, if that is
/// exported.
pub(super) async fn create_slot(
    connection: &mut Connection,
    config: &StreamConfig,
    snapshot: &str,
) -> Result<(Slot, Option<String>), Error> {
    let two_phase = if config.slot_two_phase { ", TWO_PHASE" } else { "" };
    let sql = format!(
        "CREATE_REPLICATION_SLOT {} LOGICAL cdc (SNAPSHOT {}{two_phase})",
        quote_identifier(&config.slot),
        quote_command(snapshot)
    );
    let rows = connection.query(&sql).await?;
    let row = rows.first().ok_or_else(|| unexpected("CREATE_REPLICATION_SLOT"))?;
    let confirmed = text(row, 1).parse().map_err(|_| unexpected("CREATE_REPLICATION_SLOT"))?;
    let snapshot = row.get(2).cloned().flatten();
    Ok((Slot { confirmed, restart: confirmed }, snapshot))
}

/// 0 is never.
pub(super) async fn wal_sender_timeout(connection: &mut Connection) -> Result<Duration, Error> {
    let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";
    let rows = connection.query(sql).await?;
    let milliseconds = rows.first().and_then(|row| text(row, 0).parse().ok());
    Ok(Duration::from_millis(milliseconds.unwrap_or(60_000)))
}

/// Where a timeline's history left an earlier one: lines of timeline, LSN and
/// reason. `None` if it was never on it.
fn branch_point(history: &str, timeline: u32) -> Option<Lsn> {
    history.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let of: u32 = words.next()?.parse().ok()?;
        (of == timeline).then_some(words.next()?.parse().ok()?)
    })
}

/// Whether it is safe to go on from the checkpoint.
pub(super) async fn check(
    connection: &mut Connection,
    config: &StreamConfig,
    system: &System,
    slot: &Slot,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    if checkpoint.database != system.database {
        let (checkpoint, database) = (checkpoint.database.clone(), system.database.clone());
        return Err(Refusal::RenamedDatabase { checkpoint, database }.into());
    }
    if checkpoint.slot != config.slot {
        let (checkpoint, slot) = (checkpoint.slot.clone(), config.slot.clone());
        return Err(Refusal::OtherSlot { checkpoint, slot }.into());
    }
    if checkpoint.system_identifier != system.identifier {
        if config.accept_system {
            return Ok(());
        }
        let (server, checkpoint) = (system.identifier, checkpoint.system_identifier);
        return Err(Refusal::OtherSystem { server, checkpoint }.into());
    }
    if checkpoint.timeline != system.timeline {
        let history = match timeline_history(connection, config.transport, system.timeline).await {
            Err(Error::Server(error)) if error.code == "42501" => {
                let (server, checkpoint) = (system.timeline, checkpoint.timeline);
                let file = history_file(server);
                return Err(Refusal::HiddenTimeline { server, checkpoint, file }.into());
            }
            history => history?,
        };
        let branch = branch_point(&history, checkpoint.timeline);
        if branch.is_none_or(|branch| branch < checkpoint.end_lsn) {
            let (server, checkpoint) = (system.timeline, checkpoint.timeline);
            return Err(Refusal::OtherTimeline { server, checkpoint, branch }.into());
        }
    }
    if checkpoint.end_lsn > system.wal_end {
        let server = system.wal_end;
        return Err(Refusal::BeyondWal { server, checkpoint: checkpoint.end_lsn }.into());
    }
    if slot.confirmed > checkpoint.end_lsn {
        let slot = slot.confirmed;
        return Err(Refusal::SlotAhead { slot, checkpoint: checkpoint.end_lsn }.into());
    }
    Ok(())
}

/// Relative to the data directory.
fn history_file(timeline: u32) -> String {
    format!("pg_wal/{timeline:08X}.history")
}

async fn timeline_history(
    connection: &mut Connection,
    transport: Transport,
    timeline: u32,
) -> Result<String, Error> {
    if timeline == 1 {
        return Ok(String::new());
    }
    let (sql, at) = match transport {
        Transport::Replication => (format!("TIMELINE_HISTORY {timeline}"), 1),
        Transport::Fetch => {
            let file = quote_literal(&history_file(timeline));
            (format!("SELECT pg_catalog.pg_read_file({file})"), 0)
        }
    };
    let rows = connection.query(&sql).await?;
    Ok(rows.first().map(|row| text(row, at).to_owned()).unwrap_or_default())
}

/// START_REPLICATION with the plugin's options.
pub(super) fn command(config: &StreamConfig, from: Lsn) -> String {
    let mut sql =
        format!("START_REPLICATION SLOT {} LOGICAL {from}", quote_identifier(&config.slot));
    for (i, (name, value)) in config.options.iter().enumerate() {
        sql.push_str(if i == 0 { " (" } else { ", " });
        sql.push_str(&format!("{} {}", quote_identifier(name), quote_command(value)));
    }
    if !config.options.is_empty() {
        sql.push(')');
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories() {
        let history = "1\t0/1A000000\tno recovery target specified\n\n2\t0/2B000000\tx\n";
        assert_eq!(branch_point(history, 1), Some(Lsn(0x1A00_0000)));
        assert_eq!(branch_point(history, 2), Some(Lsn(0x2B00_0000)));
        assert_eq!(branch_point(history, 3), None);
    }

    #[test]
    fn commands_are_quoted() {
        let mut config = StreamConfig::new(
            crate::ConnectConfig::parse_with("user=u", |_| None).unwrap(),
            "s\"x",
        );
        assert_eq!(command(&config, Lsn(16)), "START_REPLICATION SLOT \"s\"\"x\" LOGICAL 0/10");
        config.options.insert("a\"b".into(), "it's".into());
        config.options.insert("messages".into(), "*".into());
        assert_eq!(
            command(&config, Lsn(16)),
            "START_REPLICATION SLOT \"s\"\"x\" LOGICAL 0/10 (\"a\"\"b\" 'it''s', \"messages\" '*')"
        );
    }
}
