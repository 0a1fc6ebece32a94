//! What the server must do or be: how it authenticates, who runs it, which versions of
//! TLS it speaks.

use std::path::Path;

use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::SupportedProtocolVersion;

use crate::base::error::Error;

/// Ways to authenticate, as libpq calls them; the last three are not spoken here.
const METHODS: [&str; 7] = ["none", "password", "md5", "scram-sha-256", "gss", "sspi", "oauth"];

/// `require_auth`: the ways that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed([bool; METHODS.len()]);

impl Default for Allowed {
    fn default() -> Self {
        Allowed([true; METHODS.len()])
    }
}

impl Allowed {
    /// A list of ways, or of ways that are not allowed, each behind a `!`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Config(format!("require_auth \"{text}\": {what}"));
        let negated = text.starts_with('!');
        let mut allowed = [negated; METHODS.len()];
        for item in text.split(',').map(str::trim) {
            let name = match (negated, item.strip_prefix('!')) {
                (true, Some(name)) => name,
                (false, None) => item,
                _ => return Err(wrong("with ! stand all or none")),
            };
            let at = METHODS.iter().position(|method| *method == name);
            let at = at.ok_or_else(|| wrong(&format!("\"{name}\" is not known")))?;
            if allowed[at] != negated {
                return Err(wrong(&format!("\"{name}\" stands there twice")));
            }
            allowed[at] = !negated;
        }
        Ok(Allowed(allowed))
    }

    /// Fails unless the way is allowed.
    pub(super) fn check(self, method: &str) -> Result<(), Error> {
        let at = METHODS.iter().position(|known| *known == method);
        if at.is_some_and(|at| self.0[at]) {
            return Ok(());
        }
        let text = match method {
            "none" => "the server asks for no authentication".to_owned(),
            method => format!("the server asks for authentication by {method}"),
        };
        Err(Error::Config(format!("{text}, which require_auth does not allow")))
    }
}

/// The user that the server at a Unix socket must run as: its number, from
/// `/etc/passwd`.
pub(super) fn check_peer(wanted: &str, found: u32) -> Result<(), Error> {
    let text = std::fs::read_to_string(Path::new("/etc/passwd"))?;
    let uid = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(wanted)).then(|| fields.nth(1)?.parse::<u32>().ok())?
    });
    match uid {
        Some(uid) if uid == found => Ok(()),
        Some(_) => Err(Error::Config(format!(
            "requirepeer is \"{wanted}\", but the server runs as user {found}"
        ))),
        None => Err(Error::Config(format!("requirepeer: there is no user \"{wanted}\""))),
    }
}

const TLS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// The place of a version of TLS in the order.
pub(super) fn tls_version(name: &str, text: &str) -> Result<usize, Error> {
    let at = TLS.iter().position(|version| version.eq_ignore_ascii_case(text));
    at.ok_or_else(|| Error::Config(format!("{name} \"{text}\"")))
}

/// Versions from one to another; below 1.2 there is none here.
pub(super) fn tls_versions(
    min: Option<usize>,
    max: Option<usize>,
) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    let range = min.unwrap_or(2)..=max.unwrap_or(3);
    let known = [(2, &TLS12), (3, &TLS13)];
    let versions: Vec<_> =
        known.into_iter().filter(|(at, _)| range.contains(at)).map(|(_, v)| v).collect();
    match versions.is_empty() {
        true => Err(Error::Config(
            "no version of TLS that is known here is between ssl_min_protocol_version and ssl_max_protocol_version".into(),
        )),
        false => Ok(versions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_authenticate() {
        let allowed = |text: &str| {
            let allowed = Allowed::parse(text).unwrap();
            METHODS.iter().filter(|m| allowed.check(m).is_ok()).copied().collect::<Vec<_>>()
        };
        assert_eq!(allowed("scram-sha-256"), ["scram-sha-256"]);
        assert_eq!(allowed("md5, none"), ["none", "md5"]);
        assert_eq!(allowed("!none,!password"), ["md5", "scram-sha-256", "gss", "sspi", "oauth"]);
        for wrong in ["x", "md5,!none", "!none,md5", "md5,md5", ""] {
            assert!(Allowed::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(METHODS.map(|m| Allowed::default().check(m).is_ok()), [true; 7]);
    }

    #[test]
    fn versions() {
        let count = |min: &str, max: &str| {
            let version = |text: &str| (!text.is_empty()).then(|| tls_version("x", text).unwrap());
            tls_versions(version(min), version(max)).map(|versions| versions.len()).ok()
        };
        assert_eq!(count("", ""), Some(2));
        assert_eq!(count("TLSv1", ""), Some(2));
        assert_eq!(count("TLSv1.3", ""), Some(1));
        assert_eq!(count("", "tlsv1.2"), Some(1));
        assert_eq!(count("", "TLSv1.1"), None);
        assert_eq!(count("TLSv1.3", "TLSv1.2"), None);
        assert!(tls_version("x", "SSLv3").is_err());
    }
}
