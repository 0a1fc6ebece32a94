//! Who reads what: told to the registry in the database.

use super::connection::{quote_literal, Connection};
use crate::base::error::Error;

/// Which version of a relation a consumer reads: for the registry in the database, which
/// then names the consumer where a change would break it.
impl Connection {
    /// Calls `cdc.register_reader()`. `relation` as SQL takes it. Gives the version.
    ///
    /// # Errors
    /// The server's, as 42704 for a version that there is not; the network's.
    pub async fn register_reader(
        &mut self,
        consumer: &str,
        relation: &str,
        version: u32,
    ) -> Result<u32, Error> {
        self.call_register(consumer, relation, &format!("version => {version}")).await
    }

    /// The same by the fingerprint of a whole schema, for which the database knows the
    /// version.
    ///
    /// # Errors
    /// As [`Connection::register_reader`].
    pub async fn register_reader_of(
        &mut self,
        consumer: &str,
        relation: &str,
        fingerprint: u64,
    ) -> Result<u32, Error> {
        let what = format!("fingerprint => '{fingerprint:016x}'");
        self.call_register(consumer, relation, &what).await
    }

    async fn call_register(
        &mut self,
        consumer: &str,
        relation: &str,
        what: &str,
    ) -> Result<u32, Error> {
        let (consumer, relation) = (quote_literal(consumer), quote_literal(relation));
        let sql = format!("SELECT cdc.register_reader({consumer}, {relation}::regclass, {what})");
        let rows = self.query(&sql).await?;
        let version = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        version.ok_or_else(|| Error::Protocol("no version of cdc.register_reader()".into()))
    }
}
