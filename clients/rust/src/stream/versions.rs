//! Major versions of relations: what a consumer expects, and what comes instead.

use std::fmt;
use std::sync::Arc;

use prost::Message;

use crate::base::version::VersionError;
use crate::model::schema::Schema;
use crate::pb;

/// The schema that an event has then.
type Converted = Result<Arc<Schema>, Box<dyn std::error::Error + Send + Sync>>;

/// Makes events of another version those that a consumer can read.
///
/// Closures of this form are such: they get what is wrong, the schema that the event
/// has, and the event, whose rows they rewrite; what they return is the schema that it
/// has then, see [`Schema::new`]. Rows are serialized messages: decode them with the
/// generated code of the one version and encode them with that of the other.
pub trait Convert: Send + Sync {
    /// Rewrites an event. Fields of it that this version does not know are lost.
    ///
    /// # Errors
    /// The event is then treated as [`StreamConfig::on_handler_error`] says.
    ///
    /// [`StreamConfig::on_handler_error`]: crate::StreamConfig::on_handler_error
    fn convert(
        &self,
        mismatch: &VersionError,
        schema: &Schema,
        event: &mut pb::ChangeEvent,
    ) -> Converted;
}

impl<F> Convert for F
where
    F: Fn(&VersionError, &Schema, &mut pb::ChangeEvent) -> Converted + Send + Sync,
{
    fn convert(
        &self,
        mismatch: &VersionError,
        schema: &Schema,
        event: &mut pb::ChangeEvent,
    ) -> Converted {
        self(mismatch, schema, event)
    }
}

/// What to do with rows of another version than is expected. All are counted.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum VersionPolicy {
    /// [`Error::Version`](crate::Error::Version) ends the stream; nothing of it is acknowledged.
    #[default]
    Refuse,
    /// They pass as they are: the consumer looks at
    /// [`Change::version`](crate::Change::version).
    Pass,
    /// They are left out, counted and logged.
    Skip,
    /// They are set aside, see [`StreamConfig::dead_letters`](crate::StreamConfig).
    DeadLetter,
    /// They are rewritten before the consumer sees them; what cannot be is rejected.
    Convert(Arc<dyn Convert>),
}

impl VersionPolicy {
    /// Converts by a closure.
    pub fn convert<F>(f: F) -> Self
    where
        F: Fn(&VersionError, &Schema, &mut pb::ChangeEvent) -> Converted + Send + Sync + 'static,
    {
        VersionPolicy::Convert(Arc::new(f))
    }

    /// Converts rows of one version by a function between the generated structs of that
    /// and of another, as `cdc.converter()` prints it; `target` is the other's schema.
    /// Rows in any further version cannot be converted.
    ///
    /// The function gets parts of rows too: the key alone, or what an UPDATE changed.
    /// What is `None` there must remain so. Numbers of columns are the same in all
    /// versions of a table, so that NULLs need no function.
    pub fn rows<A, B>(from: u32, target: Schema, f: impl Fn(A) -> B + Send + Sync + 'static) -> Self
    where
        A: Message + Default,
        B: Message,
    {
        let target = Arc::new(target);
        Self::convert(move |mismatch, _, event| {
            if mismatch.got != from {
                return Err(mismatch.to_string().into());
            }
            for row in [&mut event.key, &mut event.old, &mut event.new, &mut event.new_key] {
                if !row.is_empty() {
                    *row = f(A::decode(&row[..])?).encode_to_vec();
                }
            }
            for numbers in [&mut event.nulls, &mut event.unavailable] {
                numbers.retain(|number| target.table.index_of(*number).is_some());
            }
            Ok(target.clone())
        })
    }
}

impl fmt::Debug for VersionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VersionPolicy::Refuse => "Refuse",
            VersionPolicy::Pass => "Pass",
            VersionPolicy::Skip => "Skip",
            VersionPolicy::DeadLetter => "DeadLetter",
            VersionPolicy::Convert(_) => "Convert",
        })
    }
}
