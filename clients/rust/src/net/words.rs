//! What libpq 18 takes: each word is honoured, does no harm, or is refused by name. None
//! is ignored in silence.

use crate::base::error::Error;

/// What becomes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Means what it means to libpq.
    Honoured,
    /// Changes nothing that the client does, whatever its value; why.
    Harmless(&'static str),
    /// As that, with these values; with others it is refused.
    Only(&'static [&'static str], &'static str),
    /// Refused; why.
    Refused(&'static str),
}

use Treatment::{Harmless, Honoured, Only, Refused};

/// The word and its environment variable, one of which may be empty, and what becomes of
/// it. docs/clients.md has the same table; a test compares them.
type Word = (&'static str, &'static str, Treatment);

const GSS: &str = "GSSAPI is not spoken";
const OAUTH: &str = "OAuth is not spoken";

pub(super) const WORDS: [Word; 58] = [
    ("service", "PGSERVICE", Refused("service files are not read")),
    ("servicefile", "PGSERVICEFILE", Harmless("of no use without service")),
    ("user", "PGUSER", Honoured),
    ("password", "PGPASSWORD", Honoured),
    ("passfile", "PGPASSFILE", Honoured),
    ("channel_binding", "PGCHANNELBINDING", Honoured),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    ("dbname", "PGDATABASE", Honoured),
    ("host", "PGHOST", Honoured),
    ("hostaddr", "PGHOSTADDR", Honoured),
    ("port", "PGPORT", Honoured),
    ("client_encoding", "PGCLIENTENCODING", Harmless("texts are UTF-8 here in any case")),
    ("options", "PGOPTIONS", Honoured),
    ("application_name", "PGAPPNAME", Honoured),
    ("fallback_application_name", "", Honoured),
    ("keepalives", "", Honoured),
    ("keepalives_idle", "", Honoured),
    ("keepalives_interval", "", Honoured),
    ("keepalives_count", "", Honoured),
    ("tcp_user_timeout", "", Honoured),
    ("sslmode", "PGSSLMODE", Honoured),
    ("requiressl", "PGREQUIRESSL", Honoured),
    ("sslnegotiation", "PGSSLNEGOTIATION", Honoured),
    ("sslcompression", "PGSSLCOMPRESSION", Harmless("TLS is never compressed")),
    ("sslcert", "PGSSLCERT", Honoured),
    ("sslkey", "PGSSLKEY", Honoured),
    (
        "sslcertmode",
        "PGSSLCERTMODE",
        Only(&["disable", "allow"], "what the server asks for is not known"),
    ),
    ("sslpassword", "", Refused("keys with a password are not read")),
    ("sslrootcert", "PGSSLROOTCERT", Honoured),
    ("sslcrl", "PGSSLCRL", Honoured),
    ("sslcrldir", "PGSSLCRLDIR", Honoured),
    ("sslsni", "PGSSLSNI", Honoured),
    ("sslkeylogfile", "", Refused("keys are not written to files")),
    ("requirepeer", "PGREQUIREPEER", Honoured),
    ("require_auth", "PGREQUIREAUTH", Honoured),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Honoured),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Honoured),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", Only(&["3.0"], "the protocol is 3.0")),
    (
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        Only(&["3.0", "3.2", "latest"], "the protocol is 3.0"),
    ),
    ("gssencmode", "PGGSSENCMODE", Only(&["disable", "prefer"], GSS)),
    ("krbsrvname", "PGKRBSRVNAME", Harmless(GSS)),
    ("gsslib", "PGGSSLIB", Harmless(GSS)),
    ("gssdelegation", "PGGSSDELEGATION", Harmless(GSS)),
    ("replication", "", Refused("the client sets it where it is needed")),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Honoured),
    ("scram_client_key", "", Refused("give the password")),
    ("scram_server_key", "", Refused("give the password")),
    ("oauth_issuer", "", Refused(OAUTH)),
    ("oauth_client_id", "", Refused(OAUTH)),
    ("oauth_client_secret", "", Refused(OAUTH)),
    ("oauth_scope", "", Refused(OAUTH)),
    // what libpq sends at the start, as settings of the session
    ("timezone", "PGTZ", Harmless("times are UTC here in any case")),
    ("datestyle", "PGDATESTYLE", Harmless("dates are ISO here in any case")),
    ("geqo", "PGGEQO", Harmless("no query here joins tables enough for it")),
    // variables alone
    ("", "PGSYSCONFDIR", Harmless("of no use without service")),
    ("", "PGLOCALEDIR", Harmless("messages are not translated")),
    ("", "PGOAUTHDEBUG", Harmless(OAUTH)),
];

/// Can be set by a variable, and not in a connection string.
fn variable_alone(name: &str) -> bool {
    matches!(name, "" | "timezone" | "datestyle" | "geqo")
}

fn word(name: &str) -> Result<&'static Word, Error> {
    WORDS
        .iter()
        .find(|(word, ..)| *word == name && !variable_alone(name))
        .ok_or_else(|| Error::Config(format!("unknown connection setting \"{name}\"")))
}

