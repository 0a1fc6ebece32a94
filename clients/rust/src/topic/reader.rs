//! Makes messages of records.

use std::borrow::Cow;

use super::error::Error;
use super::message::{DeadLetter, Kind, Message, Role, Source, GONE};
use super::record::Record;
use crate::base::limits::Limits;
use crate::base::position::Position;
use crate::model::batch::Batch;
use crate::model::event::Op;
use crate::model::schema::SchemaCache;

/// Makes messages of records, and keeps the schemas that come with them.
#[derive(Debug, Default)]
pub struct Reader {
    schemas: SchemaCache,
}

/// Ops by their names; markers have none.
const OPS: [(&str, Option<Op>); 10] = [
    ("INSERT", Some(Op::Insert)),
    ("UPDATE", Some(Op::Update)),
    ("DELETE", Some(Op::Delete)),
    ("TRUNCATE", Some(Op::Truncate)),
    ("MESSAGE", Some(Op::Message)),
    ("READ", Some(Op::Read)),
    ("REWRITE", Some(Op::Rewrite)),
    ("SCHEMA", Some(Op::Schema)),
    ("BEGIN", None),
    ("END", None),
];

const ROLES: [(&str, Role); 3] =
    [("old", Role::Old), ("new", Role::New), ("elsewhere", Role::Elsewhere)];

/// What is wrong with a record; where it stands is told by [`Reader::read`].
enum Wrong {
    Damage(Cow<'static, str>),
    Unknown(&'static str, String),
    Unsupported(String),
}

impl Wrong {
    fn header(name: &str) -> Self {
        Wrong::Damage(format!("its header {name} cannot be read").into())
    }

    fn at(self, record: &Record<'_>) -> Error {
        let place = record.place().into_owned();
        match self {
            Wrong::Damage(what) => {
                Error::Damage { place, sequence: record.sequence, what: what.into() }
            }
            Wrong::Unknown(header, value) => Error::Unknown { place, header, value },
            Wrong::Unsupported(content_type) => Error::UnsupportedValue { place, content_type },
        }
    }
}

impl From<crate::base::damage::Damage> for Wrong {
    fn from(damage: crate::base::damage::Damage) -> Self {
        Wrong::Damage(damage.to_string().into())
    }
}

/// Whether values of a content-type are for this reader.
fn is_known(content: &str) -> bool {
    matches!(content, "" | "application/x-protobuf" | "application/json")
}

fn damage<T>(what: &'static str) -> Result<T, Wrong> {
    Err(Wrong::Damage(what.into()))
}

impl Reader {
    /// That has met no schema.
    pub fn new(limits: Limits) -> Self {
        Reader { schemas: SchemaCache::new(limits) }
    }

    /// The schemas that have come.
    pub fn schemas(&self) -> &SchemaCache {
        &self.schemas
    }

    /// Makes a message of a record.
    ///
    /// # Errors
    /// Damage; an op, or a [`Role`], that is not known, after which nothing that follows may be
    /// applied; values that are neither batches nor the JSON form.
    pub fn read<'a>(&mut self, record: &Record<'a>) -> Result<Message<'a>, Error> {
        self.message(record).map_err(|wrong| wrong.at(record))
    }

