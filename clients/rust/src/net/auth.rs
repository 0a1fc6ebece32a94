//! Who we are: SCRAM-SHA-256, MD5, passwords in clear text over TLS or a Unix
//! socket only.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256, SCRAM_SHA_256};
use postgres_protocol::message::frontend;

use super::connection::Connection;
use crate::error::Error;

fn protocol(what: impl Into<String>) -> Error {
    Error::Protocol(what.into())
}

fn number(body: &[u8]) -> Result<(u32, &[u8]), Error> {
    let (bytes, rest) = body.split_first_chunk().ok_or_else(|| protocol("short message"))?;
    Ok((u32::from_be_bytes(*bytes), rest))
}

impl Connection {
    /// Answers the server until it is content.
    pub(super) async fn authenticate(
        &mut self,
        user: &str,
        password: Option<&str>,
        private: bool,
    ) -> Result<(), Error> {
        let needed =
            || password.ok_or_else(|| Error::Config("the server asks for a password".into()));
        loop {
            let message = self.expect(b'R').await?;
            let mut out = BytesMut::new();
            match number(&message)? {
                (0, _) => return Ok(()),
                (3, _) if private => frontend::password_message(needed()?.as_bytes(), &mut out)?,
                (3, _) => {
                    return Err(protocol(
                        "the server asks for the password in clear text, without TLS",
                    ))
                }
                (5, salt) => {
                    let salt = salt.try_into().map_err(|_| protocol("salt of another size"))?;
                    let hash = md5_hash(user.as_bytes(), needed()?.as_bytes(), salt);
                    frontend::password_message(hash.as_bytes(), &mut out)?;
                }
                (10, mechanisms) => {
                    let known =
                        mechanisms.split(|&b| b == 0).any(|name| name == SCRAM_SHA_256.as_bytes());
                    if !known {
                        return Err(protocol("the server offers no SASL mechanism that is known"));
                    }
                    self.scram(needed()?).await?;
                    continue;
                }
                (other, _) => {
                    return Err(protocol(format!("authentication method {other} is not known")))
                }
            }
            self.send(&out).await?;
        }
    }

    async fn scram(&mut self, password: &str) -> Result<(), Error> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let mut out = BytesMut::new();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)?;
        self.send(&out).await?;
        let message = self.expect(b'R').await?;
        let (11, challenge) = number(&message)? else {
            return Err(protocol("SASL challenge expected"));
        };
        scram.update(challenge).map_err(|error| protocol(error.to_string()))?;
        out.clear();
        frontend::sasl_response(scram.message(), &mut out)?;
        self.send(&out).await?;
        let message = self.expect(b'R').await?;
        let (12, proof) = number(&message)? else { return Err(protocol("SASL outcome expected")) };
        // the server, too, proves that it knows the password
        scram.finish(proof).map_err(|error| protocol(error.to_string()))
    }
}
