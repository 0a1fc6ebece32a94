//! Keeps tables as they are at the source, from topics.

use std::collections::HashMap;
use std::fmt;

use super::error::{Error, Lost};
use super::loads::{mark_of, put_mark, Loads};
use super::message::{Kind, Message, Role, GONE};
use super::notes::Notes;
use super::progress::Progress;
use super::scoped::{Scoped, Shared};
use crate::base::damage::Damage;
use crate::base::error::Error as BaseError;
use crate::base::relation::Relation;
use crate::model::event::{Event, Op, SchemaChangeKind};
use crate::model::row::{overlay, Row};
use crate::model::schema::{Schema, SchemaCache};
use crate::model::table::{Redaction, ReplicaIdentity, Table, REDACTED_BASE};
use crate::replica::applier::{Applied, Applier as Core};
use crate::replica::rows;
use crate::replica::state::State;
use prost::Message as _;

/// Asked about what is lost.
type OnLost = Box<dyn FnMut(&Lost) -> Result<(), Error> + Send>;

/// Keeps tables as they are at the source, by messages of topics. Each partition, or stream, has
/// its own rows and schemas: what happens to a table counts for the rows that are there,
/// however far the others have come. The changes of each key come in their order, so the
/// tables are the source's when all partitions have been read to the same end.
///
/// The progress is in the [`State`], with the rows. Messages that have come before are passed
/// over.
///
/// ```
/// use pgcdc::topic::{Applier, Reader, Record};
/// use pgcdc::MemoryState;
///
/// # fn poll() -> Option<Record<'static>> { None }
/// # fn main() -> Result<(), pgcdc::topic::Error> {
/// let (mut reader, mut copy) = (Reader::default(), Applier::new(MemoryState::default())?);
/// while let Some(record) = poll() {
///     copy.apply(&reader.read(&record)?)?;
///     // now and then; the state is to be made durable then, and the broker to be told
///     copy.save()?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// A row whose key changes may come to another partition. Where its event does not have all of
/// it, it is handed over from the one to the other: under REPLICA IDENTITY FULL, see
/// [`Applier::whole_old`], and where large values did not change. That needs one `Applier` for
/// all partitions of the topic; a program that reads some of them needs whole rows. Until the
/// other partition has come as far, such a row is missing: [`Applier::waiting`].
///
/// A table that is renamed, or has another major version, has another topic. Rows do not
/// follow to another topic of Kafka: that is [`Error::Lost`], and the table is to be loaded
/// again. On JetStream, where all of the stream is one order, it keeps its rows.
pub struct Applier<S> {
    pub(super) state: Shared<S>,
    pub(super) places: HashMap<String, Place<S>>,
    progress: Progress,
    whole_old: bool,
    on_lost: Option<OnLost>,
    /// Schemas come with the messages.
    none: SchemaCache,
}

impl<S> fmt::Debug for Applier<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applier").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// What is kept of one order of messages.
#[derive(Debug)]
pub(super) struct Place<S> {
    pub(super) core: Core<Scoped<S>>,
    pub(super) loads: Loads,
    /// Rows that are not whole.
    pub(super) partials: u64,
    saved: Vec<u8>,
}

/// An event of a table, and where it counts.
pub(super) struct Change<'m> {
    pub(super) message: &'m Message<'m>,
    pub(super) event: Event<'m>,
    pub(super) table: &'m Table,
    pub(super) relation: Relation,
    pub(super) xid: u32,
}

impl Change<'_> {
    pub(super) fn place(&self) -> &str {
        &self.message.place
    }
}

/// A relation of the state that is no table.
pub(super) fn own(name: &str) -> Relation {
    Relation { schema: String::new(), name: name.to_owned() }
}

const PROGRESS: &str = "@progress";
const PLACES: &str = "@places";

impl<S: State> Applier<S> {
    /// Over a state that is empty, or goes on with what was saved in it.
    ///
    /// # Errors
    /// The state's; what is in it is no progress.
    pub fn new(mut state: S) -> Result<Self, Error> {
        let progress = match state.get(&own(PROGRESS), b"")? {
            Some(text) => Progress::from_json(&String::from_utf8_lossy(&text))?,
            None => Progress::default(),
        };
        Ok(Applier {
            state: Shared::new(state),
            places: HashMap::new(),
            progress,
            whole_old: false,
            on_lost: None,
            none: SchemaCache::default(),
        })
    }

