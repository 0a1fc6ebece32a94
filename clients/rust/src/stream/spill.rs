//! A file for what does not fit into memory. It has no name any more once it is
//! open, so that nothing is left behind whatever happens to the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use ring::rand::{SecureRandom, SystemRandom};

/// Chunks: length (4 bytes, big endian), nonce and ciphertext with tag when
/// there is a key, otherwise the bytes.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    chunks: u64,
}

pub(super) fn key(bytes: &[u8; 32]) -> io::Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(crypto)
}

fn crypto(_: ring::error::Unspecified) -> io::Error {
    io::Error::other("cryptography failed")
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "spilled changes are damaged")
}

impl Spill {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut random = [0u8; 8];
        SystemRandom::new().fill(&mut random).map_err(crypto)?;
        let unique = u64::from_le_bytes(random);
        let path =
            directory.join(format!("pgcdc-{}-{number}-{unique:016x}.spill", std::process::id()));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Spill { file, chunks: 0 })
    }

    /// `chunk` must be less than 4 GiB; it is left empty.
    pub(super) fn append(
        &mut self,
        chunk: &mut Vec<u8>,
        key: Option<&LessSafeKey>,
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        let mut nonce = [0u8; NONCE_LEN];
        if let Some(key) = key {
            SystemRandom::new().fill(&mut nonce).map_err(crypto)?;
            // a chunk that is moved is found to be damaged
            let place = Aad::from(self.chunks.to_be_bytes());
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, chunk)
                .map_err(crypto)?;
        }
        let len = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        self.file.write_all(&len.to_be_bytes())?;
        if key.is_some() {
            self.file.write_all(&nonce)?;
        }
        self.file.write_all(chunk)?;
        self.chunks += 1;
        chunk.clear();
        Ok(())
    }

    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }

    pub(super) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Chunk `number`, in order after [`Spill::rewind`].
    pub(super) fn read(
        &mut self,
        number: u64,
        out: &mut Vec<u8>,
        key: Option<&LessSafeKey>,
    ) -> io::Result<()> {
        let mut len = [0u8; 4];
        self.file.read_exact(&mut len)?;
        let len = u64::from(u32::from_be_bytes(len));
        let mut nonce = [0u8; NONCE_LEN];
        if key.is_some() {
            self.file.read_exact(&mut nonce)?;
        }
        out.clear();
        (&mut self.file).take(len).read_to_end(out)?;
        if out.len() as u64 != len {
            return Err(damaged());
        }
        let Some(key) = key else { return Ok(()) };
        let place = Aad::from(number.to_be_bytes());
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), place, out)
            .map_err(|_| damaged())?
            .len();
        out.truncate(plain);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back() {
        let secret = key(&[7; 32]).unwrap();
        for key in [None, Some(&secret)] {
            let mut spill = Spill::create(&std::env::temp_dir()).unwrap();
            for i in 0..3u8 {
                let mut chunk = vec![i; 1000];
                spill.append(&mut chunk, key).unwrap();
                assert!(chunk.is_empty());
            }
            let mut out = Vec::new();
            spill.rewind().unwrap();
            for i in 0..3u8 {
                spill.read(i.into(), &mut out, key).unwrap();
                assert_eq!(out, vec![i; 1000]);
            }
            assert!(spill.read(3, &mut out, key).is_err());
            // what is in the file
            let mut raw = Vec::new();
            spill.rewind().unwrap();
            spill.file.read_to_end(&mut raw).unwrap();
            assert_eq!(raw.windows(100).any(|w| w == [1; 100]), key.is_none());
            if key.is_some() {
                spill.rewind().unwrap();
                assert!(spill.read(1, &mut out, key).is_err(), "out of its place");
            }
        }
    }
}
