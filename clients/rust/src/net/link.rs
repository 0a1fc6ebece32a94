//! The way to a server: a Unix socket, or TCP with or without TLS.

use std::io;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::config::{ConnectConfig, SslMode, Tcp, Warned};
use super::demands::check_peer;
use super::hosts::Host;
use super::tls;
use crate::base::error::Error;

/// What the way to the server is.
#[derive(Debug)]
pub(super) struct Channel {
    /// Nobody else can read what goes over it.
    pub(super) private: bool,
    /// The server's certificate.
    pub(super) certificate: Option<Vec<u8>>,
}

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A way to a server.
pub(super) struct Link {
    pub(super) transport: Box<dyn Transport>,
    pub(super) channel: Channel,
    /// Where it ends.
    pub(super) address: Option<String>,
}

async fn encrypted(
    c: &ConnectConfig,
    host: &Host,
    socket: TcpStream,
    address: Option<String>,
) -> Result<Link, Error> {
    let (connector, name) = tls::connector(c, host)?;
    let tls = connector.connect(name, socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Error::Protocol(format!("TLS: {error}")),
        _ => Error::Io(error),
    })?;
    let certificates = tls.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first).map(|der| der.to_vec());
    let channel = Channel { private: true, certificate };
    Ok(Link { transport: Box::new(tls), channel, address })
}

/// Keepalives, so that a host that is gone is noticed, and how long what is sent may wait
/// for an answer. What the system does not have is left.
fn tune(socket: &TcpStream, tcp: &Tcp) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if tcp.keepalives {
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = tcp.idle {
            keepalive = keepalive.with_time(idle);
        }
        if let Some(interval) = tcp.interval {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(count) = tcp.count {
            keepalive = keepalive.with_retries(count);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if tcp.user_timeout.is_some() {
        socket.set_tcp_user_timeout(tcp.user_timeout)?;
    }
    Ok(())
}

impl ConnectConfig {
    /// Once: who listens, or answers in the server's place, is not noticed.
    fn warn_of_plain(&self, host: &Host) {
        let verified = match self.sslmode {
            SslMode::VerifyFull | SslMode::VerifyCa => true,
            SslMode::Require => self.sslrootcert.is_some(),
            SslMode::Disable | SslMode::Prefer => false,
        };
        if !verified && self.warned.first() {
            tracing::warn!(%host, "the connection is not secured by TLS with a verified certificate: \
                sslmode=verify-full and sslrootcert do so");
        }
    }

    /// The same, with a warning of its own.
    pub(crate) fn forget_warnings(&mut self) {
        self.warned = Warned::default();
    }
}

pub(super) async fn link(c: &ConnectConfig, host: &Host) -> Result<Link, Error> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{host}: {error}"));
    if let Some(path) = host.socket() {
        let socket = UnixStream::connect(&path).await.map_err(failed)?;
        if let Some(peer) = &c.demands.peer {
            check_peer(peer, socket.peer_cred()?.uid())?;
        }
        let channel = Channel { private: true, certificate: None };
        return Ok(Link { transport: Box::new(socket), channel, address: None });
    }
    let mut socket = TcpStream::connect((host.target(), host.port)).await.map_err(failed)?;
    socket.set_nodelay(true)?;
    tune(&socket, &c.tcp)?;
    c.warn_of_plain(host);
    let address = Some(socket.peer_addr()?.ip().to_string());
    let plain = |socket: TcpStream, address| {
        let channel = Channel { private: false, certificate: None };
        Ok(Link { transport: Box::new(socket), channel, address })
    };
    if c.sslmode == SslMode::Disable {
        return plain(socket, address);
    }
    if c.tls.direct {
        return encrypted(c, host, socket, address).await;
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await?;
    // one byte and no more: nothing that was sent before TLS counts after it
    match socket.read_u8().await? {
        b'S' => encrypted(c, host, socket, address).await,
        b'N' if c.sslmode == SslMode::Prefer => plain(socket, address),
        b'N' => {
            Err(Error::Config("the server does not support TLS, but sslmode demands it".into()))
        }
        _ => Err(Error::Protocol("unexpected answer to the request for TLS".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn socket(settings: &str) -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let c = ConnectConfig::parse_with(&format!("user=u {settings}"), |_| None).unwrap();
        tune(&socket, &c.tcp).unwrap();
        socket
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn keepalives() {
        let seconds = std::time::Duration::from_secs;
        let tuned = socket(
            "keepalives_idle=7 keepalives_interval=3 keepalives_count=4 tcp_user_timeout=5000",
        )
        .await;
        let socket_ = SockRef::from(&tuned);
        assert!(socket_.keepalive().unwrap());
        assert_eq!(socket_.tcp_keepalive_time().unwrap(), seconds(7));
        assert_eq!(socket_.tcp_keepalive_interval().unwrap(), seconds(3));
        assert_eq!(socket_.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(socket_.tcp_user_timeout().unwrap(), Some(seconds(5)));
        let plain = socket("").await;
        assert!(SockRef::from(&plain).keepalive().unwrap());
        let off = socket("keepalives=0").await;
        assert!(!SockRef::from(&off).keepalive().unwrap());
    }
}
