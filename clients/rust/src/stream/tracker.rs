//! What has been delivered and acknowledged. Acknowledgement is contiguous:
//! what counts is the end of the last transaction before the first one that is
//! not acknowledged.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::position::{Lsn, Position};

#[derive(Clone, Copy, Debug)]
struct Pending {
    id: u64,
    end_lsn: Lsn,
    position: Position,
    done: bool,
}

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
    pub(super) fn begin(&self, end_lsn: Lsn, position: Position) {
        let mut state = self.state();
        state.delivered = end_lsn;
        state.acknowledged = (end_lsn, position);
    }

    pub(super) fn queue(&self, bytes: usize) {
        let mut state = self.state();
        state.queued += 1;
        state.queued_bytes += bytes;
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

    /// The connection broke: parts that came are sent again.
    pub(super) fn reconnected(&self) {
        self.state().inside = false;
    }

    /// A transaction, or a message outside of one, is handed out to its end.
    pub(super) fn deliver(&self, end_lsn: Lsn, position: Position) -> u64 {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.delivered = state.delivered.max(end_lsn);
        state.pending.push_back(Pending { id, end_lsn, position, done: false });
        id
    }

    pub(super) fn delivered(&self) -> Lsn {
        self.state().delivered
    }

    pub(super) fn acknowledge(&self, id: u64) {
        let mut state = self.state();
        let Some(first) = state.pending.front().map(|p| p.id) else { return };
        // ids are consecutive
        let Some(at) = id.checked_sub(first) else { return };
        if let Some(pending) = state.pending.get_mut(at as usize) {
            pending.done = true;
        }
        while state.pending.front().is_some_and(|p| p.done) {
            if let Some(p) = state.pending.pop_front() {
                let end = state.acknowledged.0.max(p.end_lsn);
                state.acknowledged = (end, p.position);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The server says that it has sent everything up to here. Followed while
    /// nothing is in flight; whether that is so.
    pub(super) fn keepalive(&self, wal_end: Lsn) -> bool {
        let mut state = self.state();
        let idle = state.queued == 0 && state.pending.is_empty() && !state.inside;
        if idle {
            state.acknowledged.0 = state.acknowledged.0.max(wal_end);
            state.delivered = state.delivered.max(wal_end);
        }
        idle
    }

    /// What may be stored, and then reported as flushed.
    pub(super) fn acknowledged(&self) -> (Lsn, Position) {
        self.state().acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lsn: u64) -> (Lsn, Position) {
        (Lsn(lsn), Position { commit_lsn: Lsn(lsn - 1), ..Position::default() })
    }

    #[test]
    fn contiguous() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default());
        let ids: Vec<_> = [10, 20, 30].map(|l| t.deliver(at(l).0, at(l).1)).into();
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
    fn keepalives_count_when_nothing_is_in_flight() {
        let t = Tracker::default();
        t.begin(Lsn(5), Position::default());
        t.queue(1);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "a message waits");
        t.taken(1, true);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "between the parts");
        t.queue(1);
        let id = t.deliver(at(30).0, at(30).1);
        t.taken(1, false);
        t.keepalive(Lsn(40));
        assert_eq!(t.acknowledged().0, Lsn(5), "not acknowledged");
        t.acknowledge(id);
        assert_eq!(t.acknowledged(), at(30));
        t.keepalive(Lsn(40));
        t.keepalive(Lsn(35));
        assert_eq!(t.acknowledged(), (Lsn(40), at(30).1), "never down");
    }
}
