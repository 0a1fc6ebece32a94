//! Whole transactions, as they come: batch by batch, or assembled.

use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::model::batch::{Batch, Outcome};
use crate::model::event::Event;
use crate::model::schema::SchemaCache;
use crate::stream::txn::Txn;

/// What takes the events of committed transactions.
pub(crate) trait Takes {
    fn begin(&mut self, commit_lsn: Option<Lsn>);

    fn take(&mut self, xid: u32, event: &Event<'_>, schemas: &SchemaCache) -> Result<(), Error>;

    fn take_batch(&mut self, batch: &Batch<'_>, schemas: &SchemaCache) -> Result<(), Error> {
        if batch.part == 0 {
            self.begin(batch.transaction.map(|t| t.commit_lsn));
        }
        let xid = batch.transaction.map_or(0, |t| t.xid);
        batch.events().try_for_each(|event| self.take(xid, &event?, schemas))
    }

    fn take_txn(&mut self, transaction: &Txn, schemas: &SchemaCache) -> Result<(), Error> {
        if transaction.outcome != Outcome::Committed {
            return Ok(());
        }
        self.begin(transaction.commit_lsn);
        let xid = transaction.xid;
        transaction.for_each(|event| self.take(xid, event, schemas))
    }
}

/// The methods for them, of what takes their events.
macro_rules! whole_transactions {
    () => {
        /// Applies the events of a batch of a transaction that is committed.
        ///
        /// # Errors
        /// [`ApplyError`](crate::ApplyError) in [`Error::Other`] where a row is missing;
        /// damage; the state's. Batches of transactions in progress: see [`Stream::next`],
        /// [`Assembler`].
        ///
        /// [`Stream::next`]: crate::Stream::next
        /// [`Assembler`]: crate::Assembler
        pub fn apply_batch(
            &mut self,
            batch: &$crate::model::batch::Batch<'_>,
            schemas: &$crate::model::schema::SchemaCache,
        ) -> Result<(), Error> {
            self.take_batch(batch, schemas)
        }

        /// Applies a transaction, if it is committed. Its schemas are [`Txn::schemas`], or
        /// those of the delivery that completed it.
        ///
        /// [`Txn::schemas`]: crate::Txn::schemas
        ///
        /// # Errors
        /// As `apply_batch`.
        pub fn apply_txn(
            &mut self,
            txn: &$crate::stream::txn::Txn,
            schemas: &$crate::model::schema::SchemaCache,
        ) -> Result<(), Error> {
            self.take_txn(txn, schemas)
        }
    };
}

pub(super) use whole_transactions;
