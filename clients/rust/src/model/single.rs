//! Batches with one event alone, by joining bytes.

use super::batch::Batch;
use super::event::Event;
use super::schema::Schema;
use crate::base::damage::Damage;
use crate::wire::field::{put_bytes, put_varint, Fields};

/// A batch with this event alone, and everything that is needed to read it:
/// transaction, source, schema. `source`: the serialized `Source` that came
/// last, for batches that have none.
///
/// Its identity and its rows are what they were. The outcome stays behind.
///
/// # Errors
/// Damage.
pub fn single(
    batch: &Batch<'_>,
    event: &Event<'_>,
    schema: Option<&Schema>,
    source: Option<&[u8]>,
) -> Result<Vec<u8>, Damage> {
    Ok(single_under(&header(batch, source)?, event, schema))
}

/// What all such batches of one begin with.
pub(crate) fn header(batch: &Batch<'_>, source: Option<&[u8]>) -> Result<Vec<u8>, Damage> {
    let mut out = Vec::with_capacity(256);
    let mut has_source = false;
    for field in Fields::new(batch.bytes()) {
        let field = field?;
        let wanted = match field.number {
            1 | 13 => true,
            4 => batch.transaction.is_none(),
            9 => {
                has_source = true;
                true
            }
            _ => false,
        };
        if wanted {
            out.extend_from_slice(field.raw);
        }
    }
    if let Some(source) = source.filter(|_| !has_source) {
        put_bytes(&mut out, 9, source);
    }
    Ok(out)
}

/// The event behind a header.
pub(crate) fn single_under(header: &[u8], event: &Event<'_>, schema: Option<&Schema>) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + event.bytes().len() + 256);
    out.extend_from_slice(header);
    if let Some(schema) = schema {
        put_schema(&mut out, schema);
    }
    put_bytes(&mut out, 7, event.bytes());
    out
}

/// A `SchemaVersion`, as a field of a batch.
pub(crate) fn put_schema(out: &mut Vec<u8>, schema: &Schema) {
    let mut version = vec![0x09];
    version.extend_from_slice(&schema.fingerprint.to_le_bytes());
    put_bytes(&mut version, 2, &schema.bytes);
    if schema.version != 0 {
        version.push(0x18);
        put_varint(&mut version, schema.version.into());
    }
    if !schema.unmapped.is_empty() {
        put_bytes(&mut version, 4, schema.unmapped.as_bytes());
    }
    put_bytes(out, 6, &version);
}