    fn message<'a>(&mut self, record: &Record<'a>) -> Result<Message<'a>, Wrong> {
        let mut message = blank(record);
        let (mut letter, mut content, mut has_source) = (None::<DeadLetter>, "", false);
        for (name, value) in &record.headers {
            let wrong = || Wrong::header(name);
            let text = || std::str::from_utf8(value).map_err(|_| wrong());
            match *name {
                "cdc-source" => {
                    message.source = source(text()?).ok_or_else(wrong)?;
                    has_source = true;
                }
                "content-type" => content = text()?.split(';').next().unwrap_or(""),
                "cdc-reason" => letter.get_or_insert_default().reason = text()?.to_owned(),
                "cdc-topic" => letter.get_or_insert_default().topic = text()?.to_owned(),
                // of others, too: they may be anything
                name if name.starts_with("cdc-") => header(&mut message, name, text()?)?,
                _ => (),
            }
        }
        let Some(op) = OPS.iter().find(|(name, _)| *name == message.op).map(|(_, op)| *op) else {
            return match message.op {
                "" => damage("it has no header cdc-op: it is no message of a relay"),
                op => Err(Wrong::Unknown("cdc-op", op.to_owned())),
            };
        };
        if !has_source {
            return damage("it has no header cdc-source");
        }
        let is_mark = op.is_none() || !message.load_mark.is_empty();
        if !is_mark && op != Some(Op::Read) && message.position == Position::default() {
            return damage("it has no header cdc-position");
        }
        let is_empty = record.value.unwrap_or_default().is_empty();
        message.kind = match letter {
            _ if is_mark && (message.load_mark != GONE || is_empty) => return Ok(message),
            _ if is_mark => Kind::Marker,
            Some(letter) => Kind::DeadLetter(letter),
            None if message.kind == Kind::Reference => Kind::Reference,
            // what a tombstone is among values of another kind is for others to say
            None if is_empty && !is_known(content) => {
                return Err(Wrong::Unsupported(content.to_owned()));
            }
            None if is_empty => Kind::Tombstone,
            None => Kind::Change,
        };
        match (op, record.value) {
            (Some(op), Some(value)) if !value.is_empty() => {
                self.value(&mut message, op, content, value)?;
            }
            _ => (),
        }
        Ok(message)
    }

    /// Takes in the event, or what is there instead.
    fn value<'a>(
        &mut self,
        message: &mut Message<'a>,
        op: Op,
        content: &str,
        value: &'a [u8],
    ) -> Result<(), Wrong> {
        match content {
            "" | "application/x-protobuf" => self.event(message, op, value),
            "application/json" => {
                if message.kind == Kind::Change {
                    message.kind = Kind::Json;
                }
                Ok(())
            }
            other => Err(Wrong::Unsupported(other.to_owned())),
        }
    }

    fn event<'a>(
        &mut self,
        message: &mut Message<'a>,
        op: Op,
        value: &'a [u8],
    ) -> Result<(), Wrong> {
        let batch = Batch::parse(value)?;
        self.schemas.add_all(&batch)?;
        let event = match batch.events().next() {
            Some(event) if batch.event_len() == 1 => event?,
            _ => return damage("it does not have one event"),
        };
        if let Op::Unknown(number) = event.op {
            return Err(Wrong::Unknown("an op", number.to_string()));
        }
        if event.op != op {
            return damage("its header cdc-op is not the op of its event");
        }
        if op != Op::Read && event.position != message.position {
            return damage("its header cdc-position is not the position of its event");
        }
        if event.schema != 0 {
            message.schema = Some(self.schemas.get(event.schema)?.clone());
        }
        message.event = Some(event);
        message.transaction = batch.transaction;
        message.snapshot = batch.snapshot;
        Ok(())
    }
}

/// Without what headers and value tell.
fn blank<'a>(record: &Record<'a>) -> Message<'a> {
    Message {
        kind: Kind::Marker,
        load: 0,
        load_mark: "",
        bytes: 0,
        place: record.place(),
        topic: record.topic,
        sequence: record.sequence,
        key: record.key,
        value: record.value,
        relation: Cow::Borrowed(""),
        op: "",
        position: Position::default(),
        copy: 1,
        copies: 1,
        part: 1,
        role: Role::All,
        source: Source::default(),
        confirm: crate::base::position::Lsn::ZERO,
        version: 0,
        commit_time: "",
        end: 0,
        event: None,
        schema: None,
        transaction: None,
        snapshot: None,
    }
}

