//! Where to connect and as whom: URLs, conninfo strings, `PG*` environment.

use std::path::PathBuf;
use std::time::Duration;

use super::binding::ChannelBinding;
use super::hosts::{Host, Lists, TargetSession};
use crate::error::Error;

/// How far the server must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server has it, unverified.
    #[default]
    Prefer,
    /// TLS; the certificate is verified if there is a root certificate file.
    Require,
    /// TLS with a certificate from a known authority, whatever its name.
    VerifyCa,
    /// TLS with a certificate from a known authority for this host.
    VerifyFull,
}

/// Where to connect and as whom.
///
/// Made of a URL or conninfo string, over `PG*` environment variables, over
/// libpq's defaults. Names and meaning are libpq's: `host` (a directory means
/// its Unix socket), `hostaddr` and `port` (each may be a list, separated by commas),
/// `target_session_attrs`, `user`, `password`, `passfile`, `dbname`, `sslmode` (`allow`
/// is as `prefer`), `channel_binding`, `sslrootcert` (a file, or `system`), `sslcert`,
/// `sslkey`, `connect_timeout` in seconds, `application_name`, `options`. Other settings
/// are an error, so that none is ignored in silence.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectConfig {
    /// Servers, tried in this order by every connection, until one lets itself be
    /// connected to and has the session that is wanted. One that refuses the role ends
    /// the search.
    pub hosts: Vec<Host>,
    /// What session is wanted.
    pub target_session_attrs: TargetSession,
    /// Role.
    pub user: String,
    /// In clear text. Not shown by `Debug`.
    pub password: Option<String>,
    /// Database; by default the role's name.
    pub dbname: String,
    /// TLS.
    pub sslmode: SslMode,
    /// Whether the password is bound to the TLS channel.
    pub channel_binding: ChannelBinding,
    /// File of root certificates, `system`, or libpq's default file.
    pub sslrootcert: Option<PathBuf>,
    /// Client certificate.
    pub sslcert: Option<PathBuf>,
    /// Its key.
    pub sslkey: Option<PathBuf>,
    /// Of one attempt at one host; 30 s by default.
    pub connect_timeout: Duration,
    /// Shown by the server.
    pub application_name: String,
    /// Settings for the session, as `-c name=value`.
    pub options: Option<String>,
    /// File with passwords; by default `~/.pgpass`.
    pub passfile: Option<PathBuf>,
}

impl std::fmt::Debug for ConnectConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectConfig")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("dbname", &self.dbname)
            .field("sslmode", &self.sslmode)
            .finish_non_exhaustive()
    }
}

/// libpq's names and variables.
const ENVIRONMENT: [(&str, &str); 17] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("USER", "user"),
];

fn config(what: impl Into<String>) -> Error {
    Error::Config(what.into())
}

impl ConnectConfig {
    /// Of `PG*` environment variables alone.
    ///
    /// # Errors
    /// A value that is none.
    pub fn from_env() -> Result<Self, Error> {
        Self::parse("")
    }

