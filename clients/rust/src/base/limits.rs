//! What a reader accepts at most.

/// Bounds that hostile or damaged bytes cannot exceed. They are checked before
/// memory is allocated. Nothing that is read nests messages deeper than
/// [`Batch`](crate::Batch) → event → row → value, so there is no limit on
/// nesting; typed decoding is prost's, whose limit is 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a serialized batch in bytes. One batch may take up to 1 GiB, the
    /// largest row that PostgreSQL sends.
    pub max_batch_bytes: u64,
    /// Columns of a table.
    pub max_columns: usize,
    /// Schemas that a [`SchemaCache`](crate::SchemaCache) keeps.
    pub max_schemas: usize,
    /// Sum of the serialized sizes of those schemas, in bytes.
    pub max_schema_bytes: u64,
}

impl Limits {
    /// 1 GiB, 1600 columns, 65536 schemas, 256 MiB of schemas.
    pub const DEFAULT: Limits = Limits {
        max_batch_bytes: 1 << 30,
        max_columns: 1600,
        max_schemas: 65_536,
        max_schema_bytes: 256 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}