/// Takes in one header. One that is not known is passed over.
fn header<'a>(message: &mut Message<'a>, name: &str, text: &'a str) -> Result<(), Wrong> {
    let wrong = || Wrong::header(name);
    match name {
        "cdc-position" => message.position = text.parse().map_err(|_| wrong())?,
        "cdc-op" => message.op = text,
        "cdc-relation" => message.relation = unescape(text).ok_or_else(wrong)?,
        "cdc-version" => message.version = text.parse().map_err(|_| wrong())?,
        "cdc-load" => message.load = text.parse().map_err(|_| wrong())?,
        "cdc-load-mark" => message.load_mark = text,
        "cdc-bytes" => message.bytes = text.parse().map_err(|_| wrong())?,
        "cdc-reference" => {
            message.kind = Kind::Reference;
            message.bytes = text.parse().map_err(|_| wrong())?;
        }
        "cdc-commit-time" => message.commit_time = text,
        "cdc-end" => message.end = text.parse().map_err(|_| wrong())?,
        "cdc-confirm" => message.confirm = text.parse().map_err(|_| wrong())?,
        "cdc-copy" => (message.copy, message.copies) = copies(text).ok_or_else(wrong)?,
        "cdc-part" => message.part = part(text).ok_or_else(wrong)?,
        "cdc-key" => {
            let role = ROLES.iter().find(|(name, _)| *name == text).map(|(_, role)| *role);
            message.role = role.ok_or_else(|| Wrong::Unknown("cdc-key", text.to_owned()))?;
        }
        _ => (),
    }
    Ok(())
}

fn part(text: &str) -> Option<u32> {
    text.parse().ok().filter(|part| *part > 0)
}

/// `1/3`
fn copies(text: &str) -> Option<(u32, u32)> {
    let (copy, copies) = text.split_once('/')?;
    let (copy, copies) = (copy.parse().ok()?, copies.parse().ok()?);
    (1 <= copy && copy <= copies).then_some((copy, copies))
}

/// `SYSTEM/TIMELINE/DATABASE/SLOT`
fn source(text: &str) -> Option<Source<'_>> {
    let mut parts = text.split('/');
    let source = Source {
        system: parts.next()?.parse().ok()?,
        timeline: parts.next()?.parse().ok()?,
        database: unescape(parts.next()?)?,
        slot: parts.next()?,
    };
    parts.next().is_none().then_some(source)
}

