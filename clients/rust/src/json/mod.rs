//! The JSON form: one line for each event and each outcome, equal to the byte
//! to what `format = 'json'` and `cdc.decode_json()` give.

mod compact;
mod lines;
pub(crate) mod text;
pub(crate) mod value;

pub use lines::{write_batch, write_event, write_outcome};
pub use value::write_value;