/// Checks what a connection string has; whether it is to be looked at further.
pub(super) fn check(name: &str, value: &str) -> Result<bool, Error> {
    let word = word(name)?;
    // an empty value stands for the default, whatever the environment says
    Ok(value.is_empty() || treat(word, name, value)?)
}

/// Checks what the word's variable has; whether it is to be looked at further.
pub(super) fn check_variable(word: &Word, value: &str) -> Result<bool, Error> {
    treat(word, word.1, value)
}

/// The value is not shown where it may be a secret.
fn treat(word: &Word, said: &str, value: &str) -> Result<bool, Error> {
    let (name, _, treatment) = word;
    match treatment {
        Honoured => Ok(true),
        Harmless(_) => Ok(false),
        Only(values, _) if values.contains(&value) => Ok(*name == "sslcertmode"),
        Only(values, why) => {
            let values = values.join(", ");
            Err(Error::Config(format!("{said} \"{value}\" is not supported, only {values}: {why}")))
        }
        Refused(why) => Err(Error::Config(format!("{said} is not supported: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::config::ConnectConfig;

    /// Values that are right, of words that do not take any.
    fn value(name: &str) -> &'static str {
        match name {
            "port" | "connect_timeout" | "keepalives_idle" | "keepalives_interval" => "1",
            "keepalives_count" | "tcp_user_timeout" | "keepalives" | "sslsni" | "requiressl" => "1",
            "channel_binding" => "prefer",
            "sslmode" | "sslnegotiation" => {
                if name == "sslmode" {
                    "require"
                } else {
                    "postgres"
                }
            }
            "sslcertmode" => "allow",
            "require_auth" => "scram-sha-256",
            "ssl_min_protocol_version" | "ssl_max_protocol_version" => "TLSv1.3",
            "min_protocol_version" | "max_protocol_version" => "3.0",
            "gssencmode" => "prefer",
            "target_session_attrs" => "any",
            "load_balance_hosts" => "random",
            _ => "x",
        }
    }

    #[test]
    fn words_all() {
        for (name, variable, treatment) in WORDS {
            let value = value(name);
            // a certificate needs a key
            let base = if name == "sslcert" { "user=u sslkey=k" } else { "user=u" };
            let given = |variable: &str, value: &str| {
                ConnectConfig::parse_with(base, |name| {
                    (!variable.is_empty() && name == variable).then(|| value.to_owned())
                })
            };
            let by_name = ConnectConfig::parse_with(&format!("{base} {name}={value}"), |_| None);
            let by_variable = given(variable, value);
            let refused = matches!(treatment, Refused(_)) || variable_alone(name);
            assert_eq!(by_name.is_err(), refused, "{name}");
            if !variable.is_empty() {
                assert_eq!(by_variable.is_err(), matches!(treatment, Refused(_)), "{variable}");
            }
            for (result, said) in [(by_name, name), (by_variable, variable)] {
                if let Err(error) = result {
                    assert!(error.to_string().contains(said), "{said}: {error}");
                }
            }
            if matches!(treatment, Only(..)) {
                let error = given(variable, "require").unwrap_err().to_string();
                assert!(error.contains(variable), "{error}");
            }
            let plain = ConnectConfig::parse_with(base, |_| None).unwrap();
            // nothing that is honoured is lost on the way
            let lost = [
                "user",
                "channel_binding",
                "target_session_attrs",
                "keepalives",
                "sslsni",
                "sslcertmode",
                "sslnegotiation",
                "host",
            ];
            if treatment == Honoured && !lost.contains(&name) {
                let given = given(variable, value).unwrap_or(plain.clone());
                let named = ConnectConfig::parse_with(&format!("{base} {name}={value}"), |_| None);
                assert!(named.unwrap() != plain, "{name}");
                assert!(variable.is_empty() || given != plain, "{variable}");
            }
        }
        for unknown in ["nonsense=1", "nonsense=", "=1", "timezone="] {
            let text = format!("user=u {unknown}");
            assert!(ConnectConfig::parse_with(&text, |_| None).is_err(), "{unknown}");
        }
        assert!(ConnectConfig::parse_with("postgres://u@h/d?=1", |_| None).is_err());
    }

    /// docs/clients.md says the same.
    #[test]
    fn words_as_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clients.md");
        // a package has only what is below it
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let quoted = |name: &str| if name.is_empty() { name.into() } else { format!("`{name}`") };
        let rows: Vec<Vec<_>> = text
            .lines()
            .skip_while(|line| !line.starts_with("| keyword"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        let ours = rows.iter().filter(|row| !row[4].is_empty()).count();
        assert_eq!(ours, WORDS.len());
        for (name, variable, treatment) in WORDS {
            let becomes = match treatment {
                Honoured | Only(..) => "honoured",
                Harmless(_) => "accepted",
                Refused(_) => "refused",
            };
            let (name, variable) = (quoted(name), quoted(variable));
            let row = rows.iter().find(|row| row[1] == name && row[2] == variable);
            assert_eq!(row.map(|row| row[4]), Some(becomes), "{name} {variable}");
        }
    }
}
