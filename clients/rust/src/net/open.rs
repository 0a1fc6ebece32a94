//! Opens connections: hosts in turn, who we are, what session it is.

use std::collections::HashMap;
use std::io;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use ring::rand::{SecureRandom, SystemRandom};

use super::cancel::Cancel;
use super::config::ConnectConfig;
use super::connection::{Connection, Incoming};
use super::hosts::{Host, Session, TargetSession};
use super::link::{link, Link};
use crate::base::error::Error;
use crate::base::limits::Limits;
use crate::base::server::ServerError;

impl Connection {
    /// An ordinary connection.
    ///
    /// # Errors
    /// Network, TLS, authentication, the server's.
    pub async fn connect(config: &ConnectConfig, limits: &Limits) -> Result<Self, Error> {
        Self::open(config, limits, false).await
    }

    /// One for logical replication: takes replication commands too.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn connect_replication(
        config: &ConnectConfig,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Self::open(config, limits, true).await
    }

    async fn open(c: &ConnectConfig, limits: &Limits, replication: bool) -> Result<Self, Error> {
        match c.target_session_attrs {
            TargetSession::PreferStandby => {
                match Self::search(c, c.target_session_attrs, limits, replication).await {
                    Err(error) if error.is_transient() => {
                        Self::search(c, TargetSession::Any, limits, replication).await
                    }
                    result => result,
                }
            }
            target => Self::search(c, target, limits, replication).await,
        }
    }

    /// The first host that will do.
    async fn search(
        c: &ConnectConfig,
        target: TargetSession,
        limits: &Limits,
        replication: bool,
    ) -> Result<Self, Error> {
        let mut failed: Option<Error> = None;
        let mut hosts: Vec<_> = c.hosts.iter().collect();
        if c.shuffled {
            shuffle(&mut hosts);
        }
        for host in hosts {
            let attempt = Self::establish(c, host, target, limits, replication);
            let late = || io::Error::new(io::ErrorKind::TimedOut, "connecting took too long");
            let result = tokio::time::timeout(c.connect_timeout, attempt).await;
            match result.unwrap_or_else(|_| Err(late().into())) {
                // another one may be there, or have started
                Err(error) if error.is_transient() => {
                    failed = Some(match failed {
                        Some(former) => {
                            Error::Io(io::Error::other(format!("{former}; {host}: {error}")))
                        }
                        None if c.hosts.len() > 1 => {
                            Error::Io(io::Error::other(format!("{host}: {error}")))
                        }
                        None => error,
                    });
                }
                result => return result,
            }
        }
        Err(failed.unwrap_or_else(|| Error::Config("there is no host".into())))
    }

    async fn establish(
        c: &ConnectConfig,
        host: &Host,
        target: TargetSession,
        limits: &Limits,
        replication: bool,
    ) -> Result<Self, Error> {
        let Link { transport, channel, address } = link(c, host).await?;
        let mut connection = Connection::over(transport, limits);
        let mut parameters = vec![
            ("user", c.user.as_str()),
            ("database", &c.dbname),
            ("application_name", &c.application_name),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            // what texts mean must not depend on who set up the database
            ("standard_conforming_strings", "on"),
        ];
        if replication {
            parameters.push(("replication", "database"));
        }
        if let Some(options) = &c.options {
            parameters.push(("options", options));
        }
        let mut out = BytesMut::new();
        frontend::startup_message(parameters, &mut out)?;
        connection.send(&out).await?;
        let password = c.find_password(host);
        let (binding, allowed) = (c.channel_binding, c.demands.auth);
        connection.authenticate(&c.user, password.as_deref(), &channel, binding, allowed).await?;
        let mut said = HashMap::new();
        loop {
            match connection.read_raw().await? {
                Incoming { tag: b'Z', .. } => break,
                Incoming { tag: b'E', body } => return Err(ServerError::parse(&body).into()),
                Incoming { tag: b'S', body } => said.extend(parameter(&body)),
                Incoming { tag: b'K', body } => {
                    let host = Host { address: address.clone(), ..host.clone() };
                    connection.cancel = key(&body).map(|(process, secret)| Cancel {
                        config: c.only(host.clone()),
                        host,
                        process,
                        secret,
                    });
                }
                Incoming { tag: b'N', body } => {
                    ServerError::parse(&body).say();
                }
                _ => (),
            }
        }
        connection.require(target, &said).await?;
        Ok(connection)
    }

    /// Fails, as what may pass, unless it is the session that is wanted.
    async fn require(
        &mut self,
        target: TargetSession,
        said: &HashMap<String, String>,
    ) -> Result<(), Error> {
        if target == TargetSession::Any {
            return Ok(());
        }
        let session = match Session::of(said) {
            Some(session) => session,
            None => {
                let rows = self
                    .query("SELECT pg_catalog.current_setting('default_transaction_read_only'), pg_catalog.pg_is_in_recovery()")
                    .await?;
                let is = |at: usize, text: &str| {
                    rows.first().and_then(|row| row.get(at)?.as_deref()) == Some(text)
                };
                Session { read_only: is(0, "on"), standby: is(1, "t") }
            }
        };
        if target.accepts(session) {
            return Ok(());
        }
        let what = if session.standby { "a standby" } else { "not a standby" };
        let how = if session.read_only { ", read-only by default" } else { "" };
        let text = format!("the server is {what}{how}, not {}", target.name());
        Err(Error::Io(io::Error::other(text)))
    }
}

fn shuffle(hosts: &mut [&Host]) {
    for i in (1..hosts.len()).rev() {
        let mut bytes = [0; 4];
        let _ = SystemRandom::new().fill(&mut bytes);
        hosts.swap(i, u32::from_le_bytes(bytes) as usize % (i + 1));
    }
}

/// Of `BackendKeyData`.
fn key(body: &[u8]) -> Option<(i32, i32)> {
    let (process, secret) = body.split_first_chunk()?;
    Some((i32::from_be_bytes(*process), i32::from_be_bytes(secret.try_into().ok()?)))
}

/// Of `ParameterStatus`: name and value.
fn parameter(body: &[u8]) -> Option<(String, String)> {
    let mut parts = body.split(|&byte| byte == 0).map(|part| String::from_utf8_lossy(part).into());
    Some((parts.next()?, parts.next()?))
}
