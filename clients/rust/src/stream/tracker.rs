//! What has been delivered and acknowledged. Acknowledgement is contiguous:
//! what counts is the end of the last transaction before the first one that is
//! not acknowledged.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::base::position::{Lsn, Position};

#[derive(Clone, Copy, Debug)]
struct Pending {
    id: u64,
    end_lsn: Lsn,
    position: Position,
    commit: Option<Micros>,
    received: Micros,
    done: bool,
}

/// Microseconds since 1970.
pub(super) type Micros = i64;

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    next_id: u64,
    /// Where the last transaction ends that was handed out whole.
    delivered: Lsn,
    acknowledged: (Lsn, Position),
    /// Messages that wait to be looked at.
    queued: u64,
    queued_bytes: usize,
    /// The consumer is between the parts of a transaction.
    inside: bool,
    /// When the last transaction committed that is acknowledged.
    last_commit: Option<Micros>,
    /// The server has said that there is nothing more, since it last sent something.
    quiet: bool,
    role: Role,
    /// Of the connection whose messages count.
    epoch: u64,
    /// When the last heartbeat committed that was handed out.
    heartbeat: Option<Micros>,
}

impl Pending {
    /// What is acknowledged with this, too. What is prepared has no position among the
    /// commits yet.
    fn after(&self, (end_lsn, position): (Lsn, Position)) -> (Lsn, Position) {
        let prepared = self.position.commit_lsn == Lsn::ZERO;
        (end_lsn.max(self.end_lsn), if prepared { position } else { self.position })
    }
}

impl State {
    /// Nothing is in flight.
    fn is_idle(&self) -> bool {
        self.queued == 0 && self.pending.is_empty() && !self.inside
    }
}

/// What whoever reads is to the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// It acknowledges nothing, and says so.
    Reader,
    /// It leaves out some of what the slot has, and may just be looking: what was left
    /// out is not lost to the slot's consumer until something is acknowledged.
    #[default]
    Guest,
    /// The slot's consumer.
    Consumer,
}

/// From then until now; 0 where clocks differ.
pub(super) fn seconds(since: Micros, now: Micros) -> f64 {
    now.saturating_sub(since).max(0) as f64 / 1e6
}

/// Shared by the consumer's side and the task that talks to the server.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    state: Mutex<State>,
    /// Something was acknowledged, or there is room.
    pub(super) changed: Notify,
}

