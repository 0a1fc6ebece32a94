//! Channel binding (RFC 5929, tls-server-end-point): the hash of the server's
//! certificate goes into what proves the password, so that nobody in between can pass
//! that proof on.

use postgres_protocol::authentication::sasl::ChannelBinding as Sasl;
use ring::digest::{digest, Algorithm, SHA256, SHA384, SHA512};

use crate::base::error::Error;

/// Whether passwords are bound to the TLS channel, by SCRAM-SHA-256-PLUS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// If server and certificate allow it.
    #[default]
    Prefer,
    /// Otherwise the connection fails, also where the server asks for no password.
    Require,
}

impl ChannelBinding {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "disable" => ChannelBinding::Disable,
            "prefer" => ChannelBinding::Prefer,
            "require" => ChannelBinding::Require,
            _ => return Err(Error::Config(format!("channel_binding \"{text}\""))),
        })
    }

    /// How to authenticate: whether by the mechanism with binding, and what is said
    /// about it. `certificate` is the server's, if there is TLS; `offered`, whether the
    /// server has the mechanism.
    pub(super) fn choose(
        self,
        certificate: Option<&[u8]>,
        offered: bool,
    ) -> Result<(bool, Sasl), Error> {
        let hash = certificate.and_then(end_point);
        Ok(match (self, hash) {
            (ChannelBinding::Prefer | ChannelBinding::Require, Some(hash)) if offered => {
                (true, Sasl::tls_server_end_point(hash))
            }
            (ChannelBinding::Require, _) => return Err(required()),
            // it could be done, but not with this server: which that can verify
            (ChannelBinding::Prefer, Some(_)) => (false, Sasl::unrequested()),
            _ => (false, Sasl::unsupported()),
        })
    }
}

pub(super) fn required() -> Error {
    Error::Config("channel binding is required, but is not to be had with this server".into())
}

/// The certificate's hash, by the algorithm that it was signed with, but SHA-256 in
/// place of MD5 and SHA-1. `None` where that is not defined, as for Ed25519.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_hash(certificate)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;

/// An element of DER at the front: tag, content; and the rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0usize, |len, &byte| len << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

/// Content of the element at the front, and the rest, if it has the tag.
fn tagged(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).and_then(|(found, content, rest)| (found == tag).then_some((content, rest)))
}

/// Objects by their bytes, and the hash that they stand for.
fn hash_of(object: &[u8]) -> Option<&'static Algorithm> {
    const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";
    const ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x04";
    const NIST: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02";
    if let Some(kind) = object.strip_prefix(RSA) {
        return match kind {
            // MD5, SHA-1
            [4 | 5 | 11] => Some(&SHA256),
            [12] => Some(&SHA384),
            [13] => Some(&SHA512),
            _ => None,
        };
    }
    if let Some(kind) = object.strip_prefix(ECDSA) {
        return match kind {
            // SHA-1
            [1] | [3, 2] => Some(&SHA256),
            [3, 3] => Some(&SHA384),
            [3, 4] => Some(&SHA512),
            _ => None,
        };
    }
    match object.strip_prefix(NIST)? {
        [1] => Some(&SHA256),
        [2] => Some(&SHA384),
        [3] => Some(&SHA512),
        _ => None,
    }
}

fn signature_hash(certificate: &[u8]) -> Option<&'static Algorithm> {
    const PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    let (certificate, _) = tagged(certificate, SEQUENCE)?;
    let (_, _, rest) = element(certificate)?;
    let (algorithm, _) = tagged(rest, SEQUENCE)?;
    let (object, parameters) = tagged(algorithm, OBJECT)?;
    if object != PSS {
        return hash_of(object);
    }
    // the hash is its first parameter; if it is absent, SHA-1
    let (parameters, _) = tagged(parameters, SEQUENCE)?;
    match tagged(parameters, 0xa0) {
        Some((hash, _)) => hash_of(tagged(tagged(hash, SEQUENCE)?.0, OBJECT)?.0),
        None => Some(&SHA256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).unwrap();
        assert!(len < 0x80);
        [&[tag, len][..], content].concat()
    }

    /// As much of a certificate as is looked at.
    fn certificate(object: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[der(OBJECT, object), parameters.to_vec()].concat());
        der(SEQUENCE, &[der(SEQUENCE, b"\x02\x01\x07"), algorithm, der(3, b"\0")].concat())
    }

    #[test]
    fn hashes_are_those_of_the_signature() {
        const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";
        let rsa = |kind: u8| [RSA, &[kind]].concat();
        let pss = |hash: u8| {
            let nist = [b"\x60\x86\x48\x01\x65\x03\x04\x02", &[hash][..]].concat();
            let hash = der(0xa0, &der(SEQUENCE, &der(OBJECT, &nist)));
            certificate(&rsa(10), &der(SEQUENCE, &hash))
        };
        let of = |certificate: &[u8]| signature_hash(certificate).map(Algorithm::output_len);
        assert_eq!(of(&certificate(&rsa(5), &[5, 0])), Some(32));
        assert_eq!(of(&certificate(&rsa(11), &[5, 0])), Some(32));
        assert_eq!(of(&certificate(&rsa(12), &[5, 0])), Some(48));
        assert_eq!(of(&certificate(&rsa(13), &[5, 0])), Some(64));
        assert_eq!(of(&certificate(b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &[])), Some(48));
        assert_eq!(of(&pss(3)), Some(64));
        assert_eq!(of(&certificate(&rsa(10), &der(SEQUENCE, &[]))), Some(32));
        assert_eq!(of(&certificate(b"\x2b\x65\x70", &[])), None, "Ed25519");
        let whole = certificate(&rsa(11), &[5, 0]);
        // cut ones
        assert!((0..whole.len()).all(|at| of(&whole[..at]).is_none_or(|len| len == 32)));
    }

    #[test]
    fn choices() {
        let good = certificate(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &[5, 0]);
        let odd = certificate(b"\x2b\x65\x70", &[]);
        let binds = |mode: ChannelBinding, certificate: Option<&[u8]>, offered| {
            mode.choose(certificate, offered).ok().map(|(plus, _)| plus)
        };
        use ChannelBinding::{Disable, Prefer, Require};
        for (certificate, offered) in [
            (None, true),
            (Some(&good[..]), false),
            (Some(&odd[..]), true),
            (Some(&good[..]), true),
        ] {
            let possible = certificate == Some(&good[..]) && offered;
            assert_eq!(binds(Disable, certificate, offered), Some(false));
            assert_eq!(binds(Prefer, certificate, offered), Some(possible));
            assert_eq!(binds(Require, certificate, offered), possible.then_some(true));
        }
    }
}
