//! A file for what does not fit into memory. It has no name any more once it is
//! open, so that nothing is left behind whatever happens to the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use ring::rand::{SecureRandom, SystemRandom};

/// Chunks: length (4 bytes, big endian), nonce and ciphertext with tag when
/// there is a key, otherwise the bytes.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    /// Where chunks begin, and the next one will.
    starts: Vec<u64>,
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
        Ok(Spill { file, starts: vec![0] })
    }

    /// `chunk` must be less than 4 GiB; it is left empty.
    pub(super) fn append(
        &mut self,
        chunk: &mut Vec<u8>,
        key: Option<&LessSafeKey>,
    ) -> io::Result<()> {
        let mut nonce = [0u8; NONCE_LEN];
        if let Some(key) = key {
            SystemRandom::new().fill(&mut nonce).map_err(crypto)?;
            // a chunk that is moved is found to be damaged
            let place = Aad::from(self.chunks().to_be_bytes());
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, chunk)
                .map_err(crypto)?;
        }
        let len = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        self.file.write_all(&len.to_be_bytes())?;
        if key.is_some() {
            self.file.write_all(&nonce)?;
        }
        self.file.write_all(chunk)?;
        let head = 4 + if key.is_some() { NONCE_LEN } else { 0 };
        self.starts.push(self.starts[self.starts.len() - 1] + (head + chunk.len()) as u64);
        chunk.clear();
        Ok(())
    }

    pub(super) fn chunks(&self) -> u64 {
        self.starts.len() as u64 - 1
    }

    /// Chunk `number`.
    pub(super) fn read(
        &self,
        number: u64,
        out: &mut Vec<u8>,
        key: Option<&LessSafeKey>,
    ) -> io::Result<()> {
        let mut len = [0u8; 4];
        let mut at = *self.starts.get(number as usize).ok_or_else(damaged)?;
        self.file.read_exact_at(&mut len, at)?;
        at += 4;
        let mut nonce = [0u8; NONCE_LEN];
        if key.is_some() {
            self.file.read_exact_at(&mut nonce, at)?;
            at += NONCE_LEN as u64;
        }
        out.clear();
        out.resize(u32::from_be_bytes(len) as usize, 0);
        self.file.read_exact_at(out, at)?;
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
            for i in [2, 0, 1u8] {
                spill.read(i.into(), &mut out, key).unwrap();
                assert_eq!(out, vec![i; 1000]);
            }
            assert!(spill.read(3, &mut out, key).is_err());
            // what is in the file
            let mut raw = vec![0; 3000];
            spill.file.read_exact_at(&mut raw, 0).unwrap();
            assert_eq!(raw.windows(100).any(|w| w == [1; 100]), key.is_none());
            if key.is_some() {
                spill.starts.swap(0, 1);
                assert!(spill.read(1, &mut out, key).is_err(), "out of its place");
            }
        }
    }
}