impl Tracker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything before this has been applied.
    pub(super) fn begin(&self, end_lsn: Lsn, position: Position, role: Role) {
        let mut state = self.state();
        state.role = role;
        state.delivered = end_lsn;
        state.acknowledged = (end_lsn, position);
    }

    pub(super) fn queue(&self, bytes: usize) {
        let mut state = self.state();
        state.queued += 1;
        state.queued_bytes += bytes;
        state.quiet = false;
    }

    /// Whether more may be read. A message larger than the limit may be, alone.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        self.state().queued_bytes < limit
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.state().queued_bytes
    }

    /// A message has been looked at; `inside`: more parts must follow.
    pub(super) fn taken(&self, bytes: usize, inside: bool) {
        let mut state = self.state();
        state.queued -= 1;
        state.queued_bytes -= bytes;
        state.inside = inside;
        drop(state);
        self.changed.notify_one();
    }

    /// A new connection begins, and sends what comes after what was handed out: messages of
    /// the former one that still wait are not to be handed out any more. Its number.
    pub(super) fn restart(&self) -> u64 {
        let mut state = self.state();
        state.epoch += 1;
        state.epoch
    }

    /// The connection broke: parts that came are sent again.
    pub(super) fn reconnected(&self) {
        self.state().inside = false;
    }

    /// The connection has ended: there may be more than is known.
    pub(super) fn disconnected(&self) {
        self.state().quiet = false;
    }

    /// A heartbeat is handed out, which committed then.
    pub(super) fn beat(&self, commit: Micros) {
        self.state().heartbeat = Some(commit);
    }

    /// How long ago the last one committed, in seconds.
    pub(super) fn heartbeat_age(&self, now: Micros) -> Option<f64> {
        self.state().heartbeat.map(|commit| seconds(commit, now))
    }

    /// A transaction, or a message outside of one, is handed out to its end. `commit`:
    /// when it committed; `None` for a prepared one. `received`: when it came.
    /// `None` if it comes again by a newer connection than `epoch`.
    pub(super) fn deliver(
        &self,
        epoch: u64,
        end_lsn: Lsn,
        position: Position,
        commit: Option<Micros>,
        received: Micros,
    ) -> Option<u64> {
        let mut state = self.state();
        if state.epoch != epoch {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.delivered = state.delivered.max(end_lsn);
        if state.role == Role::Reader {
            state.last_commit = commit.or(state.last_commit);
            return Some(id);
        }
        state.pending.push_back(Pending { id, end_lsn, position, commit, received, done: false });
        Some(id)
    }

    pub(super) fn delivered(&self) -> Lsn {
        self.state().delivered
    }

    /// Whether the slot may be moved at all.
    pub(super) fn is_consumer(&self) -> bool {
        self.state().role == Role::Consumer
    }

    /// These are dealt with; `own`: by whoever reads, who thereby is the slot's consumer. When the
    /// last of them was received, unless that has been told.
    pub(super) fn done(&self, ids: &[u64], own: bool) -> Option<Micros> {
        let mut state = self.state();
        if state.role == Role::Reader {
            return None;
        }
        if own {
            state.role = Role::Consumer;
        }
        let first = state.pending.front().map(|p| p.id)?;
        let mut received = None;
        // ids are consecutive
        for at in ids.iter().filter_map(|id| id.checked_sub(first)) {
            if let Some(pending) = state.pending.get_mut(at as usize) {
                received = (!pending.done).then_some(pending.received);
                pending.done = true;
            }
        }
        while state.role == Role::Consumer && state.pending.front().is_some_and(|p| p.done) {
            if let Some(p) = state.pending.pop_front() {
                state.acknowledged = p.after(state.acknowledged);
                state.last_commit = p.commit.or(state.last_commit);
            }
        }
        drop(state);
        self.changed.notify_one();
        received
    }

    /// The server says that it has sent everything up to here. Followed while
    /// nothing is in flight, on behalf of the slot's consumer: what was filtered out
    /// by options of who just looks is not lost to it.
    pub(super) fn keepalive(&self, wal_end: Lsn) -> bool {
        let mut state = self.state();
        state.quiet = true;
        let idle = state.is_idle() && state.role == Role::Consumer;
        if idle {
            state.acknowledged.0 = state.acknowledged.0.max(wal_end);
            state.delivered = state.delivered.max(wal_end);
        }
        idle
    }

    /// How long ago the oldest transaction committed that was handed out and is not
    /// acknowledged, or as long as there may be more, the last one that is.
    pub(super) fn lag(&self, now: Micros) -> f64 {
        let state = self.state();
        let oldest = state.pending.iter().filter(|p| !p.done).find_map(|p| p.commit);
        let since = match oldest {
            None if state.quiet && state.queued == 0 && !state.inside => None,
            None => state.last_commit,
            oldest => oldest,
        };
        since.map_or(0.0, |since| seconds(since, now))
    }

    /// What [`Tracker::acknowledged`] would be, were these acknowledged, too.
    pub(super) fn assuming(&self, ids: &[u64]) -> (Lsn, Position) {
        let state = self.state();
        let done = state.pending.iter().take_while(|p| p.done || ids.contains(&p.id));
        done.fold(state.acknowledged, |acknowledged, p| p.after(acknowledged))
    }

    /// What may be stored, and then reported as flushed.
    pub(super) fn acknowledged(&self) -> (Lsn, Position) {
        self.state().acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Tracker {
        fn acknowledge(&self, id: u64) {
            let _ = self.done(&[id], true);
        }
    }

    fn at(lsn: u64) -> (Lsn, Position) {
        (Lsn(lsn), Position { commit_lsn: Lsn(lsn - 1), ..Position::default() })
    }

    #[test]
    fn contiguous() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        let ids: Vec<_> =
            [10, 20, 30].map(|l| t.deliver(0, at(l).0, at(l).1, None, 0).unwrap()).into();
        t.acknowledge(ids[1]);
        t.acknowledge(ids[2]);
        assert_eq!(t.acknowledged().0, Lsn(5));
        t.acknowledge(ids[0]);
        assert_eq!(t.acknowledged(), at(30));
        t.acknowledge(ids[0]);
        t.acknowledge(99);
        assert_eq!(t.acknowledged(), at(30), "again, and what was never delivered");
    }

    #[test]
    fn assumed_is_what_an_acknowledgement_makes() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        let ids: Vec<_> =
            [10, 20, 30].map(|l| t.deliver(0, at(l).0, at(l).1, None, 0).unwrap()).into();
        assert_eq!(t.assuming(&[]), (Lsn(5), Position::default()));
        assert_eq!(t.assuming(&[ids[1]]).0, Lsn(5), "the first one is missing");
        t.acknowledge(ids[1]);
        assert_eq!(t.assuming(&[ids[0]]), at(20));
        assert_eq!(t.acknowledged().0, Lsn(5), "nothing has moved");
        t.acknowledge(ids[0]);
        assert_eq!(t.assuming(&[ids[0]]), at(20), "it is acknowledged");
        assert_eq!(t.assuming(&[ids[2]]), at(30));
    }

    #[test]
    fn a_prepared_transaction_moves_the_end_alone() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        let first = t.deliver(0, at(10).0, at(10).1, None, 0).unwrap();
        let prepared = t.deliver(0, Lsn(20), Position::default(), None, 0).unwrap();
        t.acknowledge(first);
        assert_eq!(t.assuming(&[prepared]), (Lsn(20), at(10).1));
        t.acknowledge(prepared);
        assert_eq!(t.acknowledged(), (Lsn(20), at(10).1), "a position below is never stored");
    }

    #[test]
    fn keepalives_count_when_nothing_is_in_flight() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        t.queue(1);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "a message waits");
        t.taken(1, true);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "between the parts");
        t.queue(1);
        let id = t.deliver(0, at(30).0, at(30).1, None, 0).unwrap();
        t.taken(1, false);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "not acknowledged");
        t.acknowledge(id);
        assert_eq!(t.acknowledged(), at(30));
        t.keepalive(Lsn(40));
        t.keepalive(Lsn(35));
        assert_eq!(t.acknowledged(), (Lsn(40), at(30).1), "never down");
    }

    #[test]
    fn keepalives_do_not_count_for_who_just_looks() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Guest);
        assert!(!t.keepalive(Lsn(40)));
        let id = t.deliver(0, at(50).0, at(50).1, None, 0).unwrap();
        assert!(!t.keepalive(Lsn(60)) && !t.is_consumer());
        assert_eq!(t.acknowledged().0, Lsn(5));
        t.acknowledge(id);
        assert!(t.keepalive(Lsn(60)) && t.is_consumer());
        assert_eq!(t.acknowledged(), (Lsn(60), at(50).1));
        t.begin(Lsn(60), Position::default(), Role::Reader);
        let id = t.deliver(0, at(70).0, at(70).1, None, 0).unwrap();
        t.acknowledge(id);
        assert!(!t.keepalive(Lsn(80)));
        assert_eq!((t.acknowledged().0, t.delivered()), (Lsn(60), Lsn(70)));
    }

    #[test]
    fn what_waits_comes_again_by_a_new_connection() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        assert!(t.deliver(0, at(10).0, at(10).1, None, 0).is_some());
        let epoch = t.restart();
        assert_eq!(t.deliver(0, at(20).0, at(20).1, None, 0), None, "of the former one");
        assert_eq!(t.delivered(), Lsn(10));
        assert!(t.deliver(epoch, at(20).0, at(20).1, None, 0).is_some());
    }

    #[test]
    fn lag_is_that_of_the_oldest_that_waits() {
        let t = Tracker::default();
        assert_eq!(t.lag(5_000_000), 0.0, "nothing is known");
        for (lsn, commit) in [(10, Some(1_000_000)), (20, None), (30, Some(3_000_000))] {
            t.queue(1);
            t.deliver(0, at(lsn).0, at(lsn).1, commit, 0);
            t.taken(1, false);
        }
        t.keepalive(Lsn(40));
        t.acknowledge(2);
        assert_eq!(t.lag(5_000_000), 4.0, "the first one waits, whatever came after it");
        assert_eq!(t.lag(6_500_000), 5.5);
        t.acknowledge(0);
        assert_eq!(t.lag(5_000_000), 0.0, "a prepared transaction has not committed");
        t.acknowledge(1);
        assert_eq!(t.lag(5_000_000), 0.0, "and there is nothing more");
        t.queue(1);
        assert_eq!(t.lag(5_000_000), 2.0, "there may be more");
        t.taken(1, true);
        t.keepalive(Lsn(50));
        assert_eq!(t.lag(5_000_000), 2.0, "between the parts");
        t.queue(0);
        t.taken(0, false);
        t.keepalive(Lsn(50));
        assert_eq!(t.lag(5_000_000), 0.0);
        t.disconnected();
        assert_eq!(t.lag(5_000_000), 2.0);
        assert_eq!(t.lag(1_000_000), 0.0, "clocks differ");
    }

    #[test]
    fn what_nobody_read_makes_nobody_the_consumer() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Guest);
        let ids: Vec<_> = [10, 20].map(|l| t.deliver(0, at(l).0, at(l).1, None, 0).unwrap()).into();
        t.done(&ids[..1], false);
        assert_eq!((t.acknowledged().0, t.is_consumer()), (Lsn(5), false));
        t.acknowledge(ids[1]);
        assert_eq!((t.acknowledged(), t.is_consumer()), (at(20), true));
    }

    #[test]
    fn when_it_was_received_is_told_once() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default(), Role::Consumer);
        for received in [100, 200, 300] {
            t.deliver(0, at(10).0, at(10).1, None, received);
        }
        assert_eq!(t.done(&[1], true), Some(200));
        assert_eq!(t.done(&[1], true), None, "again");
        assert_eq!(t.done(&[0, 2], true), Some(300), "the last of several");
        assert_eq!(t.done(&[2, 99], true), None);
        t.begin(Lsn(5), Position::default(), Role::Reader);
        let id = t.deliver(0, at(10).0, at(10).1, None, 1).unwrap();
        assert_eq!(t.done(&[id], true), None, "who looks acknowledges nothing");
    }

    #[test]
    fn heartbeats_grow_old() {
        let t = Tracker::default();
        assert_eq!(t.heartbeat_age(7_000_000), None);
        t.beat(5_000_000);
        assert_eq!(t.heartbeat_age(7_000_000), Some(2.0));
        assert_eq!(t.heartbeat_age(4_000_000), Some(0.0), "clocks differ");
    }
}
