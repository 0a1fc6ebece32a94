//! How far a reader has come.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::error::Error;
use super::message::{Kind, Message, GONE};
use crate::base::position::Position;
use crate::json::text::{string, unquote};

/// Tells messages that are new from those that have come before, in each partition or stream.
/// Its text is to be stored with the effects of the messages, in one transaction: then each
/// has its effect once, whatever the broker hands out again.
///
/// After an error, or where a transaction was given up, begin again with the text that is
/// stored.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    system: u64,
    database: String,
    timeline: u32,
    places: BTreeMap<String, Place>,
}

/// A message of a place: one change may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Id {
    position: Position,
    copy: u32,
}

/// How far one place is.
#[derive(Clone, Debug, Default)]
struct Place {
    last: Id,
    /// Of the same transaction, or of the part of it that the last one is in.
    first: Id,
    part: u32,
    sequence: u64,
    /// Of a text: what is read may begin before the last message.
    loaded: bool,
    /// It has begun to come again.
    again: bool,
}

impl Place {
    /// Whether a message of the last one's transaction, or part, has come before. Positions within a
    /// transaction are in no order of their own.
    fn came(&mut self, id: Id, sequence: u64) -> bool {
        let is_counted = sequence != 0 && self.sequence != 0;
        if is_counted && sequence <= self.sequence {
            return true;
        }
        if id == self.last {
            (self.loaded, self.again) = (false, false);
            return true;
        }
        self.again |= id == self.first;
        self.again || (self.loaded && !is_counted)
    }
}

impl Progress {
    /// Whether a message is new, which is noted. Rows of an initial load may come twice, and
    /// markers always are new.
    ///
    /// # Errors
    /// A message of another system or database, or of a history that has ended.
    pub fn take(&mut self, message: &Message<'_>) -> Result<bool, Error> {
        self.same_source(message)?;
        let place = match self.places.get_mut(&*message.place) {
            Some(place) => place,
            None => self.places.entry(message.place.to_string()).or_default(),
        };
        let is_new = match message.kind {
            Kind::Marker if message.load_mark != GONE => true,
            _ if message.is_read() => message.position.commit_lsn >= place.last.position.commit_lsn,
            _ => take(place, &mut self.timeline, message)?,
        };
        place.sequence = place.sequence.max(message.sequence);
        Ok(is_new)
    }

    fn same_source(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let source = &message.source;
        if self.system == 0 {
            (self.system, self.timeline) = (source.system, source.timeline);
            self.database = source.database.to_string();
        }
        if source.system == self.system && source.database == self.database {
            return Ok(());
        }
        let expected = format!("the system {} and the database \"{}\"", self.system, self.database);
        Err(Error::OtherSource { found: source.to_string(), expected })
    }

    /// The partitions and streams that have come, in order.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The position of a place's last message; zero if there was none.
    pub fn position(&self, place: &str) -> Position {
        self.places.get(place).map_or(Position::default(), |place| place.last.position)
    }

    /// The sequence of a place's last record; 0 if it is not known.
    pub fn sequence(&self, place: &str) -> u64 {
        self.places.get(place).map_or(0, |place| place.sequence)
    }

    /// As text, the same in all clients.
    pub fn to_json(&self) -> String {
        let Progress { system, timeline, .. } = self;
        let mut out = format!("{{\"version\":1,\"system\":\"{system}\",\"database\":");
        string(&mut out, &self.database);
        out.push_str(&format!(",\"timeline\":{timeline},\"places\":{{"));
        for (i, (name, place)) in self.places.iter().enumerate() {
            let Place { last, first, part, again, sequence, .. } = place;
            out.push_str(if i > 0 { "," } else { "" });
            string(&mut out, name);
            out.push_str(&format!(
                ":{{\"position\":\"{}\",\"copy\":{},\"first\":\"{}\",\"first_copy\":{}",
                last.position, last.copy, first.position, first.copy
            ));
            if *part > 1 {
                out.push_str(&format!(",\"part\":{part}"));
            }
            if *again {
                out.push_str(",\"repeat\":true");
            }
            if *sequence != 0 {
                out.push_str(&format!(",\"sequence\":{sequence}"));
            }
            out.push('}');
        }
        out.push_str("}}");
        out
    }

