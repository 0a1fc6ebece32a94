//! A load as bytes, so that it goes on after a restart.

use super::loaded::ReadTable;
use super::loader::{Chunk, Loader};
use crate::base::damage::{malformed, Damage};
use crate::base::position::Lsn;
use crate::model::batch::OwnedSnapshot;
use crate::wire::field::{put_bytes, put_varint, Fields};

impl Loader {
    /// What has been read and what not, with the snapshots: to be kept with
    /// the state.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, self.relation.as_bytes());
        for option in &self.options {
            put_bytes(&mut out, 2, option.as_bytes());
        }
        for column in &self.key_columns {
            put_bytes(&mut out, 3, column.as_bytes());
        }
        for chunk in &self.chunks {
            let mut bytes = Vec::new();
            let parts = [&chunk.from_key, &chunk.to_key, &chunk.from_block, &chunk.to_block];
            for (number, part) in (1..).zip(parts) {
                if let Some(part) = part {
                    put_bytes(&mut bytes, number, part.as_bytes());
                }
            }
            if chunk.done {
                bytes.extend([0x28, 1]);
            }
            put_bytes(&mut out, 4, &bytes);
        }
        for snapshot in &self.snapshots {
            put_bytes(&mut out, 5, snapshot.bytes());
        }
        for table in &self.tables {
            put_bytes(&mut out, 7, &table_bytes(table));
        }
        for (number, text) in [(11, &self.slot), (12, &self.oid)] {
            if !text.is_empty() {
                put_bytes(&mut out, number, text.as_bytes());
            }
        }
        let numbers = [
            (6u8, self.end_lsn.0),
            (8, self.max_rows),
            (9, self.restarts.into()),
            (13, self.partitioned.into()),
            (14, self.tracked.into()),
        ];
        for (field, number) in numbers {
            out.push(field << 3);
            put_varint(&mut out, number);
        }
        out
    }

    /// Of what [`Loader::to_bytes`] gave.
    ///
    /// # Errors
    /// Damage.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let (mut load, mut first) = (Loader::default(), 0);
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => load.relation = field.value.str()?.to_owned(),
                2 => load.options.push(field.value.str()?.to_owned()),
                3 => load.key_columns.push(field.value.str()?.to_owned()),
                4 => load.chunks.push(chunk(field.value.bytes()?)?),
                5 => load.snapshots.push(OwnedSnapshot::new(field.value.bytes()?)?),
                6 => load.end_lsn = Lsn(field.value.varint()?),
                7 => load.tables.push(table(field.value.bytes()?)?),
                8 => load.max_rows = field.value.varint()?,
                9 => load.restarts = field.value.uint32()?,
                // of an earlier version
                10 => first = field.value.uint32()? as usize,
                11 => load.slot = field.value.str()?.to_owned(),
                12 => load.oid = field.value.str()?.to_owned(),
                13 => load.partitioned = field.value.bool()?,
                14 => load.tracked = field.value.bool()?,
                _ => return malformed("not the progress of a load"),
            }
        }
        for table in load.tables.iter_mut().filter(|table| table.end == 0) {
            (table.first, table.end) = (first, usize::MAX);
        }
        if load.oid.is_empty() {
            load.oid = load.relation.clone();
        }
        Ok(load)
    }

    /// The snapshots of the rows that have been read, for
    /// [`Joiner::resume`](crate::Joiner::resume).
    pub fn snapshots(&self) -> &[OwnedSnapshot] {
        &self.snapshots
    }
}

fn table_bytes(table: &ReadTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, 1, table.relation.schema.as_bytes());
    put_bytes(&mut bytes, 2, table.relation.name.as_bytes());
    for (field, number) in
        [(3u8, table.fingerprint), (4, table.first as u64), (5, table.end as u64)]
    {
        bytes.push(field << 3);
        put_varint(&mut bytes, number);
    }
    bytes
}

fn table(bytes: &[u8]) -> Result<ReadTable, Damage> {
    let mut table = ReadTable::default();
    for field in Fields::new(bytes) {
        let field = field?;
        let number = || field.value.varint().map(|number| number as usize);
        match field.number {
            1 => table.relation.schema = field.value.str()?.to_owned(),
            2 => table.relation.name = field.value.str()?.to_owned(),
            3 => table.fingerprint = field.value.varint()?,
            4 => table.first = number()?,
            5 => table.end = number()?,
            _ => return malformed("not the progress of a load"),
        }
    }
    Ok(table)
}

fn chunk(bytes: &[u8]) -> Result<Chunk, Damage> {
    let mut chunk = Chunk::default();
    for field in Fields::new(bytes) {
        let field = field?;
        let text = || field.value.str().map(|text| Some(text.to_owned()));
        match field.number {
            1 => chunk.from_key = text()?,
            2 => chunk.to_key = text()?,
            3 => chunk.from_block = text()?,
            4 => chunk.to_block = text()?,
            5 => chunk.done = field.value.bool()?,
            _ => return malformed("not the progress of a load"),
        }
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::relation::Relation;

    #[test]
    fn bytes() {
        let load = Loader {
            slot: "slot".into(),
            relation: "public.orders".into(),
            options: vec!["tables".into(), "public.*".into()],
            key_columns: vec!["id".into(), "part".into()],
            chunks: vec![
                Chunk { to_key: Some("{1,a}".into()), done: true, ..Chunk::default() },
                Chunk { from_key: Some("{1,a}".into()), ..Chunk::default() },
            ],
            end_lsn: Lsn(7),
            snapshots: vec![OwnedSnapshot::new(&[0x08, 1, 0x10, 2]).unwrap()],
            oid: "16384".into(),
            partitioned: true,
            tracked: true,
            tables: vec![ReadTable {
                relation: Relation { schema: "public".into(), name: "orders".into() },
                fingerprint: u64::MAX,
                first: 1,
                end: 2,
            }],
            max_rows: 1000,
            restarts: 2,
            ..Loader::default()
        };
        let bytes = load.to_bytes();
        assert_eq!(Loader::from_bytes(&bytes), Ok(load.clone()));
        assert!(!load.is_done());
        assert!(Loader::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
