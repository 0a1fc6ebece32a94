//! libpq's words.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use pgcdc::{ConnectConfig, Connection, Error, Limits, Refusal, SslMode, StreamConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::ServerConfig;
use tracing::Level;

use crate::fake::{Act, Fake};
use crate::live::{available, next, Database};
use crate::log::Log;
use crate::look::tables;

fn wrong(text: &str) -> String {
    match ConnectConfig::parse(text) {
        Err(Error::Config(what)) => what,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn words_system_roots() {
    let config = ConnectConfig::parse("host=a user=u sslrootcert=system").unwrap();
    assert_eq!(config.sslmode, SslMode::VerifyFull);
    for weak in ["disable", "allow", "prefer", "require", "verify-ca"] {
        let error = wrong(&format!("host=a user=u sslrootcert=system sslmode={weak}"));
        assert!(error.contains("verify-full"), "{error}");
    }
    ConnectConfig::parse("host=a user=u sslrootcert=system sslmode=verify-full").unwrap();
}

#[test]
fn words_half_pair() {
    let error = wrong("host=a user=u sslcert=/nonexistent/mine.crt");
    assert!(error.contains("sslkey") && error.contains("mine.crt"), "{error}");
    ConnectConfig::parse("host=a user=u sslcert=/x.crt sslkey=/x.key").unwrap();
    ConnectConfig::parse("host=a user=u sslcert=/x.crt sslcertmode=disable").unwrap();
}

/// A server that asks for a password in clear text, to which nobody may give it.
async fn asks(method: u8) -> Fake {
    Fake::start(move |_| Act::Ask(vec![0, 0, 0, method])).await
}

async fn connect(conninfo: &str) -> Error {
    let config = ConnectConfig::parse(conninfo).unwrap();
    Connection::connect(&config, &Limits::DEFAULT).await.unwrap_err()
}

#[tokio::test]
async fn words_passfile() {
    let path = std::env::temp_dir().join(format!("pgcdc-passfile-{}", std::process::id()));
    std::fs::write(&path, "*:*:*:*:secret\n").unwrap();
    let fake = asks(5).await;
    let conninfo = format!("{} passfile={}", fake.conninfo(), path.display());
    let (log, _guard) = Log::start(Level::WARN);
    for (mode, used) in [(0o600, true), (0o640, false), (0o604, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let before = log.with("is not used").len();
        // the salt is missing, which is noticed where there is a password only
        let error = connect(&conninfo).await.to_string();
        assert_eq!(!error.contains("asks for a password"), used, "{mode:o}: {error}");
        assert_eq!(log.with("is not used").len() - before, usize::from(!used), "{mode:o}");
    }
    assert_eq!(fake.heard.load(Ordering::Relaxed), 0);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn words_require_auth() {
    for (method, ways) in [
        (0, "scram-sha-256"),
        (3, "scram-sha-256"),
        (5, "scram-sha-256"),
        (3, "!password"),
        (0, "!none"),
        (7, "md5,password"),
    ] {
        let fake = asks(method).await;
        let conninfo = format!("{} password=secret require_auth={ways}", fake.conninfo());
        let error = connect(&conninfo).await;
        assert!(matches!(error, Error::Config(_)), "{method} {ways}: {error}");
        assert!(error.to_string().contains("require_auth"), "{method} {ways}: {error}");
        assert_eq!(fake.heard.load(Ordering::Relaxed), 0, "{method} {ways}");
    }
}

#[tokio::test]
async fn words_requirepeer() {
    if !available() {
        return;
    }
    let user = std::fs::read_to_string("/etc/passwd").unwrap();
    let config = ConnectConfig::from_env().unwrap();
    if !config.hosts[0].name.starts_with('/') {
        return;
    }
    let config = |peer: &str| ConnectConfig::parse(&format!("requirepeer={peer}"));
    for (peer, wanted) in [("root", "runs as user"), ("no_such_user", "no user")] {
        let error =
            Connection::connect(&config(peer).unwrap(), &Limits::DEFAULT).await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let id = Command::new("id").arg("-un").output().unwrap().stdout;
    let me = String::from_utf8(id).unwrap();
    assert!(user.contains(me.trim()));
    // the tests' server runs as who runs the tests
    Connection::connect(&config(me.trim()).unwrap(), &Limits::DEFAULT).await.unwrap();
}

#[test]
fn words_gss() {
    let error = wrong("host=a user=u gssencmode=require");
    assert!(error.contains("gssencmode") && error.contains("GSSAPI"), "{error}");
    ConnectConfig::parse("host=a user=u gssencmode=prefer krbsrvname=x").unwrap();
}

/// A server with TLS 1.2 and no more; its port.
async fn old_server() -> Option<u16> {
    let dir = std::env::temp_dir();
    let file = |end: &str| dir.join(format!("pgcdc-old-{}.{end}", std::process::id()));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=old"])
        .args([
            "-keyout".as_ref(),
            file("key").as_os_str(),
            "-out".as_ref(),
            file("crt").as_os_str(),
        ])
        .output()
        .ok()?;
    made.status.success().then_some(())?;
    let chain = vec![CertificateDer::from_pem_file(file("crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            client.read_exact(&mut [0; 8]).await.unwrap();
            client.write_all(b"S").await.unwrap();
            if let Ok(mut client) = acceptor.accept(client).await {
                // an error, as soon as somebody is let in
                client.write_all(&crate::fake::error("28000", "you are in")).await.unwrap();
                let _ = client.read(&mut [0; 100]).await;
            }
        }
    });
    Some(port)
}

#[tokio::test]
async fn words_tls_versions() {
    let Some(port) = old_server().await else {
        eprintln!("skipped: needs openssl");
        return;
    };
    let conninfo = format!("host=127.0.0.1 port={port} user=u sslmode=require");
    assert!(connect(&conninfo).await.to_string().contains("you are in"));
    let error = connect(&format!("{conninfo} ssl_min_protocol_version=TLSv1.3")).await;
    assert!(!error.to_string().contains("you are in"), "{error}");
    assert!(wrong(&format!("{conninfo} ssl_max_protocol_version=SSLv3")).contains("ssl_max"));
}

#[tokio::test]
async fn plain_warning() {
    let (log, _guard) = Log::start(Level::WARN);
    let fake = Fake::start(|_| Act::Fail("57P01", "it ends")).await;
    let config = ConnectConfig::parse(&fake.conninfo()).unwrap();
    for streams in 1..3 {
        let mut config = StreamConfig::new(config.clone(), "s");
        config.max_backoff = std::time::Duration::from_millis(10);
        let mut stream = config.start().await.unwrap();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), stream.next_batch()).await;
        let _ = stream.close().await;
        assert_eq!(log.with("not secured by TLS").len(), streams);
    }
    assert!(fake.connections.load(Ordering::Relaxed) > 4);
    if !available() {
        return;
    }
    let db = tables("plain").await;
    if db.connect().hosts[0].name.starts_with('/') {
        db.config().start().await.unwrap().close().await.unwrap();
        assert_eq!(log.with("not secured by TLS").len(), 2);
    }
    db.drop().await;
}

#[tokio::test]
async fn conforming_strings() {
    if !available() {
        return;
    }
    let mut db = Database::new("conforming").await;
    let name = db.name.clone();
    db.run(&format!("ALTER DATABASE {name} SET standard_conforming_strings = off")).await;
    let mut config = db.config();
    config.slot = r"a\'b".into();
    let error = config.clone().start().await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::NoSlot(_))), "{error}");
    let mut sql = db.another().await;
    let rows = sql.query_with("SELECT $1::text, $2::int", &[Some(r"\' x"), None]).await.unwrap();
    assert_eq!(rows, [[Some(r"\' x".to_owned()), None]]);
    // nor do settings of later
    sql.query("SET standard_conforming_strings = off").await.unwrap();
    let store = pgcdc::PostgresStore::new(db.connect(), r"a\'b");
    store.create_table().await.unwrap();
    let checkpoint = pgcdc::Checkpoint { slot: r"a\'b".into(), ..pgcdc::Checkpoint::default() };
    sql.query(&pgcdc::PostgresStore::save_sql(&checkpoint)).await.unwrap();
    let found = pgcdc::CheckpointStore::load(&store).await.unwrap();
    assert_eq!(found, Some(checkpoint));
    // options of the plugin go by another grammar
    config.slot = name;
    config.options.insert("tables".into(), r"public.a\b".into());
    db.run("CREATE TABLE orders (id int)").await;
    let mut stream = config.start().await.unwrap();
    db.run("SELECT pg_logical_emit_message(true, 'p', 'x')").await;
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), next(&mut stream)).await;
    stream.close().await.unwrap();
    sql.close().await;
    db.drop().await;
}