    /// Events of tables under REPLICA IDENTITY FULL have all of a row: the slot has the option
    /// `old = full`.
    #[must_use]
    pub fn whole_old(mut self) -> Self {
        self.whole_old = true;
        self
    }

    /// What is lost, dead letters included, is told instead of being an error, and is passed
    /// over if `f` has no error.
    #[must_use]
    pub fn on_lost(mut self, f: impl FnMut(&Lost) -> Result<(), Error> + Send + 'static) -> Self {
        self.on_lost = Some(Box::new(f));
        self
    }

    /// How far each partition has been applied.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Does something with the state.
    pub fn with_state<T>(&mut self, f: impl FnOnce(&mut S) -> T) -> T {
        f(&mut self.state.get())
    }

    /// Writes the progress, and what else is to be known, to the state: to be done before it
    /// is made durable.
    ///
    /// # Errors
    /// The state's.
    pub fn save(&mut self) -> Result<(), Error> {
        let mut state = self.state.get();
        for (name, place) in &mut self.places {
            let notes = Notes::new(&place.core.tables, &place.loads, place.partials);
            let notes = notes.encode_to_vec();
            if notes != place.saved {
                state.put(&own(PLACES), name.as_bytes(), &notes)?;
                place.saved = notes;
            }
        }
        Ok(state.put(&own(PROGRESS), b"", self.progress.to_json().as_bytes())?)
    }

    /// Applies a message. Whether it did: not if that was done before, and not if the message
    /// is for none to apply. After an error the state is to be brought to where it was saved
    /// last, and a new `Applier` to be made.
    ///
    /// # Errors
    /// [`Error::Lost`], unless there is [`Applier::on_lost`]; those of [`Progress::take`];
    /// values without an event; damage; the state's.
    pub fn apply(&mut self, message: &Message<'_>) -> Result<bool, Error> {
        let before = self.progress.position(&message.place).commit_lsn;
        if !self.progress.take(message)? {
            return Ok(false);
        }
        self.open(&message.place)?;
        let lost = match &message.kind {
            Kind::Change => None,
            Kind::Tombstone => return Ok(false),
            Kind::Marker => {
                self.mark(message)?;
                return Ok(false);
            }
            Kind::DeadLetter(letter) => {
                Some(format!("it is among the dead letters: {}", letter.reason))
            }
            Kind::Reference => Some("it was too large: read the row from the table".into()),
            Kind::Json => {
                let (place, content_type) = (message.place.to_string(), "application/json".into());
                return Err(Error::UnsupportedValue { place, content_type });
            }
        };
        let Some(event) = message.event.filter(|_| lost.is_none()) else {
            self.lost(message, &lost.unwrap_or_default())?;
            return Ok(false);
        };
        if let Some(failure) = event.failure {
            let why = format!("the server could not write it: {}", failure.message);
            self.lost(message, &why)?;
            return Ok(false);
        }
        if event.position.commit_lsn > before && event.op != Op::Read {
            self.places.get_mut(&*message.place).into_iter().for_each(|p| p.core.tables.begin());
        }
        match event.op {
            Op::Message | Op::Unknown(_) => return Ok(false),
            Op::Schema => self.follow(message, &event)?,
            _ => self.event(message, event)?,
        }
        Ok(true)
    }

    pub(super) fn lost(&mut self, message: &Message<'_>, why: &str) -> Result<(), Error> {
        let lost = Lost {
            place: message.place.to_string(),
            relation: message.relation.to_string(),
            position: message.position,
            why: why.to_owned(),
        };
        match &mut self.on_lost {
            Some(f) => f(&lost),
            None => Err(Error::Lost(lost)),
        }
    }

    /// Takes up what is kept of a place.
    pub(super) fn open(&mut self, name: &str) -> Result<(), Error> {
        if self.places.contains_key(name) {
            return Ok(());
        }
        let saved = self.state.get().get(&own(PLACES), name.as_bytes())?.unwrap_or_default();
        let what = Damage::Malformed("notes of a place in the state");
        let notes = Notes::decode(&saved[..]).map_err(|_| what)?;
        let mut core = Core::new(Scoped::new(self.state.clone(), name));
        core.tables = notes.tables()?;
        let place = Place { core, loads: notes.loads()?, partials: notes.partials, saved };
        self.places.insert(name.to_owned(), place);
        Ok(())
    }

