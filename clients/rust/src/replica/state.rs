//! Where rows are kept.

use crate::base::error::Error;
use crate::base::relation::Relation;

/// What [`State::scan`] calls with key and row.
pub type ScanFn<'f> = dyn FnMut(&[u8], &[u8]) -> Result<(), Error> + 'f;

/// Where rows are kept: a map for each relation from key bytes to row bytes.
///
/// A row is a serialized message of the table's type with all columns, key
/// columns included; absent columns are NULL. Where the table has no key, the
/// row in the order of its columns is its own key, and field 536870911 of the
/// row says how often it is there, if more than once.
pub trait State {
    /// The row with a key.
    ///
    /// # Errors
    /// Whatever prevents it; so for the others.
    fn get(&mut self, relation: &Relation, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// Inserts or replaces a row.
    ///
    /// # Errors
    /// As for `get`.
    fn put(&mut self, relation: &Relation, key: &[u8], row: &[u8]) -> Result<(), Error>;
    /// Removes a row, if it is there.
    ///
    /// # Errors
    /// As for `get`.
    fn delete(&mut self, relation: &Relation, key: &[u8]) -> Result<(), Error>;
    /// Removes all rows of a relation.
    ///
    /// # Errors
    /// As for `get`.
    fn truncate(&mut self, relation: &Relation) -> Result<(), Error>;
    /// Gives all rows of a relation to another one, in place of its own. By default one
    /// after the other.
    ///
    /// # Errors
    /// As for `get`.
    fn rename(&mut self, from: &Relation, to: &Relation) -> Result<(), Error> {
        let mut rows = Vec::new();
        self.scan(from, &mut |key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            Ok(())
        })?;
        self.truncate(to)?;
        rows.iter().try_for_each(|(key, row)| self.put(to, key, row))?;
        self.remove(from)
    }
    /// A relation is gone. By default it is emptied.
    ///
    /// # Errors
    /// As for `get`.
    fn remove(&mut self, relation: &Relation) -> Result<(), Error> {
        self.truncate(relation)
    }
    /// Calls `f` with key and row of each row of a relation, in any order.
    ///
    /// # Errors
    /// As for `get`, and `f`'s.
    fn scan(&mut self, relation: &Relation, f: &mut ScanFn<'_>) -> Result<(), Error>;
}