    /// Of a URL (`postgres://user@host:port/db?sslmode=verify-full`) or a
    /// conninfo string (`host=/run/postgresql dbname=shop`); what it does not
    /// say comes from the environment.
    ///
    /// # Errors
    /// Unknown names, malformed text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_with(text, |name| std::env::var(name).ok())
    }

    pub(crate) fn parse_with(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut c = ConnectConfig {
            hosts: Vec::new(),
            target_session_attrs: TargetSession::Any,
            user: String::new(),
            password: None,
            dbname: String::new(),
            sslmode: SslMode::Prefer,
            channel_binding: ChannelBinding::Prefer,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            connect_timeout: Duration::from_secs(30),
            application_name: "pgcdc".into(),
            options: None,
            passfile: environment("HOME").map(|home| PathBuf::from(home).join(".pgpass")),
        };
        let mut lists = Lists::default();
        for (variable, name) in ENVIRONMENT.iter().rev() {
            if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
                c.set(&mut lists, name, value)?;
            }
        }
        let url = ["postgres://", "postgresql://"].iter().find_map(|p| text.strip_prefix(p));
        let settings = match url {
            Some(rest) => of_url(rest)?,
            None => of_conninfo(text)?,
        };
        for (name, value) in settings {
            c.set(&mut lists, &name, value)?;
        }
        if c.sslrootcert.is_none() {
            c.sslrootcert = environment("HOME")
                .map(|home| PathBuf::from(home).join(".postgresql/root.crt"))
                .filter(|path| path.exists());
        }
        c.hosts = lists.hosts()?;
        if c.user.is_empty() {
            return Err(config("no user is given, and neither PGUSER nor USER is set"));
        }
        if c.dbname.is_empty() {
            c.dbname.clone_from(&c.user);
        }
        Ok(c)
    }

    fn set(&mut self, lists: &mut Lists, name: &str, value: String) -> Result<(), Error> {
        match name {
            "host" => lists.host = value,
            "hostaddr" => lists.hostaddr = value,
            "port" => lists.port = value,
            "target_session_attrs" => self.target_session_attrs = TargetSession::parse(&value)?,
            "channel_binding" => self.channel_binding = ChannelBinding::parse(&value)?,
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "passfile" => self.passfile = Some(value.into()),
            "dbname" => self.dbname = value,
            "sslmode" => self.sslmode = ssl_mode(&value)?,
            "sslrootcert" => self.sslrootcert = Some(value.into()),
            "sslcert" => self.sslcert = Some(value.into()),
            "sslkey" => self.sslkey = Some(value.into()),
            "connect_timeout" => {
                let seconds: u64 =
                    value.parse().map_err(|_| config(format!("connect_timeout \"{value}\"")))?;
                // libpq: 0 is for ever
                self.connect_timeout =
                    Duration::from_secs(if seconds == 0 { 365 * 86_400 } else { seconds });
            }
            "application_name" => self.application_name = value,
            "options" => self.options = Some(value),
            _ => return Err(config(format!("unknown connection setting \"{name}\""))),
        }
        Ok(())
    }

    /// The password, or what the password file has for a connection to the host.
    pub(super) fn find_password(&self, host: &Host) -> Option<String> {
        if self.password.is_some() {
            return self.password.clone();
        }
        let text = std::fs::read_to_string(self.passfile.as_ref()?).ok()?;
        let name = if host.socket().is_some() { "localhost" } else { host.verified_name() };
        let port = host.port.to_string();
        let wanted = [name, &port, &self.dbname, &self.user];
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = passfile_fields(line);
            let [entry @ .., password] = &fields[..] else { return None };
            let fits = entry.len() == 4
                && entry.iter().zip(wanted).all(|(field, value)| field == "*" || field == value);
            fits.then(|| password.clone())
        })
    }
}

/// Separated by colons; a backslash takes the next character as it is.
fn passfile_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().unwrap_or(&mut String::new()).extend(chars.next()),
            c => fields.last_mut().unwrap_or(&mut String::new()).push(c),
        }
    }
    fields
}

fn ssl_mode(value: &str) -> Result<SslMode, Error> {
    Ok(match value {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return Err(config(format!("sslmode \"{value}\""))),
    })
}

type Settings = Vec<(String, String)>;

fn percent(text: &str) -> Result<String, Error> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap_or(b'-'), bytes.next().unwrap_or(b'-')];
        let value = std::str::from_utf8(&digits)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|text| u8::from_str_radix(text, 16).ok())
            .ok_or_else(|| config("invalid percent encoding in the URL"))?;
        out.push(value);
    }
    String::from_utf8(out).map_err(|_| config("URL is not UTF-8"))
}

fn of_url(rest: &str) -> Result<Settings, Error> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for address in address.split(',') {
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or_else(|| config("URL: missing ]"))?;
                (host, port.strip_prefix(':').unwrap_or(port))
            }
            None => address.split_once(':').unwrap_or((address, "")),
        };
        hosts.push(host);
        ports.push(port);
    }
    let port =
        if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    let parts = [
        ("user", user),
        ("password", password),
        ("host", &hosts.join(",")),
        ("port", &port),
        ("dbname", dbname),
    ];
    let mut settings = Vec::new();
    for (name, value) in parts {
        if !value.is_empty() {
            settings.push((name.to_owned(), percent(value)?));
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| config("URL: missing ="))?;
        settings.push((percent(name)?, percent(value)?));
    }
    Ok(settings)
}

