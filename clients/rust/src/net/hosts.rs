//! Which servers to try, and which of them will do.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::base::error::Error;

/// A server to try. Of a name with several addresses the first that answers counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Name, address, or directory of the Unix socket (begins with `/`).
    pub name: String,
    /// Address to connect to; `name` then only is the name to verify.
    pub address: Option<String>,
    /// 5432 by default.
    pub port: u16,
}

/// What sort of session is wanted, of the first host that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetSession {
    /// Any.
    #[default]
    Any,
    /// One that can write.
    ReadWrite,
    /// One that cannot.
    ReadOnly,
    /// Of a server that is not in recovery.
    Primary,
    /// Of one that is.
    Standby,
    /// Of a standby, if one of the hosts is; otherwise any.
    PreferStandby,
}

const TARGETS: [(&str, TargetSession); 6] = [
    ("any", TargetSession::Any),
    ("read-write", TargetSession::ReadWrite),
    ("read-only", TargetSession::ReadOnly),
    ("primary", TargetSession::Primary),
    ("standby", TargetSession::Standby),
    ("prefer-standby", TargetSession::PreferStandby),
];

impl TargetSession {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let found = TARGETS.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, target)| *target)
            .ok_or_else(|| Error::Config(format!("target_session_attrs \"{text}\"")))
    }

    pub(super) fn name(self) -> &'static str {
        TARGETS.iter().find(|(_, target)| *target == self).map_or("", |(name, _)| name)
    }

    /// Whether a session will do.
    pub(super) fn accepts(self, session: Session) -> bool {
        let read_only = session.read_only || session.standby;
        match self {
            TargetSession::Any => true,
            TargetSession::ReadWrite => !read_only,
            TargetSession::ReadOnly => read_only,
            TargetSession::Primary => !session.standby,
            TargetSession::Standby | TargetSession::PreferStandby => session.standby,
        }
    }
}

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Transactions are read-only by default.
    pub(super) read_only: bool,
    /// The server is in recovery.
    pub(super) standby: bool,
}

impl Session {
    /// Of what the server said of itself; not all that stands between reports it.
    pub(super) fn of(parameters: &HashMap<String, String>) -> Option<Self> {
        let on = |name| parameters.get(name).map(|value| value == "on");
        Some(Session {
            read_only: on("default_transaction_read_only")?,
            standby: on("in_hot_standby")?,
        })
    }
}

/// Settings that are lists, separated by commas, an element for each host.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) host: String,
    pub(super) hostaddr: String,
    pub(super) port: String,
}

impl Lists {
    pub(super) fn hosts(&self) -> Result<Vec<Host>, Error> {
        let split = |text: &str| -> Vec<String> {
            let items = text.split(',').map(|item| item.trim().to_owned());
            items.collect()
        };
        let (names, addresses, ports) =
            (split(&self.host), split(&self.hostaddr), split(&self.port));
        let count = if self.hostaddr.is_empty() { names.len() } else { addresses.len() };
        let fits = |text: &str, items: &[String]| text.is_empty() || items.len() == count;
        if !fits(&self.host, &names) || ports.len() > 1 && ports.len() != count {
            return Err(Error::Config(
                "host, hostaddr and port have different numbers of elements".into(),
            ));
        }
        let at = |items: &[String], i: usize| items.get(i).filter(|s| !s.is_empty()).cloned();
        (0..count)
            .map(|i| {
                let port = if ports.len() == 1 { at(&ports, 0) } else { at(&ports, i) };
                let port = match port {
                    Some(text) => {
                        text.parse().map_err(|_| Error::Config(format!("port \"{text}\"")))?
                    }
                    None => 5432,
                };
                let address = at(&addresses, i);
                let name = match (at(&names, i), &address) {
                    (Some(name), _) => name,
                    (None, Some(_)) => String::new(),
                    (None, None) => default_directory(),
                };
                Ok(Host { name, address, port })
            })
            .collect()
    }
}

fn default_directory() -> String {
    let directory = "/var/run/postgresql";
    if std::path::Path::new(directory).is_dir() { directory } else { "/tmp" }.into()
}

impl Host {
    /// Its Unix socket, if it is to be reached by that.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let directory = self.name.starts_with('/') && self.address.is_none();
        directory.then(|| PathBuf::from(&self.name).join(format!(".s.PGSQL.{}", self.port)))
    }

    /// Where to connect to by TCP.
    pub(super) fn target(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.name)
    }

    /// What the certificate must be for.
    pub(super) fn verified_name(&self) -> &str {
        match &self.address {
            Some(address) if self.name.is_empty() => address,
            _ => &self.name,
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket() {
            Some(path) => path.display().fmt(f),
            None => write!(f, "{}:{}", self.target(), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(host: &str, hostaddr: &str, port: &str) -> Result<Vec<String>, Error> {
        let lists = Lists { host: host.into(), hostaddr: hostaddr.into(), port: port.into() };
        Ok(lists.hosts()?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists() {
        assert_eq!(hosts("a,b", "", "").unwrap(), ["a:5432", "b:5432"]);
        assert_eq!(hosts("a,b", "", "7").unwrap(), ["a:7", "b:7"]);
        assert_eq!(hosts("a,/tmp", "", "7,").unwrap(), ["a:7", "/tmp/.s.PGSQL.5432"]);
        assert_eq!(hosts("", "1.2.3.4,::1", "7,8").unwrap(), ["1.2.3.4:7", "::1:8"]);
        assert_eq!(hosts("a,b", "1.2.3.4,", "").unwrap(), ["1.2.3.4:5432", "b:5432"]);
        for (host, hostaddr, port) in
            [("a,b", "", "1,2,3"), ("a,b", "1.2.3.4", ""), ("a", "", "1,2")]
        {
            assert!(hosts(host, hostaddr, port).is_err(), "{host} {hostaddr} {port}");
        }
        assert!(hosts("a", "", "x").is_err());
    }

    #[test]
    fn sessions() {
        let session = |read_only, standby| Session { read_only, standby };
        let all = [(false, false), (true, false), (false, true)].map(|(r, s)| session(r, s));
        for (name, wanted) in [
            ("any", [true, true, true]),
            ("read-write", [true, false, false]),
            ("read-only", [false, true, true]),
            ("primary", [true, true, false]),
            ("standby", [false, false, true]),
            ("prefer-standby", [false, false, true]),
        ] {
            let target = TargetSession::parse(name).unwrap();
            assert_eq!(all.map(|session| target.accepts(session)), wanted, "{name}");
            assert_eq!(target.name(), name);
        }
        assert!(TargetSession::parse("none").is_err());
    }
}