    fn open_all(&mut self) -> Result<Vec<String>, Error> {
        let names: Vec<_> = self.progress.places().map(str::to_owned).collect();
        names.iter().try_for_each(|name| self.open(name))?;
        Ok(names)
    }

    /// A place that is open.
    pub(super) fn place(&mut self, name: &str) -> &mut Place<S> {
        self.places.get_mut(name).expect("it was opened")
    }

    /// The row with a key, and its schema; `None` if there is none. `key` has the key columns,
    /// as [`Event::key`] does.
    ///
    /// # Errors
    /// The state's.
    pub fn row(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        for name in self.open_all()? {
            if let Some(row) = self.place(&name).core.state().get(relation, key)? {
                return Ok(Some(rows::canonical(Row::new(&row))?.0));
            }
        }
        Ok(None)
    }

    /// Calls `f` with each row of a relation, in any order, and with the schema that it has in
    /// its partition, which others may be ahead of. A row that a table without a key has
    /// several times is given as often.
    ///
    /// # Errors
    /// The state's, and `f`'s.
    pub fn rows(
        &mut self,
        relation: &Relation,
        mut f: impl FnMut(&Schema, Row<'_>) -> Result<(), BaseError>,
    ) -> Result<(), Error> {
        for name in self.open_all()? {
            let core = &mut self.place(&name).core;
            let Some(schema) = core.tables.schema_of(relation).cloned() else { continue };
            core.state().scan(relation, &mut |_, row| {
                let (row, count) = rows::canonical(Row::new(row))?;
                (0..count).try_for_each(|_| f(&schema, Row::new(&row)))
            })?;
        }
        Ok(())
    }

    fn mark(&mut self, message: &Message<'_>) -> Result<(), Error> {
        if message.load_mark.is_empty() {
            return Ok(());
        }
        if message.load_mark == GONE {
            return self.gone(message);
        }
        let damage = |_| Damage::Malformed("name of a relation in a header");
        let relation: Relation = message.relation.parse().map_err(damage)?;
        let Place { core, loads, .. } = self.place(&message.place);
        if message.load_mark == "begin" {
            loads.begin(&relation, message.load);
        }
        let ended = (message.load_mark == "end").then(|| loads.end(&relation, message.load));
        let Some(mark) = ended.flatten() else { return Ok(()) };
        // what was neither read nor changed since it began is not at the source
        let is_keyed = core.tables.schema_of(&relation).is_some_and(|s| s.table.has_key());
        let mut gone = Vec::new();
        core.state().scan(&relation, &mut |key, row| {
            if is_keyed && mark_of(row)?.is_none_or(|number| number < mark) {
                gone.push(key.to_vec());
            }
            Ok(())
        })?;
        Ok(gone.iter().try_for_each(|key| core.state().delete(&relation, key))?)
    }

    /// Removes the row with a key that has none at the source. What the snapshot saw, and is still
    /// to come, finds no row.
    fn gone(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let (Some(event), Some(schema), Some(snapshot)) =
            (message.event, message.schema.as_deref(), message.snapshot)
        else {
            return Err(Damage::Malformed("mark of a row that is gone").into());
        };
        let relation = Relation::from(&schema.table);
        let place = self.place(&message.place);
        place.loads.number(&relation, snapshot.bytes());
        if place.core.tables.current(&relation).is_none() {
            return Ok(());
        }
        let key = event.key.bytes();
        self.drop_partial(&message.place, &relation, key)?;
        Ok(self.place(&message.place).core.state().delete(&relation, key)?)
    }

    /// Applies an event of a table.
    fn event(&mut self, message: &Message<'_>, event: Event<'_>) -> Result<(), Error> {
        let schema = message.schema.as_deref();
        let schema = schema.ok_or(Damage::UnknownSchema(event.schema))?;
        let xid = message.transaction.map_or(0, |transaction| transaction.xid);
        let relation = Relation::from(&schema.table);
        let change = Change { message, event, table: &schema.table, relation, xid };
        let place = self.place(change.place());
        if event.op != Op::Read {
            place.loads.pass(xid);
        }
        self.bring(&change)?;
        if event.op == Op::Truncate || message.role == Role::Elsewhere {
            return Ok(());
        }
        self.change(&change)
    }

    /// Brings what is held of the relation to the event's schema, and to nothing where the
    /// event begins it anew.
    fn bring(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let Change { message, event, relation, .. } = change;
        let place = self.place(change.place());
        message.schema.iter().for_each(|schema| place.core.tables.learn(schema));
        let current = place.core.tables.current(relation);
        let has_left = place.core.tables.has_left(relation);
        if has_left || event.op == Op::Truncate || event.rewrite_start {
            self.empty(change, has_left)?;
        }
        if current.is_none() {
            self.claim(message, relation)?;
        }
        let none = std::mem::take(&mut self.none);
        let mut without_start = *event;
        without_start.rewrite_start = false;
        let place = self.place(change.place());
        // rows that were read are ahead of it, in their schema too
        let is_behind = current.is_some_and(|current| current != event.schema)
            && event.op != Op::Read
            && place.loads.any_saw(relation, change.xid);
        let done = match is_behind {
            true => Ok(()),
            false => place.core.prepare(&without_start, &none),
        };
        place.core.tables.note(event);
        self.none = none;
        Ok(done?)
    }

    /// Removes what is held of a relation: all, or what the event's transaction finds there.
    fn empty(&mut self, change: &Change<'_>, all: bool) -> Result<(), Error> {
        let Change { relation, xid, .. } = change;
        let place = self.place(change.place());
        if !all && place.loads.all_saw(relation, *xid) {
            return Ok(());
        }
        self.drop_partials(change.place(), relation)?;
        let Place { core, loads, .. } = self.place(change.place());
        if all || !loads.any_saw(relation, *xid) {
            return Ok(core.state().truncate(relation)?);
        }
        let mut gone = Vec::new();
        core.state().scan(relation, &mut |key, row| {
            if !loads.saw(relation, row, *xid)? {
                gone.push(key.to_vec());
            }
            Ok(())
        })?;
        Ok(gone.iter().try_for_each(|key| core.state().delete(relation, key))?)
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let Change { message, event, relation, xid, .. } = change;
        let is_keyed = change.table.has_key() && !event.key.is_empty();
        match (event.op, message.role) {
            (Op::Read, _) => self.read(change),
            _ if !is_keyed => {
                if self.place(change.place()).loads.all_saw(relation, *xid) {
                    return Ok(());
                }
                self.change_without_key(change)
            }
            (Op::Insert | Op::Rewrite, _) => {
                if self.saw(change, event.key)? {
                    return Ok(());
                }
                self.put(change, event.key, &joined(event.key, event.new))
            }
            (Op::Delete, _) => {
                if self.saw(change, event.key)? {
                    return Ok(());
                }
                self.drop_partial(change.place(), relation, event.key.bytes())?;
                let core = &mut self.place(change.place()).core;
                Ok(core.state().delete(relation, event.key.bytes())?)
            }
            (_, Role::Old) => self.move_out(change),
            (_, Role::New) => self.move_in(change),
            _ => self.update(change),
        }
    }

    /// By the whole row before it, if at all.
    fn change_without_key(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let none = std::mem::take(&mut self.none);
        let applied = self.place(change.place()).core.apply_new(&change.event, &none);
        self.none = none;
        match applied? {
            Applied::MissingRow => self.missing(change),
            Applied::Unlocated => {
                self.lost(change.message, "the WAL does not say which row it is of")
            }
            _ => Ok(()),
        }
    }

    /// An UPDATE that leaves the row where it is, or moves it within the one order there is.
    fn update(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let Change { event, relation, .. } = change;
        let moves = !event.new_key.is_empty() && event.new_key != event.key;
        let after = if moves { event.new_key } else { event.key };
        let saw_before = self.saw(change, event.key)?;
        let saw_after = if moves { self.saw(change, after)? } else { saw_before };
        let state = self.place(change.place()).core.state();
        let base = state.get(relation, event.key.bytes())?.filter(|_| !saw_before);
        if moves && base.is_some() {
            state.delete(relation, event.key.bytes())?;
        }
        match base {
            _ if saw_after => Ok(()),
            Some(base) => self.lay(change, after, Row::new(&base)),
            None if self.is_whole(change)? => {
                self.lay(change, after, Row::new(&joined(event.key, event.old)))
            }
            None if self.update_partial(change)? => Ok(()),
            None => self.missing(change),
        }
    }

    /// Puts a row that is the event's upon another one.
    pub(super) fn lay(
        &mut self,
        change: &Change<'_>,
        after: Row<'_>,
        base: Row<'_>,
    ) -> Result<(), Error> {
        let mut row = Vec::new();
        let delta = joined(after, change.event.new);
        overlay(&mut row, base, Row::new(&delta), change.event.nulls())?;
        self.put(change, after, &row)
    }

    /// Puts a whole row.
    fn put(&mut self, change: &Change<'_>, key: Row<'_>, row: &[u8]) -> Result<(), Error> {
        self.drop_partial(change.place(), &change.relation, key.bytes())?;
        self.keep(change.place(), &change.relation, key.bytes(), row)
    }

    /// Puts a row that is nobody's part.
    pub(super) fn keep(
        &mut self,
        place: &str,
        relation: &Relation,
        key: &[u8],
        row: &[u8],
    ) -> Result<(), Error> {
        let (mut row, _) = rows::canonical(Row::new(row))?;
        let Place { core, loads, .. } = self.place(place);
        loads.tag(relation, &mut row);
        Ok(core.state().put(relation, key, &row)?)
    }

    /// A row that is not there. While a table is loaded it may have been deleted since, or will be read.
    pub(super) fn missing(&mut self, change: &Change<'_>) -> Result<(), Error> {
        if self.place(change.place()).loads.is_loading(&change.relation) {
            return Ok(());
        }
        self.lost(change.message, "the row is not there")
    }

    /// Puts a row that was read.
    fn read(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let Change { message, event, relation, .. } = change;
        let snapshot = message.snapshot.ok_or(Damage::Malformed("row without a snapshot"))?;
        let place = self.place(change.place());
        if event.key.is_empty() || !change.table.has_key() {
            // nothing tells those that are read again
            if place.loads.begin_whole(relation, snapshot.bytes()) {
                place.core.state().truncate(relation)?;
            }
            return Ok(rows::add(place.core.state(), relation, event.new)?);
        }
        let number = place.loads.number(relation, snapshot.bytes());
        self.drop_partial(change.place(), relation, event.key.bytes())?;
        let joined = joined(event.key, event.new);
        let (mut row, _) = rows::canonical(Row::new(&joined))?;
        put_mark(&mut row, number);
        Ok(self.place(change.place()).core.state().put(relation, event.key.bytes(), &row)?)
    }

    /// Whether the row with a key was read when the event's transaction had committed.
    pub(super) fn saw(&mut self, change: &Change<'_>, key: Row<'_>) -> Result<bool, Error> {
        let Change { relation, xid, .. } = change;
        let Place { core, loads, .. } = self.place(change.place());
        if !loads.any_saw(relation, *xid) {
            return Ok(false);
        }
        match core.state().get(relation, key.bytes())? {
            Some(row) => Ok(loads.saw(relation, &row, *xid)?),
            None => Ok(false),
        }
    }

    /// Whether an UPDATE has the whole row as it is after it.
    pub(super) fn is_whole(&self, change: &Change<'_>) -> Result<bool, Error> {
        let Change { event, table, .. } = change;
        if table.replica_identity == ReplicaIdentity::Full && self.whole_old {
            return Ok(true);
        }
        let mut numbers = Vec::new();
        for field in event.new.fields() {
            numbers.push(field?.number);
        }
        for number in event.nulls() {
            numbers.push(number?);
        }
        let has = |number| numbers.contains(&number);
        Ok(table.columns.iter().all(|column| {
            column.key
                || has(column.number)
                || has(column.number + REDACTED_BASE)
                || matches!(
                    column.redaction,
                    Redaction::Drop | Redaction::Null | Redaction::Withheld
                )
        }))
    }

    /// Does what a command has made of a relation.
    fn follow(&mut self, message: &Message<'_>, event: &Event<'_>) -> Result<(), Error> {
        let kind = event.schema_change.map(|change| change.kind);
        let former = event.schema_change.and_then(|change| change.former());
        let relation = message.schema.as_ref().map(|schema| Relation::from(&schema.table));
        let xid = message.transaction.map_or(0, |transaction| transaction.xid);
        let place = self.place(&message.place);
        message.schema.iter().for_each(|schema| place.core.tables.learn(schema));
        match (kind, former, relation) {
            (Some(SchemaChangeKind::Dropped), Some(former), _) => self.replace(message, &former)?,
            (Some(SchemaChangeKind::Altered), Some(former), Some(relation))
                if former != relation =>
            {
                self.rename(message, &former, &relation, event.schema)?;
            }
            (Some(SchemaChangeKind::Altered), _, Some(relation)) => {
                if place.core.tables.current(&relation).is_none() {
                    self.claim(message, &relation)?;
                } else if place.loads.any_saw(&relation, xid) {
                    // rows that were read have it
                    return Ok(());
                }
            }
            (Some(SchemaChangeKind::Created | SchemaChangeKind::Entered), _, Some(relation))
                if !place.core.tables.is_written(event.schema) =>
            {
                self.replace(message, &relation)?;
            }
            _ => (),
        }
        let none = std::mem::take(&mut self.none);
        let done = self.place(&message.place).core.apply_new(event, &none);
        self.none = none;
        done.map(drop).map_err(Error::from)
    }

    /// Forgets what is held under a name: it is of another relation from here on.
    fn replace(&mut self, message: &Message<'_>, relation: &Relation) -> Result<(), Error> {
        self.drop_partials(&message.place, relation)?;
        self.forget(&message.place, relation)
    }

    fn forget(&mut self, place: &str, relation: &Relation) -> Result<(), Error> {
        let place = self.place(place);
        place.loads.remove(relation);
        Ok(place.core.remove(relation)?)
    }

    /// What is held of a relation gets another name, which the core gives it.
    fn rename(
        &mut self,
        message: &Message<'_>,
        from: &Relation,
        to: &Relation,
        schema: u64,
    ) -> Result<(), Error> {
        if self.place(&message.place).core.tables.is_written(schema) {
            // anew, by the command
            return self.replace(message, from);
        }
        self.replace(message, to)?;
        if self.holders(&message.place, to)?.is_empty() {
            self.rename_partials(&message.place, from, to)?;
            self.place(&message.place).loads.rename(from, to);
            return Ok(());
        }
        // its topic is that of the new name already
        if self.holds(&message.place, from)? {
            self.lost(message, MOVED)?;
        }
        self.replace(message, from)
    }

    /// Whether a place has rows of a relation.
    fn holds(&mut self, place: &str, relation: &Relation) -> Result<bool, Error> {
        let mut any = self.partials_of(place, relation)?.into_iter().next().is_some();
        let core = &mut self.place(place).core;
        let stop = || BaseError::Protocol(String::new());
        let scanned = core.state().scan(relation, &mut |_, _| {
            any = true;
            Err(stop())
        });
        match scanned {
            Err(error) if !any => Err(error.into()),
            _ => Ok(any),
        }
    }

    /// The places of other topics that have rows of a relation.
    fn holders(&mut self, place: &str, relation: &Relation) -> Result<Vec<String>, Error> {
        let mut holders = Vec::new();
        for name in self.open_all()? {
            if topic_of(&name) != topic_of(place) && self.holds(&name, relation)? {
                holders.push(name);
            }
        }
        Ok(holders)
    }

    /// A relation is of this place's topic from here on.
    fn claim(&mut self, message: &Message<'_>, relation: &Relation) -> Result<(), Error> {
        let holders = self.holders(&message.place, relation)?;
        if holders.iter().any(|name| !self.places[name].core.tables.has_left(relation)) {
            self.lost(message, MOVED)?;
        }
        for name in holders {
            self.drop_partials(&name, relation)?;
            self.forget(&name, relation)?;
        }
        Ok(())
    }
}

const MOVED: &str = "the table has another topic now, and rows do not follow: load it again";

/// The topic of a place.
fn topic_of(place: &str) -> &str {
    place.rsplit_once('/').map_or(place, |(topic, _)| topic)
}

/// Their numbers are different, so joined bytes are one row.
pub(super) fn joined(key: Row<'_>, rest: Row<'_>) -> Vec<u8> {
    [key.bytes(), rest.bytes()].concat()
}
