//! Who we are: SCRAM-SHA-256, bound to the TLS channel where that can be, MD5,
//! passwords in clear text over TLS or a Unix socket only.

use super::link::Channel;
use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding as Sasl, ScramSha256, SCRAM_SHA_256, SCRAM_SHA_256_PLUS,
};
use postgres_protocol::message::frontend;

use super::binding::{required, ChannelBinding};
use super::connection::Connection;
use super::demands::Allowed;
use crate::base::error::Error;

fn protocol(what: impl Into<String>) -> Error {
    Error::Protocol(what.into())
}

fn number(body: &[u8]) -> Result<(u32, &[u8]), Error> {
    let (bytes, rest) = body.split_first_chunk().ok_or_else(|| protocol("short message"))?;
    Ok((u32::from_be_bytes(*bytes), rest))
}

/// What the server asks for, by its number.
const METHODS: [(u32, &str); 8] = [
    (0, "none"),
    (3, "password"),
    (5, "md5"),
    (7, "gss"),
    (8, "gss"),
    (9, "sspi"),
    (10, "scram-sha-256"),
    (11, "scram-sha-256"),
];

impl Connection {
    /// Answers the server until it is content.
    pub(super) async fn authenticate(
        &mut self,
        user: &str,
        password: Option<&str>,
        channel: &Channel,
        binding: ChannelBinding,
        allowed: Allowed,
    ) -> Result<(), Error> {
        let mut asked = false;
        let mut bound = binding != ChannelBinding::Require;
        let needed =
            || password.ok_or_else(|| Error::Config("the server asks for a password".into()));
        loop {
            let message = self.expect(b'R').await?;
            let mut out = BytesMut::new();
            let kind = number(&message)?;
            if kind.0 != 0 || !asked {
                let known = METHODS.iter().find(|(number, _)| *number == kind.0);
                allowed.check(known.map_or("an unknown method", |(_, name)| *name))?;
            }
            asked = true;
            match kind {
                (0, _) if bound => return Ok(()),
                (10, mechanisms) => {
                    let offers =
                        |name: &str| mechanisms.split(|&b| b == 0).any(|m| m == name.as_bytes());
                    let certificate = channel.certificate.as_deref();
                    let (plus, sasl) = binding.choose(certificate, offers(SCRAM_SHA_256_PLUS))?;
                    let mechanism = if plus { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 };
                    if !offers(mechanism) {
                        return Err(protocol("the server offers no SASL mechanism that is known"));
                    }
                    self.scram(needed()?, mechanism, sasl).await?;
                    bound |= plus;
                    continue;
                }
                // no password is sent, and no server believed, that is not bound
                _ if !bound => return Err(required()),
                (3, _) if channel.private => {
                    frontend::password_message(needed()?.as_bytes(), &mut out)?
                }
                (3, _) => {
                    return Err(protocol(
                        "the server asks for the password in clear text, without TLS",
                    ))
                }
                (5, salt) => {
                    let password = needed()?;
                    let salt = salt.try_into().map_err(|_| protocol("salt of another size"))?;
                    let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
                    frontend::password_message(hash.as_bytes(), &mut out)?;
                }
                (other, _) => {
                    return Err(protocol(format!("authentication method {other} is not known")))
                }
            }
            self.send(&out).await?;
        }
    }

    async fn scram(&mut self, password: &str, mechanism: &str, sasl: Sasl) -> Result<(), Error> {
        let mut scram = ScramSha256::new(password.as_bytes(), sasl);
        let mut out = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut out)?;
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
