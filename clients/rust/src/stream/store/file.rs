//! A checkpoint in a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::{BoxFuture, Checkpoint, CheckpointStore};
use super::replace::replace;
use crate::base::error::Error;

/// One JSON file, replaced as a whole: a crash leaves the old or the new one.
/// Its mode is 0600.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The file need not exist, its directory must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { path: path.into() }
    }

    fn read(path: &Path) -> Result<Option<Checkpoint>, Error> {
        match fs::read_to_string(path) {
            Ok(text) => Checkpoint::from_json(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Io(error)),
        }
    }
}

fn joined<T>(result: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    result.unwrap_or_else(|error| Err(Error::Other(Box::new(error))))
}

impl CheckpointStore for FileStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        let path = self.path.clone();
        Box::pin(async { joined(tokio::task::spawn_blocking(move || Self::read(&path)).await) })
    }

    fn save<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>> {
        let (path, mut text) = (self.path.clone(), checkpoint.to_json());
        text.push('\n');
        Box::pin(async {
            let write = move || replace(&path, text.as_bytes()).map_err(Error::Io);
            joined(tokio::task::spawn_blocking(write).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::base::position::Lsn;

    #[tokio::test]
    async fn saves_and_loads() {
        let dir = std::env::temp_dir().join(format!("pgcdc-checkpoint-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("c.json");
        let store = FileStore::new(&path);
        assert_eq!(store.load().await.unwrap(), None);
        let mut checkpoint = Checkpoint { slot: "s".into(), ..Checkpoint::default() };
        for end in 1..4 {
            checkpoint.end_lsn = Lsn(end);
            store.save(&checkpoint).await.unwrap();
            assert_eq!(store.load().await.unwrap(), Some(checkpoint.clone()));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left over");
        fs::write(&path, "{").unwrap();
        assert!(store.load().await.is_err(), "damaged is not the same as absent");
        fs::remove_dir_all(&dir).unwrap();
        assert!(store.save(&checkpoint).await.is_err());
    }
}