    /// Of its text; members in any order, unknown ones are an error.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let (progress, rest) = parse(text).ok_or_else(|| Error::NotProgress(text.to_owned()))?;
        match rest.trim_start() {
            "" => Ok(progress),
            _ => Err(Error::NotProgress(text.to_owned())),
        }
    }
}

fn take(place: &mut Place, timeline: &mut u32, message: &Message<'_>) -> Result<bool, Error> {
    let id = Id { position: message.position, copy: message.copy };
    let order = id.position.commit_lsn.cmp(&place.last.position.commit_lsn);
    let order = order.then(message.part.cmp(&place.part));
    match order {
        Ordering::Less => return Ok(false),
        Ordering::Equal if place.came(id, message.sequence) => return Ok(false),
        _ => (),
    }
    let found = message.source.timeline;
    if found < *timeline {
        return Err(Error::Timeline { found, expected: *timeline, position: id.position });
    }
    if order == Ordering::Greater {
        (place.first, place.loaded, place.again) = (id, false, false);
    }
    (place.last, place.part, *timeline) = (id, message.part, found);
    Ok(true)
}

/// The members of an object, each read by `member` from behind its colon. What follows it.
fn object<'a>(
    text: &'a str,
    mut member: impl FnMut(&str, &'a str) -> Option<&'a str>,
) -> Option<&'a str> {
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    if let Some(rest) = rest.strip_prefix('}') {
        return Some(rest);
    }
    loop {
        let (name, tail) = unquote(rest)?;
        rest = member(&name, tail.trim_start().strip_prefix(':')?.trim_start())?.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return rest.strip_prefix('}'),
        }
    }
}

/// What is written in quotes or without; and what follows it.
fn value<T: std::str::FromStr>(text: &str) -> Option<(T, &str)> {
    let (value, rest) = match text.starts_with('"') {
        true => unquote(text)?,
        false => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    Some((value.parse().ok()?, rest))
}

/// A value goes to its place. What follows it.
fn set<'a, T: std::str::FromStr>(to: &mut T, text: &'a str) -> Option<&'a str> {
    let (value, rest) = value(text)?;
    *to = value;
    Some(rest)
}

fn parse(text: &str) -> Option<(Progress, &str)> {
    let (mut progress, mut version, mut seen) = (Progress::default(), 0, 0);
    let rest = object(text, |name, text| {
        seen += 1;
        match name {
            "version" => set::<u32>(&mut version, text),
            "system" => set(&mut progress.system, text),
            "database" => {
                let (database, rest) = unquote(text)?;
                progress.database = database;
                Some(rest)
            }
            "timeline" => set(&mut progress.timeline, text),
            "places" => object(text, |name, text| {
                let (place, rest) = parse_place(text)?;
                progress.places.insert(name.to_owned(), place);
                Some(rest)
            }),
            _ => None,
        }
    })?;
    (seen == 5 && version == 1).then_some((progress, rest))
}