/// Text with `%XX` for some of its bytes.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let [b'%', high, low, tail @ ..] = rest else {
            if *first == b'%' {
                return None;
            }
            out.push(*first);
            rest = tail;
            continue;
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        out.push((digit(high)? << 4 | digit(low)?) as u8);
        rest = tail;
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::pb;

    /// The value of an INSERT, or of what `change` makes of it.
    fn value(change: impl FnOnce(&mut pb::Batch)) -> Vec<u8> {
        let table = pb::Table { schema: "public".into(), name: "t".into(), ..Default::default() };
        let table = table.encode_to_vec();
        let fingerprint = crate::fingerprint(&table);
        let mut batch = pb::Batch {
            transaction: Some(pb::Transaction {
                first_lsn: 1,
                commit_lsn: 9,
                ..Default::default()
            }),
            schemas: vec![pb::SchemaVersion { fingerprint, table, ..Default::default() }],
            events: vec![pb::ChangeEvent {
                op: pb::Op::Insert as i32,
                schema: fingerprint,
                ..Default::default()
            }],
            ..Default::default()
        };
        change(&mut batch);
        batch.encode_to_vec()
    }

    const HEADERS: [(&str, &str); 5] = [
        ("cdc-op", "INSERT"),
        ("cdc-position", "0/9/0/1/0"),
        ("cdc-source", "7/2/d%2Fb%20x/s"),
        ("cdc-relation", "public.t"),
        ("content-type", "application/x-protobuf; x=y"),
    ];

    /// A record with these headers in place of those of the same name; empty: without it.
    fn record<'a>(value: Option<&'a [u8]>, other: &[(&'a str, &'a str)]) -> Record<'a> {
        let mut headers: Vec<_> = HEADERS.into();
        headers.retain(|(name, _)| other.iter().all(|(other, _)| other != name));
        headers.extend(other.iter().filter(|(_, value)| !value.is_empty()));
        let headers = headers.into_iter().map(|(name, value)| (name, value.as_bytes())).collect();
        Record {
            topic: "p.public.t",
            partition: 3,
            sequence: 5,
            value,
            headers,
            ..Record::default()
        }
    }

    fn error(value: Option<&[u8]>, other: &[(&str, &str)]) -> String {
        let error = Reader::default().read(&record(value, other)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("p.public.t/3"), "{text}");
        match error {
            Error::Damage { what, sequence: 5, .. } => what,
            Error::Unknown { header, value, .. } => format!("unknown {header} {value}"),
            Error::UnsupportedValue { content_type, .. } => format!("unsupported {content_type}"),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn headers() {
        let value = value(|_| ());
        let record = record(
            Some(&value),
            &[
                ("cdc-relation", "public.\"a%25%0A\""),
                ("cdc-version", "4"),
                ("cdc-end", "12"),
                ("cdc-confirm", "0/8"),
                ("cdc-copy", "2/3"),
                ("cdc-key", "new"),
                ("cdc-commit-time", "2026-11-22T21:35:32.678383+00:00"),
                ("cdc-later", "\u{1}"),
                ("other", "x"),
            ],
        );
        let mut reader = Reader::default();
        let message = reader.read(&record).unwrap();
        assert_eq!((&message.kind, &*message.place), (&Kind::Change, "p.public.t/3"));
        assert_eq!((&*message.relation, message.version), ("public.\"a%\n\"", 4));
        assert_eq!((message.end, message.confirm), (12, crate::base::position::Lsn(8)));
        assert_eq!((message.copy, message.copies, message.role), (2, 3, Role::New));
        assert_eq!(message.commit_time, "2026-11-22T21:35:32.678383+00:00");
        let Source { system, timeline, database, slot } = &message.source;
        assert_eq!((*system, *timeline, &**database, *slot), (7, 2, "d/b x", "s"));
        let change = message.change().unwrap();
        assert_eq!((change.op, change.table().unwrap().name.as_str()), (Op::Insert, "t"));
        assert_eq!(message.transaction.unwrap().commit_lsn, crate::base::position::Lsn(9));
        // the schema is parsed once
        let again = reader.read(&record).unwrap();
        assert!(std::sync::Arc::ptr_eq(
            message.schema.as_ref().unwrap(),
            again.schema.as_ref().unwrap()
        ));
        assert_eq!(reader.schemas().len(), 1);
    }

    #[test]
    fn kinds() {
        let value = value(|_| ());
        let mut reader = Reader::default();
        let mut kind = |value, other: &[(&str, &str)]| {
            let record = record(value, other);
            let message = reader.read(&record).unwrap();
            (message.kind, message.event.is_some())
        };
        assert_eq!(kind(None, &[]), (Kind::Tombstone, false));
        assert_eq!(kind(Some(b"{}"), &[("content-type", "application/json")]), (Kind::Json, false));
        let marker = [("cdc-op", "BEGIN"), ("cdc-position", ""), ("content-type", "")];
        assert_eq!(kind(Some(b"\xff"), &marker), (Kind::Marker, false));
        assert_eq!(kind(Some(&value), &[("content-type", "")]), (Kind::Change, true));
        let letter = |reason: &str, topic: &str| {
            Kind::DeadLetter(DeadLetter { reason: reason.into(), topic: topic.into() })
        };
        let failure = [("cdc-reason", "failure")];
        assert_eq!(kind(Some(&value), &failure), (letter("failure", ""), true));
        let large = [("cdc-reason", "too_large"), ("cdc-topic", "p.a.b"), ("cdc-bytes", "77")];
        assert_eq!(kind(Some(b""), &large), (letter("too_large", "p.a.b"), false));
        let mark = [("cdc-op", "READ"), ("cdc-position", ""), ("cdc-load-mark", "begin")];
        assert_eq!(kind(None, &mark), (Kind::Marker, false));
        let reference = record(Some(b""), &[("cdc-reference", "77")]);
        let reference = reader.read(&reference).unwrap();
        assert_eq!((reference.kind, reference.bytes), (Kind::Reference, 77));
    }

    #[test]
    fn rows_of_a_load_have_the_position_before_them() {
        let value = value(|batch| {
            batch.transaction = None;
            batch.snapshot = Some(pb::Snapshot { xmin: 5, xmax: 6, ..Default::default() });
            batch.events[0].op = pb::Op::Read as i32;
        });
        let record = record(
            Some(&value),
            &[("cdc-op", "READ"), ("cdc-position", "0/7/0/6/0"), ("cdc-load", "3")],
        );
        let message = Reader::default().read(&record).unwrap();
        assert_eq!((message.position.to_string(), message.load), ("0/7/0/6/0".into(), 3));
        assert!(message.is_read() && message.snapshot.unwrap().sees(4));
    }

    #[test]
    fn what_is_wrong_with_headers() {
        let good = value(|_| ());
        let error = |other: &[(&str, &str)]| error(Some(&good), other);
        assert!(error(&[("cdc-op", "")]).contains("no header cdc-op"));
        assert!(error(&[("cdc-source", "")]).contains("no header cdc-source"));
        assert!(error(&[("cdc-position", "")]).contains("no header cdc-position"));
        for (name, value) in [
            ("cdc-position", "0/9"),
            ("cdc-position", "0/9/0/1/-1"),
            ("cdc-source", "7/1/d"),
            ("cdc-source", "7/1/d/s/x"),
            ("cdc-source", "7/1/%4/s"),
            ("cdc-source", "x/1/d/s"),
            ("cdc-relation", "%zz"),
            ("cdc-version", "-1"),
            ("cdc-end", "x"),
            ("cdc-confirm", "8"),
            ("cdc-copy", "0/1"),
            ("cdc-copy", "3/2"),
            ("cdc-copy", "3"),
            ("cdc-part", "0"),
            ("cdc-bytes", "many"),
            ("cdc-reference", "-1"),
            ("cdc-load", "x"),
        ] {
            assert_eq!(error(&[(name, value)]), format!("its header {name} cannot be read"));
        }
        assert_eq!(error(&[("cdc-op", "MERGE")]), "unknown cdc-op MERGE");
        assert_eq!(error(&[("cdc-key", "both")]), "unknown cdc-key both");
        assert_eq!(
            error(&[("content-type", "application/vnd.x")]),
            "unsupported application/vnd.x"
        );
        let gone = record(None, &[("content-type", "application/vnd.cdc.row")]);
        assert!(matches!(
            Reader::default().read(&gone),
            Err(Error::UnsupportedValue { content_type, .. }) if content_type == "application/vnd.cdc.row"
        ));
        let mut not_text = record(Some(&good), &[]);
        not_text.headers.push(("cdc-key", b"\xff"));
        assert!(Reader::default().read(&not_text).is_err());
    }

    #[test]
    fn what_is_wrong_with_values() {
        let error = |value: &[u8]| error(Some(value), &[]);
        let good = value(|_| ());
        for end in 1..good.len() {
            // what ends at a field's end lacks the event
            error(&good[..end]);
        }
        assert!(error(&value(|batch| batch.events.clear())).contains("one event"));
        assert!(error(&value(|b| b.events.push(b.events[0].clone()))).contains("one event"));
        assert!(error(&value(|b| b.events[0].lsn_offset = 8)).contains("cdc-position"));
        assert!(error(&value(|b| b.events[0].op = 2)).contains("cdc-op"));
        assert!(error(&value(|batch| batch.schemas.clear())).contains("schema"));
        assert_eq!(error(&value(|b| b.events[0].op = 77)), "unknown an op 77");
        assert!(error(b"{}").contains("damaged"));
    }
}
