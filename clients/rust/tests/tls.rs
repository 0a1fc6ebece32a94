//! TLS and passwords, against a server of the test's own, since it needs
//! certificates. Needs initdb (PG_CONFIG, or in the PATH) and openssl, and not
//! to be root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgcdc::{ConnectConfig, Connection, Error, Limits};

struct Server {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn bindir() -> Option<PathBuf> {
    let config = std::env::var("PG_CONFIG").unwrap_or("pg_config".into());
    let output = Command::new(config).arg("--bindir").output().ok()?;
    let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let root = run(Command::new("id").arg("-u")).stdout == b"0\n";
    (bin.join("initdb").exists()
        && !root
        && Command::new("openssl").arg("version").output().is_ok())
    .then_some(bin)
}

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
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out server.crt");
}

impl Server {
    fn start() -> Option<Self> {
        let bin = bindir()?;
        let dir = PathBuf::from(format!("/tmp/pgcdc-tls-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        certificates(&dir);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = dir.join("data");
        std::fs::write(dir.join("pw"), "sécret\n").unwrap();
        run(Command::new(bin.join("initdb"))
            .args([
                "-U",
                "scram",
                "-A",
                "scram-sha-256",
                "--no-locale",
                "-E",
                "UTF8",
                "--no-sync",
                "--pwfile",
            ])
            .arg(dir.join("pw"))
            .arg(&data));
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{0}'\nssl = on\n\
             ssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'\nfsync = off\n",
            dir.display()
        );
        std::fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
        let hba = "local all scram scram-sha-256\nhostssl all scram all scram-sha-256\n\
                   hostssl all md5 all md5\nhostssl all clear all password\nhostnossl all clear all password\n";
        std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
        let server = Server { dir, bin, port };
        server.pg_ctl(&["-w", "start"]);
        Some(server)
    }

    fn pg_ctl(&self, args: &[&str]) {
        run(Command::new(self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-l")
            .arg(self.dir.join("log"))
            .args(args)
            .stdout(std::process::Stdio::null()));
    }

    async fn connect(&self, settings: &str) -> Result<(), Error> {
        let dir = self.dir.display();
        let text = format!(
            "hostaddr=127.0.0.1 port={} user=scram dbname=postgres password=sécret {}",
            self.port,
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

impl Drop for Server {
    fn drop(&mut self) {
        self.pg_ctl(&["-m", "immediate", "stop"]);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn tls_and_passwords() {
    let Some(server) = Server::start() else {
        eprintln!("skipped: needs initdb and openssl, and not to be root");
        return;
    };
    let mut admin = ConnectConfig::parse(&format!(
        "host={} port={} user=scram dbname=postgres password=sécret",
        server.dir.display(),
        server.port
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
    ] {
        let error = server.connect(bad).await.expect_err(bad);
        assert!(error.to_string().contains(wanted), "{bad}: {error}");
        assert!(!error.is_transient(), "{bad}: {error}");
    }
    admin.password = None;
    admin.passfile = None;
    let error = Connection::connect(&admin, &Limits::DEFAULT).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}
