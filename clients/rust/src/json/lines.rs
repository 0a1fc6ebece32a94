//! The JSON form: one line for each event and each outcome, equal to the byte
//! to what `format = 'json'` and `cdc.decode_json()` give.

use super::text::{member, put, string};
use super::value::{self, write_value};

use crate::base::damage::{malformed, Damage};
use crate::model::batch::{Batch, Metadata, Outcome, Transaction};
use crate::model::datetime::Timestamp;
use crate::model::event::{Event, Op, SchemaChange, SchemaChangeKind};
use crate::model::row::Row;
use crate::model::schema::{Schema, SchemaCache};
use crate::model::table::{Table, Type, REDACTED_BASE};
use crate::wire::field::{Fields, Wire};

/// Appends the lines of a batch, each with a newline. The batch's own schemas
/// must be in `schemas` already.
///
/// # Errors
/// Damage; then `out` has the lines before the one that is damaged.
pub fn write_batch(
    out: &mut String,
    batch: &Batch<'_>,
    schemas: &SchemaCache,
) -> Result<(), Damage> {
    for event in batch.events() {
        line(out, |out| write_event(out, batch, &event?, schemas))?;
    }
    if batch.transaction.is_some() && batch.outcome != Outcome::Open {
        line(out, |out| write_outcome(out, batch))?;
    }
    Ok(())
}

fn line(out: &mut String, f: impl FnOnce(&mut String) -> Result<(), Damage>) -> Result<(), Damage> {
    let start = out.len();
    let result = f(out);
    match result {
        Ok(()) => out.push('\n'),
        Err(_) => out.truncate(start),
    }
    result
}

fn of_transaction(out: &mut String, t: Option<&Transaction<'_>>) -> Result<(), Damage> {
    let Some(t) = t else { return Ok(()) };
    put(out, format_args!("{}\"xid\":{}", if out.ends_with('{') { "" } else { "," }, t.xid));
    if t.commit_time != 0 {
        let time = Timestamp::from_unix_microseconds(t.commit_time)
            .ok_or(Damage::Malformed("time out of range"))?;
        member(out, "commit_time");
        value::timestamp(out, time, "+00:00")?;
    }
    Ok(())
}

fn metadata(out: &mut String, entries: Metadata<'_>) {
    let start = out.len();
    member(out, "metadata");
    out.push('{');
    let mut any = false;
    for (key, value) in entries {
        any = true;
        member(out, key);
        string(out, value);
    }
    out.push('}');
    if !any {
        out.truncate(start);
    }
}

/// Appends the line of an event, without a newline.
///
/// # Errors
/// Damage; `out` then has part of the line.
pub fn write_event(
    out: &mut String,
    batch: &Batch<'_>,
    event: &Event<'_>,
    schemas: &SchemaCache,
) -> Result<(), Damage> {
    out.push('{');
    // what is read has no place in the WAL
    if event.op != Op::Read {
        put(out, format_args!("\"position\":\"{}\"", event.position));
    }
    of_transaction(out, batch.transaction.as_ref())?;
    member(out, "op");
    match event.op {
        Op::Unknown(number) if number != 0 => put(out, format_args!("\"{number}\"")),
        op => put(out, format_args!("\"{}\"", op.name())),
    }
    if event.schema != 0 {
        rows(out, event, schemas.get(event.schema)?)?;
    }
    if let Some(t) = &batch.transaction {
        metadata(out, t.metadata());
    }
    of_op(out, event);
    out.push('}');
    Ok(())
}

