//! Where to connect and as whom: URLs, conninfo strings, `PG*` environment.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::binding::ChannelBinding;
use super::demands::{tls_version, Allowed};
use super::hosts::{Host, Lists, TargetSession};
use super::words::{check, check_variable, WORDS};
use crate::base::error::Error;

/// How far the server must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
/// libpq's defaults. Names and meaning are those of libpq 18. (`sslmode=allow` is as
/// `prefer`; a timeout of 0 is for ever; what libpq has by default in `~/.postgresql` is
/// found there.) What is not supported, as `gssencmode=require`, `service`, `sslpassword` or
/// OAuth, is refused by name, and so is what libpq does not know.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    /// File with passwords; by default `~/.pgpass`. Not used if others can read it.
    pub passfile: Option<PathBuf>,
    pub(super) demands: Demands,
    pub(super) tcp: Tcp,
    pub(super) tls: Tls,
    /// Whether hosts are tried in an order of chance.
    pub(super) shuffled: bool,
    pub(super) warned: Warned,
}

/// What the server must do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demands {
    /// How it may ask to authenticate.
    pub(super) auth: Allowed,
    /// Who must run it, at a Unix socket.
    pub(super) peer: Option<String>,
}

/// Of the socket; seconds, as in libpq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) keepalives: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
    pub(super) user_timeout: Option<Duration>,
}

/// More about TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    /// Without the server being asked first.
    pub(super) direct: bool,
    /// Whether the server is told the name that is wanted.
    pub(super) sni: bool,
    /// Whether our certificate may be shown.
    pub(super) show: bool,
    pub(super) crl: Option<PathBuf>,
    pub(super) crl_dir: Option<PathBuf>,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

/// Whether a warning was given, of a configuration and its copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warned(Arc<AtomicBool>);