fn parse_place(text: &str) -> Option<(Place, &str)> {
    let (mut place, mut seen) = (Place { loaded: true, part: 1, ..Place::default() }, 0);
    let rest = object(text, |name, text| {
        seen += usize::from(!["part", "repeat", "sequence"].contains(&name));
        match name {
            "position" => set(&mut place.last.position, text),
            "copy" => set(&mut place.last.copy, text),
            "first" => set(&mut place.first.position, text),
            "first_copy" => set(&mut place.first.copy, text),
            "part" => set(&mut place.part, text),
            "repeat" => set(&mut place.again, text),
            "sequence" => set(&mut place.sequence, text),
            _ => None,
        }
    })?;
    (seen == 4).then_some((place, rest))
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::super::record::Record;
    use super::*;

    #[test]
    fn rows_of_a_load() {
        let mut progress = Progress::default();
        let mut read = |at| take_op(&mut progress, "READ", at);
        // several stand behind one change
        assert!(read("0/0/0/0/0") && read("0/9/0/3/0") && read("0/9/0/3/0"));
        assert!(new(&mut progress, "0/9/0/3/0", 0), "they are not what is noted");
        assert!(new(&mut progress, "0/A/0/3/0", 0));
        assert!(!take_op(&mut progress, "READ", "0/9/0/3/0"));
        assert!(take_op(&mut progress, "END", "0/9/0/3/0"));
        assert_eq!(progress.position("t/0").to_string(), "0/A/0/3/0");
    }

    fn take_op(progress: &mut Progress, op: &str, position: &str) -> bool {
        let headers = [("cdc-op", op), ("cdc-source", "7/1/d/s"), ("cdc-position", position)];
        let headers = headers.map(|(name, value)| (name, value.as_bytes())).to_vec();
        let record = Record { topic: "t", headers, ..Record::default() };
        progress.take(&Reader::default().read(&record).unwrap()).unwrap()
    }

    /// Takes a tombstone, which is as good as any other.
    fn take_at(
        progress: &mut Progress,
        source: &str,
        at: &str,
        sequence: u64,
    ) -> Result<bool, Error> {
        let (position, more) = at.split_once(' ').unwrap_or((at, "1/9"));
        let (copy, part) = more.split_once(' ').unwrap_or((more, "1"));
        let headers = [
            ("cdc-op", "DELETE"),
            ("cdc-source", source),
            ("cdc-position", position),
            ("cdc-copy", copy),
            ("cdc-part", part),
        ];
        let headers = headers.map(|(name, value)| (name, value.as_bytes())).to_vec();
        let record = Record { topic: "t", sequence, headers, ..Record::default() };
        let message = Reader::default().read(&record).unwrap();
        progress.take(&message)
    }

    fn new(progress: &mut Progress, at: &str, sequence: u64) -> bool {
        take_at(progress, "7/1/d/s", at, sequence).unwrap()
    }

    /// One transaction: a key that changes, and a row whose record stands before it.
    const TXN: [&str; 4] = ["0/9/0/3/0", "0/9/0/5/0 1/2", "0/9/0/5/0 2/2", "0/9/0/1/0"];

    fn reload(progress: &Progress) -> Progress {
        Progress::from_json(&progress.to_json()).unwrap()
    }

    #[test]
    fn each_message_is_new_once() {
        for sequence in [0, 1] {
            let mut progress = Progress::default();
            let mut n = 10;
            let mut next = || {
                n += 1;
                n * sequence
            };
            for at in ["0/8/0/2/0"].iter().chain(&TXN) {
                assert!(new(&mut progress, at, next()), "{at}");
            }
            // the log has it twice, once more from before and once from the transaction's start
            for at in ["0/8/0/2/0"].iter().chain(&TXN).chain(&TXN) {
                assert!(!new(&mut progress, at, next()), "{at}");
            }
            assert!(new(&mut progress, "0/9/0/6/0", next()));
            assert!(new(&mut progress, "0/A/0/1/0", next()));
        }
    }

    /// From any message on that is not behind the last one, after any of them.
    #[test]
    fn goes_on_after_a_restart() {
        for stop in 0..TXN.len() {
            for from in 0..=stop + 1 {
                for sequence in [0, 1] {
                    if from > stop && sequence == 0 {
                        continue;
                    }
                    let mut progress = Progress::default();
                    assert!(new(&mut progress, "0/8/0/2/0", 10 * sequence));
                    for (at, i) in TXN.iter().zip(11..).take(stop + 1) {
                        assert!(new(&mut progress, at, i * sequence));
                    }
                    let mut progress = reload(&progress);
                    for (i, at) in TXN.iter().enumerate().skip(from) {
                        let is_new = new(&mut progress, at, (11 + i as u64) * sequence);
                        assert_eq!(is_new, i > stop, "{at} from {from} after {stop}");
                    }
                    assert!(new(&mut progress, "0/A/0/1/0", 20 * sequence));
                }
            }
        }
    }

    /// A part is sent again from its beginning, with whatever a reader has of it, and the reader
    /// begins anew at any moment.
    #[test]
    fn parts_that_come_again() {
        let log = [
            ("0/9/0/3/0 1/9 1", true),
            ("0/9/0/5/0 1/9 1", true),
            ("0/9/0/7/0 1/9 2", true),
            ("0/9/0/2/0 1/9 2", true),
            ("0/9/0/7/0 1/9 2", false),
            ("0/9/0/2/0 1/9 2", false),
            ("0/9/0/8/0 1/9 2", true),
            ("0/9/0/5/0 1/9 1", false),
            ("0/A/0/1/0 1/9 1", true),
        ];
        for stop in 0..log.len() {
            let mut progress = Progress::default();
            for (sequence, (at, is_new)) in (1..).zip(log) {
                if sequence as usize == stop {
                    progress = reload(&progress);
                }
                assert_eq!(new(&mut progress, at, sequence), is_new, "{at}, from {stop}");
            }
        }
        let mut progress = Progress::default();
        let repeated = ["0/9/0/3/0 1/9 2", "0/9/0/5/0 1/9 2", "0/9/0/3/0 1/9 2"];
        for (at, sequence) in repeated.into_iter().zip([7, 14, 21]) {
            new(&mut progress, at, sequence);
        }
        let text = progress.to_json();
        assert!(text.contains(r#""first_copy":1,"part":2,"repeat":true,"sequence":21}"#), "{text}");
        assert_eq!(reload(&progress).to_json(), text);
    }

    #[test]
    fn sources_and_timelines() {
        let mut progress = Progress::default();
        assert!(take_at(&mut progress, "7/2/d/s", "0/9/0/3/0", 0).unwrap());
        for other in ["8/2/d/s", "7/2/e/s"] {
            let error = take_at(&mut progress, other, "0/A/0/3/0", 0).unwrap_err();
            assert!(matches!(error, Error::OtherSource { .. }), "{error}");
        }
        assert!(take_at(&mut progress, "7/2/d/other", "0/A/0/3/0", 0).unwrap());
        assert!(!take_at(&mut progress, "7/1/d/s", "0/8/0/3/0", 0).unwrap());
        assert!(!take_at(&mut progress, "7/1/d/s", "0/A/0/3/0", 0).unwrap());
        let error = take_at(&mut progress, "7/1/d/s", "0/B/0/3/0", 0).unwrap_err();
        assert!(matches!(error, Error::Timeline { found: 1, expected: 2, .. }), "{error}");
        assert!(take_at(&mut progress, "7/3/d/s", "0/B/0/3/0", 0).unwrap());
        assert!(take_at(&mut progress, "7/2/d/s", "0/C/0/3/0", 0).is_err());
    }

    #[test]
    fn text() {
        let mut progress = Progress::default();
        assert_eq!(
            progress.to_json(),
            r#"{"version":1,"system":"0","database":"","timeline":0,"places":{}}"#
        );
        take_at(&mut progress, "7711112610140933698/1/d%22b/s", "0/1/0/1/0", 17).unwrap();
        let text = r#"{"version":1,"system":"7711112610140933698","database":"d\"b","timeline":1,"places":{"t/0":{"position":"0/1/0/1/0","copy":1,"first":"0/1/0/1/0","first_copy":1,"sequence":17}}}"#;
        assert_eq!(progress.to_json(), text);
        let spaced = text.replace(",\"", " ,\n \"").replace(":{", " : {").replace("}}}", "} } }\n");
        for text in [text, &spaced] {
            let again = Progress::from_json(text).unwrap();
            assert_eq!(again.to_json(), progress.to_json());
            assert_eq!((again.sequence("t/0"), again.sequence("t/1")), (17, 0));
            assert_eq!(again.position("t/0").to_string(), "0/1/0/1/0");
            assert_eq!(again.places().collect::<Vec<_>>(), ["t/0"]);
        }
        let no_sequence = text.replace(",\"sequence\":17", "");
        assert_eq!(Progress::from_json(&no_sequence).unwrap().to_json(), no_sequence);
        for end in 0..text.len() {
            assert!(Progress::from_json(&text[..end]).is_err(), "{end}");
        }
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"timeline\"", "\"line\""),
            ("\"timeline\":1,", ""),
            ("\"copy\":1,", ""),
            ("\"copy\"", "\"kopy\""),
            ("}}}", "}}}}"),
            ("0/1/0/1/0", "0/1"),
        ] {
            assert!(Progress::from_json(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