fn rows(out: &mut String, event: &Event<'_>, schema: &Schema) -> Result<(), Damage> {
    let table = &schema.table;
    member(out, "relation");
    string(out, &table.to_string());
    put(out, format_args!(",\"fingerprint\":\"{:016x}\"", schema.fingerprint));
    let named =
        [("key", event.key), ("new_key", event.new_key), ("old", event.old), ("new", event.new)];
    for (name, row) in named {
        let nulls = name == "new" && event.has_nulls();
        if nulls || !row.is_empty() {
            columns(out, name, table, row, nulls.then_some(event))?;
        }
    }
    if event.has_nulls() {
        nulls(out, table, event)?;
    }
    if table.columns.iter().any(|column| column.is_redacted()) {
        redacted(out, table, &named)?;
    }
    if event.has_unavailable() {
        member(out, "unavailable");
        for (i, number) in event.unavailable().enumerate() {
            let column = table
                .column(number?)
                .ok_or(Damage::Malformed("unavailable column that the schema does not have"))?;
            out.push(if i == 0 { '[' } else { ',' });
            string(out, &column.name);
        }
        out.push(']');
    }
    Ok(())
}

/// Where rows are as they should be, in the order of columns, one pass and no
/// allocation suffices.
fn columns(
    out: &mut String,
    name: &str,
    table: &Table,
    row: Row<'_>,
    with_nulls: Option<&Event<'_>>,
) -> Result<(), Damage> {
    let start = out.len();
    member(out, name);
    out.push('{');
    let empty = out.len();
    let mut found: Vec<Option<Wire<'_>>> = Vec::new();
    if in_order(row) && with_nulls.is_none() {
        for field in row.fields() {
            let field = field?;
            if let Some(column) = table.column(field.number) {
                member(out, &column.name);
                write_value(out, column, field.value)?;
            }
        }
    } else {
        found.resize(table.columns.len(), None);
        for field in row.fields() {
            let field = field?;
            if let Some(at) = table.index_of(field.number) {
                found[at] = Some(field.value);
            }
        }
        let mut null = vec![false; table.columns.len()];
        for number in with_nulls.into_iter().flat_map(Event::nulls) {
            match table.index_of(number?) {
                Some(at) => null[at] = true,
                None => return malformed("NULL of a column that the schema does not have"),
            }
        }
        for ((column, value), null) in table.columns.iter().zip(found).zip(null) {
            match value {
                _ if null => {
                    member(out, &column.name);
                    out.push_str("null");
                }
                Some(value) => {
                    member(out, &column.name);
                    write_value(out, column, value)?;
                }
                None => (),
            }
        }
    }
    if out.len() == empty {
        out.truncate(start);
    } else {
        out.push('}');
    }
    Ok(())
}

fn in_order(row: Row<'_>) -> bool {
    let mut last = 0;
    row.fields().flatten().all(|field| std::mem::replace(&mut last, field.number) < field.number)
}

