//! TLS and passwords, against a server of the test's own, since it needs
//! certificates. Needs initdb (PG_CONFIG, or in the PATH) and openssl, and not
//! to be root.

#[path = "common/cluster.rs"]
mod cluster;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cluster::{has, run, Cluster};
use pgcdc::{ConnectConfig, Connection, Error, Limits};
use tokio::io::{copy_bidirectional, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::ServerConfig;

struct Server(Cluster);

fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        run(Command::new("openssl").current_dir(dir).args(args.split(' ')));
    };
    for ca in ["ca", "other"] {
        openssl(&format!("req -x509 -newkey rsa:2048 -nodes -keyout {ca}.key -out {ca}.crt -days 9 -subj /CN={ca}"));
    }
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    // not SHA-256, which what binds to the channel would be hashed by anyway
    openssl("x509 -req -sha384 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out server.crt");
}

impl Server {
    fn start() -> Option<Self> {
        let cluster = Cluster::new("tls").filter(|_| has("openssl"))?;
        certificates(&cluster.dir);
        std::fs::write(cluster.dir.join("pw"), "sécret\n").unwrap();
        let password = format!("--pwfile={}/pw", cluster.dir.display());
        cluster.initdb(&["-U", "scram", "-A", "scram-sha-256", &password]);
        let hba = "local all scram scram-sha-256\nhostssl all scram all scram-sha-256\n\
                   hostssl all md5 all md5\nhostssl all clear all password\nhostnossl all clear all password\n";
        std::fs::write(cluster.data().join("pg_hba.conf"), hba).unwrap();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nssl = on\n\
             ssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'",
            cluster.dir.display()
        );
        cluster.start(&settings);
        Some(Server(cluster))
    }

    async fn connect(&self, settings: &str) -> Result<(), Error> {
        let dir = self.0.dir.display();
        let text = format!(
            "hostaddr=127.0.0.1 port={} user=scram dbname=postgres password=sécret {}",
            self.0.port,
            settings.replace("DIR", &dir.to_string())
        );
        let config = ConnectConfig::parse(&text)?;
        let mut connection = Connection::connect(&config, &Limits::DEFAULT).await?;
        let rows =
            connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await?;
        assert_eq!(rows[0][0].as_deref() == Some("t"), !settings.contains("host=/"));
        connection.close().await;
        Ok(())
    }
}

/// Ends TLS with a certificate of its own, and passes everything on. The port.
async fn man_in_between(server: &Cluster) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(server.dir.join("other.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(server.dir.join("other.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = server.dir.join(format!(".s.PGSQL.{}", server.port));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // a request for TLS
            client.read_exact(&mut [0; 8]).await.unwrap();
            client.write_all(b"S").await.unwrap();
            let mut client = acceptor.accept(client).await.unwrap();
            let mut server = tokio::net::UnixStream::connect(&socket).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    });
    port
}

#[tokio::test]
async fn tls_and_passwords() {
    let Some(server) = Server::start() else {
        eprintln!("skipped: needs initdb and openssl, and not to be root");
        return;
    };
    let mut admin = ConnectConfig::parse(&format!(
        "host={} port={} user=scram dbname=postgres password=sécret",
        server.0.dir.display(),
        server.0.port
    ))
    .unwrap();
    let mut sql = Connection::connect(&admin, &Limits::DEFAULT).await.unwrap();
    sql.query(
        "CREATE ROLE clear LOGIN PASSWORD 'sécret'; SET password_encryption = md5; \
         CREATE ROLE md5 LOGIN PASSWORD 'sécret'",
    )
    .await
    .unwrap();
    for good in [
        "host=localhost sslmode=verify-full sslrootcert=DIR/ca.crt",
        "host=elsewhere sslmode=verify-ca sslrootcert=DIR/ca.crt",
        "host=elsewhere sslmode=require",
        "host=elsewhere sslmode=require sslrootcert=DIR/ca.crt",
        "host=localhost sslmode=prefer",
        "host=localhost sslmode=require channel_binding=require",
        "host=localhost sslmode=verify-full sslrootcert=DIR/ca.crt channel_binding=require",
        "host=localhost channel_binding=disable",
        "host=localhost user=md5",
        "host=localhost user=clear sslmode=require",
    ] {
        server.connect(good).await.unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for (bad, wanted) in [
        ("host=elsewhere sslmode=verify-full sslrootcert=DIR/ca.crt", "TLS"),
        ("host=127.0.0.1 sslmode=verify-full sslrootcert=DIR/ca.crt", "TLS"),
        ("host=localhost sslmode=verify-full sslrootcert=DIR/other.crt", "TLS"),
        ("host=localhost sslmode=verify-ca sslrootcert=DIR/other.crt", "TLS"),
        ("host=localhost sslmode=require sslrootcert=DIR/other.crt", "TLS"),
        ("host=localhost sslmode=verify-full sslrootcert=DIR/none.crt", "none.crt"),
        ("host=localhost sslmode=verify-full sslrootcert=DIR/ca.key", "ca.key"),
        ("host=localhost sslmode=verify-full", "sslrootcert"),
        ("host=localhost password=wrong", "28P01"),
        ("host=localhost user=clear sslmode=disable", "clear text"),
        ("host=localhost sslmode=disable", "28000"),
        ("host=localhost channel_binding=require password=wrong", "28P01"),
        ("host=localhost channel_binding=require user=md5", "channel binding"),
        ("host=localhost channel_binding=require user=clear sslmode=require", "channel binding"),
        ("host=localhost channel_binding=require user=clear sslmode=disable", "channel binding"),
    ] {
        let error = server.connect(bad).await.expect_err(bad);
        assert!(error.to_string().contains(wanted), "{bad}: {error}");
        assert!(!error.is_transient(), "{bad}: {error}");
    }
    let between = man_in_between(&server.0).await;
    for (binding, wanted) in [("prefer", None), ("require", Some("channel binding"))] {
        let text = format!(
            "host=localhost hostaddr=127.0.0.1 port={between} user=scram dbname=postgres \
             password=sécret sslmode=require channel_binding={binding}"
        );
        let config = ConnectConfig::parse(&text).unwrap();
        let result = Connection::connect(&config, &Limits::DEFAULT).await;
        let error = result.err().map(|error| error.to_string());
        match wanted {
            Some(wanted) => assert!(error.unwrap().contains(wanted), "{binding}"),
            None => assert_eq!(error, None, "{binding}"),
        }
    }
    admin.password = None;
    admin.passfile = None;
    let error = Connection::connect(&admin, &Limits::DEFAULT).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}
