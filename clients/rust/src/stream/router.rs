//! Sends changes to handlers, by relation and major version.

use std::collections::HashMap;
use std::fmt;

use super::change::Change;
use crate::base::relation::{NotARelation, Relation};
use crate::model::schema::Schema;

type Handler<'h, R> = Box<dyn FnMut(&Change<'_>) -> R + Send + 'h>;

/// Handlers by relation and major version, with one for all else: what has no route,
/// and messages.
///
/// ```
/// use pgcdc::{Change, Router};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut router = Router::new(|change: &Change<'_>| {
///     Err(format!("nobody reads {:?}", change.schema.map(|schema| schema.versioned_name())))
/// });
/// router.route("public.orders", 1, |change| Ok(println!("{:?} of the old one", change.op)))?;
/// router.route("public.orders", 2, |change| Ok(println!("{:?}", change.op)))?;
/// # fn changes() -> std::vec::IntoIter<Change<'static>> { Vec::new().into_iter() }
/// for change in changes() {
///     router.dispatch(&change)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Router<'h, R> {
    routes: HashMap<Relation, HashMap<u32, usize>>,
    /// The first is for all else.
    handlers: Vec<Handler<'h, R>>,
    /// What was found before, by fingerprint and version: they say it all.
    known: HashMap<(u64, u32), usize>,
}

impl<R> fmt::Debug for Router<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl<'h, R> Router<'h, R> {
    /// With a handler for what has no route.
    pub fn new(fallback: impl FnMut(&Change<'_>) -> R + Send + 'h) -> Self {
        Router { routes: HashMap::new(), handlers: vec![Box::new(fallback)], known: HashMap::new() }
    }

    /// Adds a handler, or puts it in the place of another. `relation` as
    /// [`Relation`] reads it; `version` 0 is for rows without one.
    ///
    /// # Errors
    /// What is no name of a relation.
    pub fn route(
        &mut self,
        relation: &str,
        version: u32,
        handler: impl FnMut(&Change<'_>) -> R + Send + 'h,
    ) -> Result<(), NotARelation> {
        let versions = self.routes.entry(relation.parse()?).or_default();
        versions.insert(version, self.handlers.len());
        self.handlers.push(Box::new(handler));
        self.known.clear();
        Ok(())
    }

    /// Whether there is a handler for this one, not only that for all else.
    pub fn has(&self, relation: &Relation, version: u32) -> bool {
        self.routes.get(relation).is_some_and(|versions| versions.contains_key(&version))
    }

    /// Calls the handler. Of a schema it has met before it allocates nothing.
    pub fn dispatch(&mut self, change: &Change<'_>) -> R {
        let at = change.schema.map_or(0, |schema| self.find(schema));
        self.handlers[at](change)
    }

    fn find(&mut self, schema: &Schema) -> usize {
        let routes = &self.routes;
        *self.known.entry((schema.fingerprint, schema.version)).or_insert_with(|| {
            let versions = routes.get(&Relation::from(&schema.table));
            versions.and_then(|versions| versions.get(&schema.version)).copied().unwrap_or(0)
        })
    }
}
