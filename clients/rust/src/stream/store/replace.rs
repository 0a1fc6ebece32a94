//! Replaces files as a whole: a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

/// Written beside it (mode 0600) under a name of its own, which begins with a dot, synced,
/// renamed, and the directory synced.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    replace_all(directory, [(path.to_owned(), bytes)])
}

/// The same for several files of a directory: all are written before the first is synced,
/// which makes the others cheap.
pub(crate) fn replace_all<B: AsRef<[u8]>>(
    directory: &Path,
    files: impl IntoIterator<Item = (PathBuf, B)>,
) -> io::Result<()> {
    let mut written = Vec::new();
    let result = replace_each(directory, files, &mut written);
    if result.is_err() {
        for (temporary, ..) in written {
            let _ = fs::remove_file(temporary);
        }
    }
    result
}

fn replace_each<B: AsRef<[u8]>>(
    directory: &Path,
    files: impl IntoIterator<Item = (PathBuf, B)>,
    written: &mut Vec<(PathBuf, PathBuf, File)>,
) -> io::Result<()> {
    for (path, bytes) in files {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random number"))?;
        let temporary = directory.join(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        written.push((temporary, path, file));
        if let Some((.., file)) = written.last_mut() {
            file.write_all(bytes.as_ref())?;
        }
    }
    written.iter().try_for_each(|(.., file)| file.sync_all())?;
    written.iter().try_for_each(|(temporary, path, _)| fs::rename(temporary, path))?;
    File::open(directory)?.sync_all()
}
