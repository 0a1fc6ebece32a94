//! Where a consumer is, and stores that keep it.

use crate::json::text::{string, unquote};
use std::future::Future;
use std::pin::Pin;

use crate::base::error::Error;
use crate::base::position::{Lsn, Position};

/// Where a consumer is: everything before it has been applied and is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of the cluster: positions of another one mean nothing here.
    pub system_identifier: u64,
    /// Of the server when the checkpoint was made.
    pub timeline: u32,
    /// The slot's.
    pub database: String,
    /// The slot.
    pub slot: String,
    /// The last change applied, as far as it is known; zeros if there was none.
    pub position: Position,
    /// What may be acknowledged: behind the last transaction applied, or
    /// further where nothing of interest followed.
    pub end_lsn: Lsn,
}

/// A future that owns what it needs, or borrows from the store.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps one [`Checkpoint`]. When `save` is done, the checkpoint is durable: it
/// is then reported to the server, which may drop what came before.
pub trait CheckpointStore: Send + Sync {
    /// The checkpoint; `None` if none was ever saved.
    ///
    /// # Errors
    /// Whatever prevents reading it. A checkpoint that cannot be read is never
    /// `None`.
    fn load(&self) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>>;

    /// Keeps it durably. Called with ascending `end_lsn`, one call at a time.
    ///
    /// # Errors
    /// Whatever prevents it: the stream then stops.
    fn save<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>>;
}

impl<T: CheckpointStore + ?Sized> CheckpointStore for std::sync::Arc<T> {
    fn load(&self) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        (**self).load()
    }
    fn save<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>> {
        (**self).save(checkpoint)
    }
}

impl Checkpoint {
    /// The JSON form, the same in all clients:
    /// `{"version":1,"system_identifier":"7…","timeline":1,"database":"d","slot":"s","position":"…","end_lsn":"0/…"}`.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"version\":1,\"system_identifier\":\"{}\",\"timeline\":{},\"database\":",
            self.system_identifier, self.timeline
        );
        string(&mut out, &self.database);
        out.push_str(",\"slot\":");
        string(&mut out, &self.slot);
        out.push_str(&format!(
            ",\"position\":\"{}\",\"end_lsn\":\"{}\"}}",
            self.position, self.end_lsn
        ));
        out
    }

    /// Of the JSON form; members in any order, unknown ones are an error.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Config(format!("not a checkpoint: {text:.100}")))
    }
}

fn parse(text: &str) -> Option<Checkpoint> {
    let mut checkpoint = Checkpoint::default();
    let mut seen = 0;
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    while !rest.is_empty() {
        let (name, tail) = unquote(rest)?;
        let tail = tail.trim_start().strip_prefix(':')?.trim_start();
        let (value, tail) = if tail.starts_with('"') {
            unquote(tail)?
        } else {
            let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            (tail[..end].to_owned(), &tail[end..])
        };
        match name.as_str() {
            "version" if value == "1" => (),
            "system_identifier" => checkpoint.system_identifier = value.parse().ok()?,
            "timeline" => checkpoint.timeline = value.parse().ok()?,
            "database" => checkpoint.database = value,
            "slot" => checkpoint.slot = value,
            "position" => checkpoint.position = value.parse().ok()?,
            "end_lsn" => checkpoint.end_lsn = value.parse().ok()?,
            _ => return None,
        }
        seen += 1;
        rest = tail.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => (),
            None => return None,
        }
    }
    (seen == 7).then_some(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json() {
        let checkpoint = Checkpoint {
            system_identifier: 7_711_112_610_140_933_698,
            timeline: 2,
            database: "d\"\\\n\u{1}é".into(),
            slot: "s".into(),
            position: "0/19552C8/0/19551E8/3".parse().unwrap(),
            end_lsn: "0/19552F8".parse().unwrap(),
        };
        let text = checkpoint.to_json();
        assert!(text.starts_with(
            r#"{"version":1,"system_identifier":"7711112610140933698","timeline":2,"#
        ));
        assert!(text
            .ends_with(r#""slot":"s","position":"0/19552C8/0/19551E8/3","end_lsn":"0/19552F8"}"#));
        assert_eq!(Checkpoint::from_json(&text).unwrap(), checkpoint);
        let spaced = text.replace(",\"", " ,\n \"").replace("\":", "\" : ");
        assert_eq!(Checkpoint::from_json(&format!(" {spaced}\n")).unwrap(), checkpoint);
        for at in 0..text.len() {
            if text.is_char_boundary(at) {
                assert!(Checkpoint::from_json(&text[..at]).is_err(), "{at}");
            }
        }
        assert!(Checkpoint::from_json(&text.replace("\"version\":1", "\"version\":2")).is_err());
    }
}