/// Which columns of type JSON are NULL: in `new` they look as the null of JSON does.
fn nulls(out: &mut String, table: &Table, event: &Event<'_>) -> Result<(), Damage> {
    let mut null = vec![false; table.columns.len()];
    for number in event.nulls() {
        if let Some(at) = table.index_of(number?) {
            null[at] = true;
        }
    }
    let named = table.columns.iter().zip(null).filter(|(c, null)| *null && c.r#type == Type::Json);
    let mut any = false;
    for (column, _) in named {
        if any {
            out.push(',');
        } else {
            member(out, "nulls");
            out.push('[');
        }
        any = true;
        string(out, &column.name);
    }
    if any {
        out.push(']');
    }
    Ok(())
}

fn redacted(out: &mut String, table: &Table, rows: &[(&str, Row<'_>); 4]) -> Result<(), Damage> {
    member(out, "redacted");
    out.push('{');
    for column in table.columns.iter().filter(|column| column.is_redacted()) {
        member(out, &column.name);
        let method = column.redaction.as_str_name().trim_start_matches("REDACTION_");
        put(out, format_args!("{{\"method\":\"{}\"", method.to_ascii_lowercase()));
        for (name, row) in rows {
            let mut value = None;
            for field in Fields::new(row.bytes()) {
                let field = field?;
                if field.number == REDACTED_BASE + column.number {
                    value = Some(field.value.str()?);
                }
            }
            if let Some(value) = value {
                member(out, name);
                string(out, value);
            }
        }
        out.push('}');
    }
    out.push('}');
    Ok(())
}

fn of_op(out: &mut String, event: &Event<'_>) {
    if let Some(truncate) = event.truncate {
        for (name, set) in
            [("cascade", truncate.cascade), ("restart_identity", truncate.restart_identity)]
        {
            if set {
                put(out, format_args!(",\"{name}\":true"));
            }
        }
    }
    if let Some(message) = event.message {
        put(out, format_args!(",\"transactional\":{}", message.transactional));
        member(out, "prefix");
        string(out, message.prefix);
        member(out, "content");
        value::hex(out, message.content);
    }
    if let Some(failure) = event.failure {
        member(out, "failure");
        out.push('{');
        member(out, "sqlstate");
        string(out, failure.sqlstate);
        member(out, "message");
        string(out, failure.message);
        if failure.column != 0 {
            put(out, format_args!(",\"column\":{}", failure.column));
        }
        out.push('}');
    }
    if let Some(change) = &event.schema_change {
        of_schema_change(out, change);
    }
    if event.rewrite_start {
        out.push_str(",\"rewrite_start\":true");
    }
}

fn of_schema_change(out: &mut String, change: &SchemaChange<'_>) {
    member(out, "change");
    match change.kind {
        SchemaChangeKind::Unknown(number) if number != 0 => put(out, format_args!("\"{number}\"")),
        SchemaChangeKind::Unknown(_) => out.push_str("\"unspecified\""),
        kind => put(out, format_args!("\"{}\"", kind.name())),
    }
    member(out, "command");
    string(out, change.command_tag);
    if let Some(former) = change.former() {
        member(out, "former_relation");
        string(out, &former.to_string());
    }
}

/// Appends the line of a batch's outcome, without a newline.
///
/// # Errors
/// Damage: a time out of range; a batch without transaction.
pub fn write_outcome(out: &mut String, batch: &Batch<'_>) -> Result<(), Damage> {
    let Some(t) = &batch.transaction else { return malformed("outcome without a transaction") };
    out.push('{');
    of_transaction(out, Some(t))?;
    match batch.outcome {
        Outcome::Open => out.push_str(",\"op\":\"OPEN\""),
        Outcome::Committed => out.push_str(",\"op\":\"COMMITTED\""),
        Outcome::RolledBack => out.push_str(",\"op\":\"ROLLED_BACK\""),
        Outcome::Prepared => out.push_str(",\"op\":\"PREPARED\""),
        Outcome::Unknown(number) => put(out, format_args!(",\"op\":\"{number}\"")),
    }
    for (name, text) in [("origin", t.origin), ("gid", t.gid)] {
        if !text.is_empty() {
            member(out, name);
            string(out, text);
        }
    }
    metadata(out, t.metadata());
    for (name, lsn) in [("commit_lsn", t.commit_lsn), ("prepare_lsn", t.prepare_lsn)] {
        if lsn.0 != 0 {
            put(out, format_args!(",\"{name}\":\"{lsn}\""));
        }
    }
    put(
        out,
        format_args!(",\"end_lsn\":\"{}\",\"event_count\":{}}}", batch.end_lsn, batch.event_count),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::base::limits::Limits;
    use crate::model::schema::fingerprint;
    use crate::model::table::Redaction;
    use crate::pb;

    /// Kind, command and former name; of what is gone no relation.
    #[test]
    fn changes_of_schemas() {
        let table = pb::Table { schema: "s".into(), name: "T".into(), ..Default::default() };
        let table = table.encode_to_vec();
        let fingerprint = fingerprint(&table);
        let mut schemas = SchemaCache::new(Limits::DEFAULT);
        let version =
            crate::model::batch::SchemaVersion { fingerprint, table: &table, ..Default::default() };
        schemas.add(&version).unwrap();
        let line = |kind, schema, former_name: &str| {
            let schema_change = Some(pb::SchemaChange {
                kind,
                command_tag: "ALTER TABLE".into(),
                former_schema: "s".into(),
                former_name: former_name.into(),
            });
            let op = pb::Op::Schema as i32;
            let event = pb::ChangeEvent { op, schema, schema_change, ..Default::default() };
            let batch = pb::Batch { events: vec![event], ..Default::default() }.encode_to_vec();
            let mut out = String::new();
            write_batch(&mut out, &Batch::parse(&batch).unwrap(), &schemas).map(|()| out)
        };
        let head = "{\"position\":\"0/0/0/0/0\",\"op\":\"SCHEMA\"";
        let of_t = format!(",\"relation\":\"s.\\\"T\\\"\",\"fingerprint\":\"{fingerprint:016x}\"");
        let altered = "\"change\":\"altered\",\"command\":\"ALTER TABLE\"";
        assert_eq!(line(2, fingerprint, "").unwrap(), format!("{head}{of_t},{altered}}}\n"));
        assert_eq!(
            line(2, fingerprint, "t").unwrap(),
            format!("{head}{of_t},{altered},\"former_relation\":\"s.t\"}}\n")
        );
        assert!(line(9, fingerprint, "").unwrap().contains("\"change\":\"9\""));
        assert_eq!(
            line(3, 0, "T").unwrap(),
            format!(
                "{head},\"change\":\"dropped\",\"command\":\"ALTER TABLE\",\
                 \"former_relation\":\"s.\\\"T\\\"\"}}\n"
            )
        );
        assert_eq!(line(1, 7, ""), Err(Damage::UnknownSchema(7)));
    }

    /// Columns of type JSON are named where they are NULL, of a row that was read as well;
    /// which has no place in the WAL.
    #[test]
    fn nulls_of_json() {
        let (json, text) = (Type::Json as i32, Type::Text as i32);
        let column = |number, name: &str, r#type, redaction| pb::Column {
            number,
            name: name.into(),
            r#type,
            redaction: redaction as i32,
            ..Default::default()
        };
        let table = pb::Table {
            schema: "s".into(),
            name: "t".into(),
            columns: vec![
                column(1, "j", json, Redaction::Unspecified),
                column(2, "t", text, Redaction::Unspecified),
                column(3, "r", json, Redaction::Mask),
                column(4, "v", json, Redaction::Unspecified),
            ],
            ..Default::default()
        }
        .encode_to_vec();
        let fingerprint = fingerprint(&table);
        let new = [&[0x22, 4][..], b"null"].concat();
        let lines = |op, nulls: &[u32], new: &[u8]| {
            let event = pb::ChangeEvent {
                op,
                schema: fingerprint,
                nulls: nulls.to_vec(),
                new: new.to_vec(),
                ..Default::default()
            };
            let batch = pb::Batch {
                schemas: vec![pb::SchemaVersion {
                    fingerprint,
                    table: table.clone(),
                    ..Default::default()
                }],
                events: vec![event],
                ..Default::default()
            }
            .encode_to_vec();
            let mut schemas = SchemaCache::new(Limits::DEFAULT);
            let batch = Batch::parse(&batch).unwrap();
            schemas.add_all(&batch).unwrap();
            let mut out = String::new();
            write_batch(&mut out, &batch, &schemas).map(|()| out)
        };
        let head = format!("\"relation\":\"s.t\",\"fingerprint\":\"{fingerprint:016x}\"");
        let tail = "\"redacted\":{\"r\":{\"method\":\"mask\"}}}\n";
        assert_eq!(
            lines(2, &[3, 1, 2, 1], &new).unwrap(),
            format!(
                "{{\"position\":\"0/0/0/0/0\",\"op\":\"UPDATE\",{head},\
                 \"new\":{{\"j\":null,\"t\":null,\"r\":null,\"v\":null}},\"nulls\":[\"j\",\"r\"],{tail}"
            )
        );
        assert_eq!(
            lines(6, &[2], &[]).unwrap(),
            format!("{{\"op\":\"READ\",{head},\"new\":{{\"t\":null}},{tail}")
        );
        assert!(lines(2, &[5], &[]).is_err());
    }
}
