//! A connection: messages in and out, simple queries, COPY, replication.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cancel::Cancel;
use super::link::Transport;
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::base::server::ServerError;

/// A message of the server.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// What a query gives: rows of columns in text form, `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A connection to PostgreSQL, ordinary or for replication. Dropping it ends
/// the session.
pub struct Connection {
    transport: Box<dyn Transport>,
    input: BytesMut,
    max_message: usize,
    pub(super) cancel: Option<Cancel>,
    /// A statement has been sent that is to be cancelled with the connection.
    pub(super) at_work: bool,
    /// Statements whose end has not been read: whoever waited for it may have given up.
    pub(super) unfinished: usize,
    /// A message is being written.
    writing: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// `"name"`, for SQL and replication commands.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, for replication commands.
pub(crate) fn quote_command(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal for SQL, whatever `standard_conforming_strings` is.
pub(crate) fn quote_literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!(" E'{}'", text.replace('\'', "''").replace('\\', "\\\\")),
        false => quote_command(text),
    }
}

fn ended() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))
}

impl Connection {
    /// Nothing has been said yet.
    pub(super) fn over(transport: Box<dyn Transport>, limits: &Limits) -> Self {
        Connection {
            transport,
            input: BytesMut::with_capacity(1 << 16),
            // header of a CopyData message, length of the frame
            max_message: usize::try_from(limits.max_batch_bytes).unwrap_or(usize::MAX - 64) + 64,
            cancel: None,
            at_work: false,
            unfinished: 0,
            writing: false,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // what was given up in the middle cannot be made whole
        if self.writing {
            return Err(Error::Io(io::Error::other(
                "the connection was left in the middle of a message",
            )));
        }
        self.writing = true;
        self.transport.write_all(bytes).await?;
        self.transport.flush().await?;
        self.writing = false;
        Ok(())
    }

    /// Reads away what is left of statements that were given up, so that the next answer
    /// is that of the next statement.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        while self.unfinished > 0 {
            let message = self.read_raw().await?;
            if message.tag == b'E' {
                let error = ServerError::parse(&message.body);
                if error.severity == "FATAL" {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// A whole message, if one has been read. The length is checked before
    /// anything is allocated for it.
    fn take_message(&mut self) -> Result<Option<Incoming>, Error> {
        let [tag, a, b, c, d, ..] = self.input[..] else { return Ok(None) };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if len < 4 || len > self.max_message {
            return Err(Error::Protocol(format!("message of {len} bytes")));
        }
        if self.input.len() <= len {
            self.input.reserve(len + 1 - self.input.len());
            return Ok(None);
        }
        let mut message = self.input.split_to(len + 1);
        let body = message.split_off(5).freeze();
        if tag == b'Z' {
            self.at_work = false;
            self.unfinished = self.unfinished.saturating_sub(1);
        }
        Ok(Some(Incoming { tag, body }))
    }

    /// The next message, whatever it is. May be cancelled without loss.
    pub(crate) async fn read_raw(&mut self) -> Result<Incoming, Error> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// The kind of the next message, which stays to be read. May be cancelled without
    /// loss.
    pub(crate) async fn peek(&mut self) -> Result<u8, Error> {
        while self.input.is_empty() {
            self.fill().await?;
        }
        Ok(self.input[0])
    }

    async fn fill(&mut self) -> Result<(), Error> {
        self.input.reserve(1 << 14);
        match self.transport.read_buf(&mut self.input).await? {
            0 => Err(ended()),
            _ => Ok(()),
        }
    }

    /// The next message but notices and parameters; errors are errors.
    pub(crate) async fn read(&mut self) -> Result<Incoming, Error> {
        loop {
            let message = self.read_raw().await?;
            match message.tag {
                b'E' => return Err(ServerError::parse(&message.body).into()),
                b'N' => {
                    ServerError::parse(&message.body).say();
                }
                b'S' | b'A' => (),
                _ => return Ok(message),
            }
        }
    }

    pub(crate) async fn expect(&mut self, tag: u8) -> Result<Bytes, Error> {
        let message = self.read().await?;
        if message.tag != tag {
            let (wanted, found) = (char::from(tag), char::from(message.tag));
            return Err(Error::Protocol(format!("message {found} where {wanted} was expected")));
        }
        Ok(message.body)
    }

    async fn until_ready(&mut self) -> Result<(), Error> {
        while self.read().await?.tag != b'Z' {}
        Ok(())
    }

    /// Runs SQL or a replication command; the rows of all its results, as text.
    /// After an error of the server the connection can be used again; so it can when this
    /// was given up, by a timeout for example: the next one first reads the rest away.
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, Error> {
        let mut rows = Vec::new();
        self.query_each(sql, |row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    async fn query_each(
        &mut self,
        sql: &str,
        mut f: impl FnMut(Vec<Option<String>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.send_query(sql).await?;
        self.answer(&mut f).await
    }

    /// Rows, until the server is ready again.
    pub(super) async fn answer(
        &mut self,
        mut f: impl FnMut(Vec<Option<String>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        loop {
            match self.read().await {
                Ok(Incoming { tag: b'Z', .. }) => return result,
                Ok(Incoming { tag: b'D', body }) if result.is_ok() => {
                    result = columns(&body).and_then(&mut f);
                }
                Ok(_) => (),
                Err(Error::Server(error)) if error.severity != "FATAL" => {
                    result = Err(error.into());
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn send_query(&mut self, sql: &str) -> Result<(), Error> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out)?;
        self.settle().await?;
        self.unfinished += 1;
        self.send(&out).await
    }

    /// Runs `COPY … TO STDOUT`: `f` is given each CopyData message, until it gives an
    /// error.
    ///
    /// # Errors
    /// The server's and `f`'s, after which the connection can be used again; the
    /// network's.
    pub(crate) async fn copy_out(
        &mut self,
        sql: &str,
        mut f: impl FnMut(Bytes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.send_query(sql).await?;
        let mut result = Ok(());
        loop {
            match self.read().await {
                Ok(Incoming { tag: b'Z', .. }) => return result,
                Ok(Incoming { tag: b'd', body }) if result.is_ok() => result = f(body),
                Ok(_) => (),
                // ReadyForQuery follows
                Err(Error::Server(error)) if error.severity != "FATAL" => {
                    result = result.and(Err(error.into()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins a COPY in both directions: START_REPLICATION.
    pub(crate) async fn copy_both(&mut self, sql: &str) -> Result<(), Error> {
        self.send_query(sql).await?;
        self.expect(b'W').await.map(drop)
    }

    pub(crate) async fn send_copy_data(&mut self, data: &[u8]) -> Result<(), Error> {
        let mut out = BytesMut::with_capacity(data.len() + 5);
        frontend::CopyData::new(data)?.write(&mut out);
        self.send(&out).await
    }

    /// Ends a COPY in both directions: what the server has sent meanwhile is
    /// dropped.
    pub(crate) async fn end_copy(&mut self) -> Result<(), Error> {
        let mut out = BytesMut::new();
        frontend::copy_done(&mut out);
        self.send(&out).await?;
        self.until_ready().await
    }

    /// Says good-bye. Dropping the connection does as well, less politely.
    pub async fn close(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        let _ = self.send(&out).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.transport.shutdown()).await;
    }
}

fn columns(body: &[u8]) -> Result<Vec<Option<String>>, Error> {
    fn number<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
        let (bytes, tail) = rest.split_first_chunk()?;
        *rest = tail;
        Some(*bytes)
    }
    fn column(rest: &mut &[u8]) -> Option<Option<String>> {
        let len = i32::from_be_bytes(number(rest)?);
        let Ok(len) = usize::try_from(len) else { return Some(None) };
        let (text, tail) = rest.split_at_checked(len)?;
        *rest = tail;
        Some(Some(String::from_utf8_lossy(text).into_owned()))
    }
    let mut rest = body;
    let count = number(&mut rest).map_or(0, u16::from_be_bytes);
    (0..count)
        .map(|_| column(&mut rest))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::Protocol("row is cut".into()))
}
