//! Rows in memory and in a file, which is replaced as a whole.

use std::io::Write;
use std::path::{Path, PathBuf};

use pgcdc::{Error, MemoryState, Relation, State};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<StoredRow>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredRow {
    #[prost(string, tag = "1")]
    schema: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    row: Vec<u8>,
}

/// What the file has; nothing if there is none.
pub fn load(file: &Path) -> Result<MemoryState, Error> {
    let mut state = MemoryState::default();
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(state),
        Err(error) => return Err(error.into()),
    };
    let damaged = |_| Error::Config(format!("{} is no copy", file.display()));
    for StoredRow { schema, name, key, row } in Stored::decode(&bytes[..]).map_err(damaged)?.rows {
        state.put(&Relation { schema, name }, &key, &row)?;
    }
    Ok(state)
}

/// Replaces the file: what it has is from before or from after, also when the power fails.
pub fn save(state: &MemoryState, file: &Path) -> Result<(), Error> {
    let mut stored = Stored::default();
    for relation in state.relations() {
        for (key, row) in state.rows(relation).into_iter().flatten() {
            let Relation { schema, name } = relation.clone();
            stored.rows.push(StoredRow { schema, name, key: key.clone(), row: row.clone() });
        }
    }
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut out = std::fs::File::create(&new)?;
    out.write_all(&stored.encode_to_vec())?;
    out.sync_all()?;
    std::fs::rename(&new, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}