impl Warned {
    /// True the first time.
    pub(super) fn first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

impl PartialEq for Warned {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Warned {}

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
        let given = |name: &str| environment(name).filter(|value| !value.is_empty());
        let home = |path: &str| given("HOME").map(|home| Path::new(&home).join(path));
        let there = |path: &str| home(path).filter(|path| path.exists());
        let mut settings = BTreeMap::new();
        for word in WORDS.iter().filter(|(_, variable, _)| !variable.is_empty()) {
            if let Some(value) = given(word.1) {
                if check_variable(word, &value)? {
                    settings.insert(word.0.to_owned(), value);
                }
            }
        }
        let url = ["postgres://", "postgresql://"].iter().find_map(|p| text.strip_prefix(p));
        for (name, value) in match url {
            Some(rest) => of_url(rest)?,
            None => of_conninfo(text)?,
        } {
            if check(&name, &value)? {
                settings.insert(name, value);
            }
        }
        settings.retain(|_, value| !value.is_empty());
        let said = settings.contains_key("sslmode");
        let mut c = Self::defaults();
        c.passfile = home(".pgpass");
        c.user = given("USER").unwrap_or_default();
        let mut lists = Lists::default();
        // what stands for another setting comes before it
        if let Some(value) = settings.remove("requiressl").filter(|_| !said) {
            c.sslmode = if value.starts_with('1') { SslMode::Require } else { SslMode::Prefer };
        }
        for (name, value) in settings {
            c.set(&mut lists, &name, value)?;
        }
        c.system_roots(said)?;
        c.sslrootcert = c.sslrootcert.take().or_else(|| there(".postgresql/root.crt"));
        c.sslcert = c.sslcert.take().or_else(|| there(".postgresql/postgresql.crt"));
        c.sslkey = c.sslkey.take().or_else(|| there(".postgresql/postgresql.key"));
        if c.tls.crl_dir.is_none() {
            c.tls.crl = c.tls.crl.take().or_else(|| there(".postgresql/root.crl"));
        }
        c.pair()?;
        if c.tls.direct && matches!(c.sslmode, SslMode::Disable | SslMode::Prefer) {
            return Err(config("sslnegotiation=direct needs sslmode=require or more"));
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

    fn defaults() -> Self {
        ConnectConfig {
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
            passfile: None,
            demands: Demands::default(),
            tcp: Tcp {
                keepalives: true,
                idle: None,
                interval: None,
                count: None,
                user_timeout: None,
            },
            tls: Tls {
                direct: false,
                sni: true,
                show: true,
                crl: None,
                crl_dir: None,
                min: None,
                max: None,
            },
            shuffled: false,
            warned: Warned::default(),
        }
    }

    /// Authorities that sign for anybody prove nothing unless the name is compared.
    fn system_roots(&mut self, said: bool) -> Result<(), Error> {
        if self.sslrootcert.as_deref() != Some(Path::new("system")) {
            return Ok(());
        }
        if said && self.sslmode != SslMode::VerifyFull {
            return Err(config("sslrootcert=system needs sslmode=verify-full"));
        }
        self.sslmode = SslMode::VerifyFull;
        Ok(())
    }

    /// A certificate needs its key.
    fn pair(&self) -> Result<(), Error> {
        match (&self.sslcert, &self.sslkey) {
            (Some(cert), None) if self.tls.show && self.sslmode != SslMode::Disable => {
                Err(config(format!(
                    "there is a client certificate, {}, and no key: sslkey is not given, and ~/.postgresql/postgresql.key is not there",
                    cert.display()
                )))
            }
            _ => Ok(()),
        }
    }

    fn set(&mut self, lists: &mut Lists, name: &str, value: String) -> Result<(), Error> {
        match name {
            "host" => lists.host = value,
            "hostaddr" => lists.hostaddr = value,
            "port" => lists.port = value,
            "target_session_attrs" => self.target_session_attrs = TargetSession::parse(&value)?,
            "load_balance_hosts" => self.shuffled = one_of(name, &value, ["disable", "random"])?,
            "channel_binding" => self.channel_binding = ChannelBinding::parse(&value)?,
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "passfile" => self.passfile = Some(value.into()),
            "dbname" => self.dbname = value,
            "require_auth" => self.demands.auth = Allowed::parse(&value)?,
            "requirepeer" => self.demands.peer = Some(value),
            "sslmode" => self.sslmode = ssl_mode(&value)?,
            "sslrootcert" => self.sslrootcert = Some(value.into()),
            "sslcert" => self.sslcert = Some(value.into()),
            "sslkey" => self.sslkey = Some(value.into()),
            "sslcrl" => self.tls.crl = Some(value.into()),
            "sslcrldir" => self.tls.crl_dir = Some(value.into()),
            "sslsni" => self.tls.sni = one_of(name, &value, ["0", "1"])?,
            "sslcertmode" => self.tls.show = one_of(name, &value, ["disable", "allow"])?,
            "sslnegotiation" => self.tls.direct = one_of(name, &value, ["postgres", "direct"])?,
            "ssl_min_protocol_version" => self.tls.min = Some(tls_version(name, &value)?),
            "ssl_max_protocol_version" => self.tls.max = Some(tls_version(name, &value)?),
            // libpq: 0 is for ever
            "connect_timeout" => {
                let timeout = number(name, &value)?.map(Duration::from_secs);
                self.connect_timeout = timeout.unwrap_or(FOR_EVER);
            }
            "keepalives" => self.tcp.keepalives = one_of(name, &value, ["0", "1"])?,
            "keepalives_idle" => self.tcp.idle = number(name, &value)?.map(Duration::from_secs),
            "keepalives_interval" => {
                self.tcp.interval = number(name, &value)?.map(Duration::from_secs);
            }
            "keepalives_count" => {
                let count = number(name, &value)?;
                self.tcp.count = count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            }
            "tcp_user_timeout" => {
                self.tcp.user_timeout = number(name, &value)?.map(Duration::from_millis);
            }
            "application_name" => self.application_name = value,
            // the other one comes before it in the alphabet, and is replaced
            "fallback_application_name" if self.application_name == "pgcdc" => {
                self.application_name = value;
            }
            "fallback_application_name" => (),
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
        let path = self.passfile.as_ref()?;
        let text = std::fs::read_to_string(path).ok()?;
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(),
                "the password file is not used: others can read it; its mode should be 0600");
            return None;
        }
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

const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// A number; `None` for 0 and less, which is the default.
fn number(name: &str, value: &str) -> Result<Option<u64>, Error> {
    let number: i64 =
        value.trim().parse().map_err(|_| config(format!("{name} \"{value}\" is no number")))?;
    Ok(u64::try_from(number).ok().filter(|number| *number > 0))
}

/// Whether it is the second one of two.
fn one_of(name: &str, value: &str, two: [&str; 2]) -> Result<bool, Error> {
    match two.iter().position(|known| *known == value) {
        Some(at) => Ok(at == 1),
        None => Err(config(format!("{name} \"{value}\" is neither {} nor {}", two[0], two[1]))),
    }
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
        // as JDBC has it
        settings.push(match (percent(name)?, percent(value)?) {
            (name, value) if name == "ssl" && value == "true" => {
                ("sslmode".into(), "require".into())
            }
            pair => pair,
        });
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

impl ConnectConfig {
    /// The same for one of the hosts.
    pub(super) fn only(&self, host: Host) -> Self {
        ConnectConfig { hosts: vec![host], ..self.clone() }
    }
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
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut c = parse("host=/tmp user=u dbname=d", &[]).unwrap();
        c.passfile = Some(path.clone());
        assert_eq!(c.find_password(&c.hosts[0]).as_deref(), Some("a:b"));
        c.user = "v".into();
        assert_eq!(c.find_password(&c.hosts[0]), None);
        std::fs::remove_file(path).unwrap();
    }
}
