//! Whole transactions, as they come: batch by batch, or assembled.

use crate::base::error::Error;
use crate::base::position::Lsn;
use crate::model::batch::{Batch, Outcome};
use crate::model::event::Event;
use crate::model::schema::SchemaCache;
use crate::stream::assembler::Assembled;

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

    fn take_assembled(
        &mut self,
        transaction: &mut Assembled,
        schemas: &SchemaCache,
    ) -> Result<(), Error> {
        if transaction.outcome != Outcome::Committed {
            return Ok(());
        }
        self.begin(transaction.commit_lsn);
        let xid = transaction.xid;
        transaction.for_each(|event| self.take(xid, event, schemas))
    }
}
