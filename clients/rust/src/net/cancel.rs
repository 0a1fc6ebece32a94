//! How to cancel what a server is at.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::config::ConnectConfig;
use super::hosts::Host;
use super::link::link;
use crate::base::error::Error;

/// How long it may take to tell the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// What cancels the statement that a connection is at.
#[derive(Clone, Debug)]
pub(crate) struct Cancel {
    pub(super) config: ConnectConfig,
    /// The very server, if a name stands for several.
    pub(super) host: Host,
    pub(super) process: i32,
    pub(super) secret: i32,
}

impl Cancel {
    /// Asks over a connection of its own; done when the server has taken notice.
    pub(crate) async fn send(&self) -> Result<(), Error> {
        let told = async {
            let mut transport = link(&self.config, &self.host).await?.transport;
            let mut out = BytesMut::new();
            frontend::cancel_request(self.process, self.secret, &mut out);
            transport.write_all(&out).await?;
            transport.flush().await?;
            let _ = transport.read(&mut [0]).await;
            Ok(())
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "cancelling took too long");
        tokio::time::timeout(PATIENCE, told).await.map_err(|_| Error::Io(late()))?
    }
}
