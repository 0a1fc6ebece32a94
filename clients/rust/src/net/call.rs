//! Statements with parameters, whose rows are read one by one, and how to cancel
//! them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;
use postgres_protocol::IsNull;

use super::connection::{Connection, Rows};
use crate::base::error::Error;

/// After how long a statement that goes on is cancelled again.
const AGAIN: Duration = Duration::from_millis(200);

impl Connection {
    /// Runs one statement that has no name, with parameters as text; its rows, in
    /// binary form, and what ends it are to be read. Until `ReadyForQuery` has come
    /// the connection is at work: dropping it cancels the statement.
    pub(crate) async fn call(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
    ) -> Result<(), Error> {
        self.ask(sql, parameters.iter().map(Option::as_deref), 1).await?;
        self.at_work = true;
        Ok(())
    }

    /// Runs one statement with parameters, `$1` and so on, as texts that the server makes
    /// values of: the way to give it what came from elsewhere. Its rows, as text. As for
    /// errors and giving up it is as [`Connection::query`].
    ///
    /// # Errors
    /// The server's, the network's.
    pub async fn query_with(
        &mut self,
        sql: &str,
        parameters: &[Option<&str>],
    ) -> Result<Rows, Error> {
        self.ask(sql, parameters.iter().copied(), 0).await?;
        let mut rows = Vec::new();
        self.answer(|row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    async fn ask(
        &mut self,
        sql: &str,
        parameters: impl IntoIterator<Item = Option<&str>>,
        format: i16,
    ) -> Result<(), Error> {
        let mut out = BytesMut::new();
        frontend::parse("", sql, [], &mut out)?;
        frontend::bind(
            "",
            "",
            [],
            parameters,
            |value, out| match value {
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    Ok(IsNull::No)
                }
                None => Ok(IsNull::Yes),
            },
            [format],
            &mut out,
        )
        .map_err(|_| Error::Config("parameters of a statement are too long".into()))?;
        frontend::execute("", 0, &mut out)?;
        frontend::sync(&mut out);
        self.settle().await?;
        self.unfinished += 1;
        self.send(&out).await
    }

    /// Whether a statement has been sent, and its end not been read.
    pub(crate) fn is_at_work(&self) -> bool {
        self.at_work
    }

    /// Ends the statement at work, if there is one: what it still gives is dropped.
    pub(crate) async fn cancel(&mut self) -> Result<(), Error> {
        let cancel = self.cancel.clone();
        while self.at_work {
            if let Some(cancel) = &cancel {
                cancel.send().await?;
            }
            let end = async {
                while self.at_work {
                    self.read_raw().await?;
                }
                Ok(())
            };
            // a request that comes before the statement has begun does nothing
            match tokio::time::timeout(AGAIN, end).await {
                Ok(result) => return result,
                Err(_) => continue,
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.at_work {
            return;
        }
        // the server may not notice before it has something to send
        if let (Some(cancel), Ok(runtime)) =
            (self.cancel.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move {
                for _ in 0..3 {
                    let _ = cancel.send().await;
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}

/// The columns of a `DataRow`, as views of it.
pub(crate) fn fields<const N: usize>(row: &Bytes) -> Option<[Option<Bytes>; N]> {
    let mut rest = row.clone();
    let mut take = |n: usize| (rest.len() >= n).then(|| rest.split_to(n));
    let count = u16::from_be_bytes(take(2)?[..].try_into().ok()?);
    let mut fields = [const { None }; N];
    if usize::from(count) != N {
        return None;
    }
    for field in &mut fields {
        let len = i32::from_be_bytes(take(4)?[..].try_into().ok()?);
        // negative: NULL
        if let Ok(len) = usize::try_from(len) {
            *field = Some(take(len)?);
        }
    }
    rest.is_empty().then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let row = Bytes::from_static(b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff");
        assert_eq!(fields::<2>(&row), Some([Some(Bytes::from_static(b"abc")), None]));
        assert_eq!(fields::<1>(&row), None);
        assert_eq!(fields::<3>(&row), None);
        for at in 0..row.len() {
            assert_eq!(fields::<2>(&row.slice(..at)), None, "{at}");
        }
    }
}
