//! Rows as structs that prost generated from `cdc.proto()`.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use prost::Message;

use super::event::{Event, Op};
use super::row::{overlay, Row};
use super::schema::Schema;
use super::table::{Column, Table, Type, REDACTED_BASE};
use crate::base::damage::Damage;
use crate::base::error::Error;
use crate::wire::field::{Fields, Wire};

/// A field of a compiled message, out of its descriptor.
#[derive(Clone, Debug, Default, PartialEq)]
struct FieldType {
    name: String,
    /// `FieldDescriptorProto.Type`
    kind: u64,
    /// Of a message, with its package.
    message: String,
    repeated: bool,
}

/// The fields of a message that was compiled, and whether tables fit them.
///
/// prost has no reflection, so this takes the descriptors that protoc made:
/// `prost_build::Config::file_descriptor_set_path` writes them.
#[derive(Clone, Debug)]
pub struct DecoderLayout {
    message: String,
    fields: HashMap<u32, FieldType>,
}

/// protoc's numbers of types.
const DOUBLE: u64 = 1;
const FLOAT: u64 = 2;
const INT64: u64 = 3;
const BOOL: u64 = 8;
const STRING: u64 = 9;
const MESSAGE: u64 = 11;
const BYTES: u64 = 12;
const UINT32: u64 = 13;
const SFIXED64: u64 = 16;
const SINT32: u64 = 17;
const SINT64: u64 = 18;
const NAMES: [(u64, &str); 11] = [
    (DOUBLE, "double"),
    (FLOAT, "float"),
    (INT64, "int64"),
    (BOOL, "bool"),
    (STRING, "string"),
    (MESSAGE, "message"),
    (BYTES, "bytes"),
    (UINT32, "uint32"),
    (SFIXED64, "sfixed64"),
    (SINT32, "sint32"),
    (SINT64, "sint64"),
];

/// The types of a field that can hold a column's values; the message's name
/// where it is one.
fn wanted(column: &Column) -> (&'static [u64], &'static str) {
    match column.r#type {
        Type::Bool => (&[BOOL], ""),
        // a column that becomes bigint keeps its encoding
        Type::Int32 => (&[SINT32, SINT64], ""),
        Type::Int64 => (&[SINT64], ""),
        Type::Uint32 => (&[UINT32], ""),
        Type::Float => (&[FLOAT], ""),
        Type::Double => (&[DOUBLE], ""),
        Type::Numeric | Type::Text | Type::Json | Type::Other => (&[STRING, BYTES], ""),
        Type::Bytes | Type::Uuid => (&[BYTES], ""),
        Type::Timestamp | Type::Timestamptz => (&[SFIXED64], ""),
        Type::Date => (&[SINT32], ""),
        Type::Time => (&[INT64], ""),
        Type::Timetz => (&[MESSAGE], ".cdc.v1.TimeTz"),
        Type::Interval => (&[MESSAGE], ".cdc.v1.Interval"),
        Type::Array => (&[MESSAGE], array(column.element)),
        Type::Unspecified => (&[], ""),
    }
}

fn array(element: Type) -> &'static str {
    match element {
        Type::Bool => ".cdc.v1.BoolArray",
        Type::Int32 => ".cdc.v1.Int32Array",
        Type::Int64 => ".cdc.v1.Int64Array",
        Type::Uint32 => ".cdc.v1.UInt32Array",
        Type::Float => ".cdc.v1.FloatArray",
        Type::Double => ".cdc.v1.DoubleArray",
        Type::Bytes | Type::Uuid => ".cdc.v1.BytesArray",
        _ => ".cdc.v1.StringArray",
    }
}

fn name_of(kinds: &[u64]) -> &'static str {
    NAMES.iter().find(|(kind, _)| kinds.contains(kind)).map_or("unknown", |(_, name)| name)
}

impl DecoderLayout {
    /// Of a serialized `FileDescriptorSet` and the full name of a message, such
    /// as `cdc.rows.public.orders.v1.Orders`.
    ///
    /// # Errors
    /// Damage; no such message.
    pub fn new(descriptors: &[u8], message: &str) -> Result<Self, Error> {
        for file in messages(descriptors, 1)? {
            let package = text(file, 2)?;
            for found in messages(file, 4)? {
                let name = text(found, 1)?;
                let full =
                    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") };
                if full == message {
                    let fields =
                        messages(found, 2)?.into_iter().map(field).collect::<Result<_, _>>()?;
                    return Ok(DecoderLayout { message: full, fields });
                }
            }
        }
        Err(Error::Fit(format!("the descriptors have no message {message}")))
    }

    /// Whether rows of a table can be read: every column that the message has a
    /// field for has a value of the field's type. Columns without a field are
    /// passed over, as when a column was added after the code was generated;
    /// [`DecoderLayout::unread`] names them. Names do not matter, so that a column can
    /// be renamed. A column that is redacted has its value in field 2000 +
    /// attnum, so its own field stays empty.
    ///
    /// # Errors
    /// [`Error::Fit`], with the column.
    pub fn check(&self, table: &Table) -> Result<(), Error> {
        for column in &table.columns {
            let (number, (kinds, message)) = match column.is_redacted() {
                true => (REDACTED_BASE + column.number, (&[STRING][..], "")),
                false => (column.number, wanted(column)),
            };
            let Some(field) = self.fields.get(&number) else { continue };
            let fits = kinds.contains(&field.kind) && field.message == message && !field.repeated;
            if !fits {
                let expected = if message.is_empty() { name_of(kinds) } else { &message[1..] };
                let found = match field.message.strip_prefix('.') {
                    Some(message) => message,
                    None => name_of(&[field.kind]),
                };
                return Err(Error::Fit(format!(
                    "column \"{}\" of {table} ({}) needs a field {number} of type {expected}, but {}.{} is {}{found}: generate it anew from cdc.proto()",
                    column.name,
                    column.pg_type,
                    self.message,
                    field.name,
                    if field.repeated { "repeated " } else { "" },
                )));
            }
        }
        Ok(())
    }

