//! What must hold between the batches of one connection: parts without gaps,
//! counts that agree.

use std::collections::HashMap;

use super::batch::{Batch, Outcome};
use crate::base::damage::{malformed, Damage};

#[derive(Clone, Copy, Debug)]
struct Open {
    part: u32,
    count: u64,
    /// Parts before this were lost to damage, which a policy let pass.
    lost: bool,
}

/// Checks the batches of one connection, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    open: HashMap<u32, Open>,
    /// The transaction that came after its commit and is not complete.
    committed: Option<u32>,
    has_source: bool,
    damaged: bool,
}

impl Sequence {
    /// For a new connection.
    pub fn new() -> Self {
        Sequence::default()
    }

    /// A batch could not be read and was passed over: the transactions that are
    /// open now cannot be counted any more.
    pub fn lost(&mut self) {
        self.damaged = true;
        self.open.values_mut().for_each(|open| open.lost = true);
    }

    /// Whether batches were passed over.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Whether a transaction that came after its commit is incomplete.
    pub fn is_inside(&self) -> bool {
        self.committed.is_some()
    }

    /// The next batch.
    ///
    /// # Errors
    /// Damage: something has been lost.
    pub fn check(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        self.has_source |= batch.source.is_some();
        if !self.has_source && !self.damaged {
            return malformed("first batch has no source");
        }
        let Some(t) = &batch.transaction else {
            if self.committed.is_some() && !self.damaged {
                return malformed("batch without transaction between the parts of one");
            }
            return Ok(());
        };
        // COMMIT PREPARED and ROLLBACK PREPARED: a batch of its own
        let end_of_prepared = !t.gid.is_empty()
            && matches!(batch.outcome, Outcome::Committed | Outcome::RolledBack)
            && batch.event_len() == 0
            && batch.event_count == 0;
        if end_of_prepared {
            return Ok(());
        }
        if self.committed.is_some_and(|xid| xid != t.xid) {
            if !self.damaged {
                return malformed("parts of two committed transactions are mixed");
            }
            self.committed = None;
        }
        let open = if batch.part == 0 {
            self.open.entry(t.xid).insert_entry(Open { part: 0, count: 0, lost: false }).into_mut()
        } else {
            let damaged = self.damaged;
            let next = match self.open.get_mut(&t.xid) {
                Some(open) => open,
                None if damaged => self.open.entry(t.xid).or_insert(Open {
                    part: batch.part - 1,
                    count: 0,
                    lost: true,
                }),
                None => return malformed("first parts of a transaction are missing"),
            };
            if !next.lost && next.part.checked_add(1) != Some(batch.part) {
                return malformed("gap between the parts of a transaction");
            }
            next.part = batch.part;
            next
        };
        open.count += batch.event_len();
        if batch.outcome == Outcome::Open {
            self.committed = (t.commit_lsn.0 != 0).then_some(t.xid);
            return Ok(());
        }
        let Open { count, lost, .. } = *open;
        self.open.remove(&t.xid);
        self.committed = None;
        if !lost && count != batch.event_count {
            return malformed("transaction has another number of events than it should");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::pb;

    struct Test(Sequence);

    impl Test {
        fn new() -> Self {
            let mut test = Test(Sequence::new());
            assert!(test
                .check(&pb::Batch { source: Some(pb::Source::default()), ..part(1, 0, 1, true) }));
            test
        }

        fn check(&mut self, batch: &pb::Batch) -> bool {
            self.0.check(&Batch::parse(&batch.encode_to_vec()).unwrap()).is_ok()
        }
    }

    /// A part with one event; the last one says how many there were.
    fn part(xid: u32, part: u32, count: u64, committed: bool) -> pb::Batch {
        let open = count == 0;
        pb::Batch {
            transaction: Some(pb::Transaction {
                xid,
                first_lsn: 1,
                commit_lsn: if committed { 100 } else { 0 },
                ..Default::default()
            }),
            part,
            outcome: if open { 0 } else { pb::Outcome::Committed as i32 },
            event_count: count,
            events: vec![pb::ChangeEvent::default()],
            ..Default::default()
        }
    }

    #[test]
    fn parts_in_order() {
        let mut t = Test::new();
        assert!(t.check(&part(2, 0, 0, true)) && t.0.is_inside());
        assert!(t.check(&part(2, 1, 2, true)) && !t.0.is_inside());
        // streamed ones stand between others
        assert!(t.check(&part(3, 0, 0, false)) && !t.0.is_inside());
        assert!(t.check(&part(4, 0, 1, true)));
        assert!(t.check(&part(3, 0, 0, false)), "from its beginning");
        assert!(t.check(&part(3, 1, 2, false)));
        let mut end = part(5, 0, 0, true);
        (end.outcome, end.events) = (pb::Outcome::Committed as i32, Vec::new());
        end.transaction.as_mut().unwrap().gid = "g".into();
        assert!(t.check(&end), "of a prepared transaction");
    }

    #[test]
    fn what_is_lost_is_noticed() {
        assert!(!Test(Sequence::new()).check(&part(1, 0, 1, true)), "no source");
        assert!(!Test::new().check(&part(2, 1, 1, true)), "first parts");
        assert!(!Test::new().check(&part(2, 0, 2, true)), "count");
        let mut t = Test::new();
        assert!(t.check(&part(2, 0, 0, true)) && !t.check(&part(2, 2, 2, true)), "gap");
        let mut t = Test::new();
        assert!(t.check(&part(2, 0, 0, true)) && !t.check(&part(3, 0, 1, true)), "mixed");
        let mut t = Test::new();
        assert!(
            t.check(&part(2, 0, 0, true)) && !t.check(&pb::Batch::default()),
            "a message between"
        );
    }

    #[test]
    fn after_damage_that_was_passed_over() {
        let mut t = Test::new();
        assert!(t.check(&part(2, 0, 0, true)));
        t.0.lost();
        assert!(t.check(&part(2, 2, 3, true)), "cannot be counted");
        assert!(t.check(&part(3, 1, 2, true)), "nor one whose beginning was lost");
        assert!(t.check(&part(4, 0, 1, true)));
        assert!(!t.check(&part(5, 0, 2, true)), "but the next one can");
    }
}