fn of_conninfo(text: &str) -> Result<Settings, Error> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, tail) = rest
            .split_once('=')
            .ok_or_else(|| config("conninfo: missing =, or neither URL nor conninfo"))?;
        let (value, tail) = conninfo_value(tail.trim_start())?;
        settings.push((name.trim_end().to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(settings)
}

fn conninfo_value(text: &str) -> Result<(String, &str), Error> {
    let quoted = text.starts_with('\'');
    let mut chars = text.char_indices();
    if quoted {
        chars.next();
    }
    let mut value = String::new();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, &text[i + 1..])),
            c if !quoted && c.is_ascii_whitespace() => return Ok((value, &text[i..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(config("conninfo: missing '"));
    }
    Ok((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<ConnectConfig, Error> {
        ConnectConfig::parse_with(text, |name| {
            environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn hosts(c: &ConnectConfig) -> String {
        let hosts: Vec<_> = c.hosts.iter().map(ToString::to_string).collect();
        hosts.join(" ")
    }

    #[test]
    fn urls() {
        let c = parse(
            "postgres://a%40b:p%3Aw@db.example:6000/shop?sslmode=verify-full&options=-c%20x%3D1",
            &[],
        )
        .unwrap();
        assert_eq!((c.user.as_str(), c.password.as_deref()), ("a@b", Some("p:w")));
        assert_eq!((hosts(&c), c.dbname.as_str()), ("db.example:6000".into(), "shop"));
        assert_eq!((c.sslmode, c.options.as_deref()), (SslMode::VerifyFull, Some("-c x=1")));
        let c = parse("postgresql://[::1]:7/?user=u&host=%2Ftmp", &[]).unwrap();
        assert_eq!(hosts(&c), "/tmp/.s.PGSQL.7");
        let url =
            "postgres://u@a:1,b,[::1]:3/d?target_session_attrs=read-write&channel_binding=require";
        let c = parse(url, &[("PGPORT", "9")]).unwrap();
        assert_eq!(hosts(&c), "a:1 b:5432 ::1:3");
        assert_eq!(c.target_session_attrs, TargetSession::ReadWrite);
        assert_eq!(c.channel_binding, ChannelBinding::Require);
        assert_eq!(hosts(&parse("postgres://u@a,b/d", &[("PGPORT", "9")]).unwrap()), "a:9 b:9");
    }

    #[test]
    fn conninfo_over_environment() {
        let environment = [("PGHOST", "/run"), ("PGUSER", "e"), ("USER", "os"), ("PGPORT", "1")];
        let c = parse(r"port=2 dbname = 'a b\'c' password=x\ y", &environment).unwrap();
        assert_eq!((hosts(&c), c.user.as_str()), ("/run/.s.PGSQL.2".into(), "e"));
        assert_eq!((c.dbname.as_str(), c.password.as_deref()), ("a b'c", Some("x y")));
        assert_eq!(parse("", &[("USER", "os")]).unwrap().dbname, "os");
        assert!(!format!("{c:?}").contains("x y"), "passwords are not shown");
    }

    #[test]
    fn refused() {
        for text in [
            "host",
            "user=a nonsense=1",
            "user=a port=x",
            "user='a",
            "postgres://a@b/%zz",
            "user=a sslmode=maybe",
            "user=a channel_binding=maybe",
            "user=a target_session_attrs=maybe",
            "user=a host=a,b port=1,2,3",
            "postgres://a@b/?x",
            "postgres://a@[b/",
        ] {
            assert!(matches!(parse(text, &[]), Err(Error::Config(_))), "{text}");
        }
        assert!(parse("host=a", &[]).is_err(), "no user");
    }

    #[test]
    fn password_files() {
        let path = std::env::temp_dir().join(format!("pgcdc-pass-{}", std::process::id()));
        std::fs::write(&path, "#x\nh:*:d:u:no\nlocalhost:5432:*:u:a\\:b\n").unwrap();
        let mut c = parse("host=/tmp user=u dbname=d", &[]).unwrap();
        c.passfile = Some(path.clone());
        assert_eq!(c.find_password(&c.hosts[0]).as_deref(), Some("a:b"));
        c.user = "v".into();
        assert_eq!(c.find_password(&c.hosts[0]), None);
        std::fs::remove_file(path).unwrap();
    }
}