    /// The columns that the message has no field for.
    pub fn unread<'t>(&self, table: &'t Table) -> Vec<&'t str> {
        let known = |column: &&Column| {
            let redacted = REDACTED_BASE + column.number;
            !self.fields.contains_key(&column.number) && !self.fields.contains_key(&redacted)
        };
        table.columns.iter().filter(known).map(|column| column.name.as_str()).collect()
    }
}

fn messages(bytes: &[u8], number: u32) -> Result<Vec<&[u8]>, Damage> {
    let mut found = Vec::new();
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == number {
            found.push(field.value.bytes()?);
        }
    }
    Ok(found)
}

fn text(bytes: &[u8], number: u32) -> Result<&str, Damage> {
    messages(bytes, number)?.last().map_or(Ok(""), |bytes| crate::wire::field::utf8(bytes))
}

/// FieldDescriptorProto
fn field(bytes: &[u8]) -> Result<(u32, FieldType), Damage> {
    let (mut number, mut found) = (0, FieldType::default());
    for field in Fields::new(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, value) => found.name = value.str()?.to_owned(),
            (3, value) => number = value.uint32()?,
            (4, Wire::Varint(label)) => found.repeated = label == 3,
            (5, Wire::Varint(kind)) => found.kind = kind,
            (6, value) => found.message = value.str()?.to_owned(),
            _ => (),
        }
    }
    Ok((number, found))
}

/// Reads rows as `M`; checks once for each schema that they fit.
#[derive(Clone, Debug)]
pub struct Decoder<M> {
    layout: DecoderLayout,
    checked: HashSet<u64>,
    row: Vec<u8>,
    base: Vec<u8>,
    delta: Vec<u8>,
    message: PhantomData<M>,
}

impl<M: Message + Default> Decoder<M> {
    /// As [`DecoderLayout::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(descriptors: &[u8], message: &str) -> Result<Self, Error> {
        Ok(Decoder {
            layout: DecoderLayout::new(descriptors, message)?,
            checked: HashSet::new(),
            row: Vec::new(),
            base: Vec::new(),
            delta: Vec::new(),
            message: PhantomData,
        })
    }

    /// The compiled message.
    pub fn layout(&self) -> &DecoderLayout {
        &self.layout
    }

    fn check(&mut self, schema: &Schema) -> Result<(), Error> {
        if !self.checked.contains(&schema.fingerprint) {
            self.layout.check(&schema.table)?;
            let unread = self.layout.unread(&schema.table);
            if !unread.is_empty() {
                tracing::info!(relation = %schema.table, fingerprint = format!("{:016x}", schema.fingerprint),
                    columns = ?unread, "columns that the compiled type does not have");
            }
            self.checked.insert(schema.fingerprint);
        }
        Ok(())
    }

    /// A row as it is: key, delta, or whole. Absent columns are `None`.
    ///
    /// # Errors
    /// [`Error::Fit`]; damage.
    pub fn row(&mut self, schema: &Schema, row: Row<'_>) -> Result<M, Error> {
        self.check(schema)?;
        decode(row.bytes())
    }

    /// The row after the change, as far as the event has it; `None` for DELETE,
    /// TRUNCATE, MESSAGE and SCHEMA.
    ///
    /// Of an UPDATE that is the whole row with REPLICA IDENTITY FULL and the
    /// plugin's option `old = 'full'`. Otherwise `None` is *not sent* as well as
    /// NULL: [`Event::nulls`] tells them apart, or keep rows by
    /// [`Applier`](crate::Applier).
    ///
    /// # Errors
    /// [`Error::Fit`]; damage.
    pub fn after(&mut self, schema: &Schema, event: &Event<'_>) -> Result<Option<M>, Error> {
        // what does not fit matters once there are rows
        if event.op == Op::Schema {
            return Ok(None);
        }
        self.check(schema)?;
        self.row.clear();
        match event.op {
            Op::Insert | Op::Read | Op::Rewrite => {
                join(&mut self.row, event.key, event.new);
            }
            Op::Update => {
                self.base.clear();
                self.delta.clear();
                join(&mut self.base, event.key, event.old);
                join(&mut self.delta, event.new_key, event.new);
                overlay(&mut self.row, Row::new(&self.base), Row::new(&self.delta), event.nulls())?;
            }
            _ => return Ok(None),
        }
        decode(&self.row).map(Some)
    }

    /// The row before an UPDATE or DELETE, as far as the event has it; `None`
    /// for everything else.
    ///
    /// # Errors
    /// [`Error::Fit`]; damage.
    pub fn before(&mut self, schema: &Schema, event: &Event<'_>) -> Result<Option<M>, Error> {
        if !matches!(event.op, Op::Update | Op::Delete) {
            return Ok(None);
        }
        self.check(schema)?;
        self.row.clear();
        join(&mut self.row, event.key, event.old);
        decode(&self.row).map(Some)
    }
}

/// Their numbers are different, so joined bytes are one message.
fn join(out: &mut Vec<u8>, key: Row<'_>, rest: Row<'_>) {
    out.extend_from_slice(key.bytes());
    out.extend_from_slice(rest.bytes());
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes)
        .map_err(|_| Damage::Malformed("row does not decode as the compiled type").into())
}
