//! The way to a server: a Unix socket, or TCP with or without TLS.

use std::io;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::auth::Channel;
use super::config::{ConnectConfig, SslMode};
use super::hosts::Host;
use super::tls;
use crate::error::Error;

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A way to a server.
pub(super) struct Link {
    pub(super) transport: Box<dyn Transport>,
    pub(super) channel: Channel,
    /// Where it ends.
    pub(super) address: Option<String>,
}

pub(super) async fn link(c: &ConnectConfig, host: &Host) -> Result<Link, Error> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{host}: {error}"));
    if let Some(path) = host.socket() {
        let socket = UnixStream::connect(&path).await.map_err(failed)?;
        let channel = Channel { private: true, certificate: None };
        return Ok(Link { transport: Box::new(socket), channel, address: None });
    }
    let mut socket = TcpStream::connect((host.target(), host.port)).await.map_err(failed)?;
    socket.set_nodelay(true)?;
    let address = Some(socket.peer_addr()?.ip().to_string());
    let plain = |socket: TcpStream, address| {
        let channel = Channel { private: false, certificate: None };
        Ok(Link { transport: Box::new(socket), channel, address })
    };
    if c.sslmode == SslMode::Disable {
        return plain(socket, address);
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await?;
    // one byte and no more: nothing that was sent before TLS counts after it
    match socket.read_u8().await? {
        b'S' => {
            let (connector, name) = tls::connector(c, host)?;
            let tls =
                connector.connect(name, socket).await.map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidData => Error::Protocol(format!("TLS: {error}")),
                    _ => Error::Io(error),
                })?;
            let certificates = tls.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(<[_]>::first).map(|der| der.to_vec());
            let channel = Channel { private: true, certificate };
            Ok(Link { transport: Box::new(tls), channel, address })
        }
        b'N' if c.sslmode == SslMode::Prefer => plain(socket, address),
        b'N' => {
            Err(Error::Config("the server does not support TLS, but sslmode demands it".into()))
        }
        _ => Err(Error::Protocol("unexpected answer to the request for TLS".into())),
    }
}
