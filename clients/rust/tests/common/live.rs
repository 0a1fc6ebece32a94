//! A database of its own for each live test, on the server of libpq's
//! environment.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use pgcdc::{
    CheckpointStore, ConnectConfig, Connection, Delivery, Error, Limits, Op, Stream, StreamConfig,
    Transport,
};

/// A database with the extension and a slot of the same name. Dropped by
/// [`Database::drop`].
pub struct Database {
    pub name: String,
    pub sql: Connection,
    pub dir: PathBuf,
}

/// Whether there is a server; if not, says that the test is skipped.
pub fn available() -> bool {
    let available = std::env::var_os("PGHOST").is_some();
    if !available {
        eprintln!("skipped: PGHOST does not name a server");
    }
    available
}

fn config(database: &str) -> ConnectConfig {
    let mut config = ConnectConfig::from_env().unwrap();
    config.dbname = database.into();
    config
}

impl Database {
    /// By core's function: cdc.create_slot() would do as well.
    pub async fn new(test: &str) -> Self {
        let db = Self::without_slot(test).await;
        let mut db = db;
        let name = db.name.clone();
        db.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'cdc')")).await;
        db
    }

    pub async fn without_slot(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rust_{test}_{}_{n}", std::process::id());
        let mut admin = Connection::connect(&config("postgres"), &Limits::DEFAULT).await.unwrap();
        admin.query(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
        let mut sql = Connection::connect(&config(&name), &Limits::DEFAULT).await.unwrap();
        sql.query("CREATE EXTENSION cdc").await.unwrap();
        let dir = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        Database { name, sql, dir }
    }

    pub fn connect(&self) -> ConnectConfig {
        config(&self.name)
    }

    pub fn config(&self) -> StreamConfig {
        StreamConfig::new(self.connect(), &self.name)
    }

    /// A role of this database's own, without any attribute but LOGIN.
    pub fn role(&self) -> String {
        format!("{}_reader", self.name)
    }

    /// Makes the role, and a slot of the database's name that is bound to it.
    pub async fn bind_slot(&mut self, tables: &[&str]) {
        let (name, role) = (self.name.clone(), self.role());
        self.run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA cdc TO {role}; \
             GRANT EXECUTE ON FUNCTION cdc.fetch TO {role}"
        ))
        .await;
        self.run(&format!("SELECT cdc.create_slot('{name}', reader => '{role}')")).await;
        for table in tables {
            self.run(&format!("SELECT cdc.grant_read('{table}', '{role}')")).await;
        }
    }

    /// A stream as that role, by cdc.fetch().
    pub fn reader(&self) -> StreamConfig {
        let mut config = self.config().transport(Transport::Fetch);
        config.connect.user = self.role();
        config
    }

    /// Whether somebody reads from the slot.
    pub async fn is_active(&mut self) -> bool {
        let name = self.name.clone();
        let sql = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{name}'");
        self.one(&sql).await == "t"
    }

    pub fn checkpoint(&self) -> pgcdc::FileStore {
        pgcdc::FileStore::new(self.dir.join("checkpoint.json"))
    }

    /// One statement, or several in one transaction.
    pub async fn run(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.sql.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn one(&mut self, sql: &str) -> String {
        let rows = self.run(sql).await;
        rows[0][0].clone().unwrap_or_default()
    }

    pub async fn another(&self) -> Connection {
        Connection::connect(&self.connect(), &Limits::DEFAULT).await.unwrap()
    }

    /// Ends the walsender of the slot.
    pub async fn kill_walsender(&mut self) {
        let name = self.name.clone();
        self.run(&format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
             WHERE slot_name = '{name}' AND active_pid IS NOT NULL"
        ))
        .await;
    }

    pub async fn confirmed(&mut self) -> pgcdc::Lsn {
        let name = self.name.clone();
        let sql = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{name}'"
        );
        self.one(&sql).await.parse().unwrap()
    }

    pub async fn drop(mut self) {
        let name = self.name.clone();
        for _ in 0..100 {
            let sql = format!(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                 WHERE database = '{name}'"
            );
            match self.sql.query(&sql).await {
                Ok(_) => break,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
        self.sql.close().await;
        let mut admin = Connection::connect(&config("postgres"), &Limits::DEFAULT).await.unwrap();
        admin.query(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        admin.query(&format!("DROP ROLE IF EXISTS {name}_reader")).await.unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// The next delivery, within a time.
pub async fn next(stream: &mut Stream) -> Result<Delivery, Error> {
    tokio::time::timeout(std::time::Duration::from_secs(30), stream.next_batch())
        .await
        .expect("nothing came for 30 s")
        .expect("the stream ended")
}

/// The next delivery with more than what commands have done.
pub async fn next_rows(stream: &mut Stream) -> Result<Delivery, Error> {
    loop {
        let delivery = next(stream).await?;
        let mut events = delivery.batch()?.events();
        if delivery.batch()?.event_len() == 0 || events.any(|e| e.unwrap().op != Op::Schema) {
            return Ok(delivery);
        }
        stream.ack(&delivery);
    }
}

/// Of two deliveries the first one was acknowledged, and the stream closed: the second one
/// comes again, and only that. A stream that has begun behind them, with what came then.
pub async fn resumed(
    db: &mut Database,
    config: &StreamConfig,
    one: &Delivery,
    two: &Delivery,
) -> (Stream, Delivery) {
    let checkpoint = db.checkpoint().load().await.unwrap().unwrap();
    assert_eq!(checkpoint.end_lsn, one.batch().unwrap().end_lsn);
    assert_eq!(db.confirmed().await, checkpoint.end_lsn, "reported, and no more than that");
    let mut stream = config.clone().start().await.unwrap();
    let again = next(&mut stream).await.unwrap();
    assert_eq!(lines(&again), lines(two));
    stream.ack(&again);
    stream.close().await.unwrap();
    db.run("INSERT INTO orders VALUES (3, 'eve')").await;
    let mut stream = config.clone().start().await.unwrap();
    let later = next(&mut stream).await.unwrap();
    assert!(lines(&later)[0].contains("eve"));
    (stream, later)
}

/// JSON lines of a delivery.
pub fn lines(delivery: &Delivery) -> Vec<String> {
    let mut out = String::new();
    pgcdc::json::write_batch(&mut out, &delivery.batch().unwrap(), delivery.schemas()).unwrap();
    out.lines().map(str::to_owned).collect()
}

/// What the server makes of frames.
pub async fn server_lines(sql: &mut Connection, frames: &str) -> Vec<String> {
    let rows = sql.query(&format!("SELECT cdc.decode_json('\\x{frames}')")).await.unwrap();
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

/// A frame of a batch.
pub fn hex(out: &mut String, bytes: &[u8]) {
    use std::fmt::Write;
    let mut len = bytes.len();
    while len >= 0x80 {
        write!(out, "{:02x}", len as u8 | 0x80).unwrap();
        len >>= 7;
    }
    write!(out, "{len:02x}").unwrap();
    for byte in bytes {
        write!(out, "{byte:02x}").unwrap();
    }
}

/// What stands between a client and its server, and may forget the connections that
/// there are: they stay open, and nothing comes any more.
pub struct Between {
    pub config: ConnectConfig,
    pub forget: tokio::sync::watch::Sender<()>,
}

impl Between {
    pub fn new(db: &Database, mut config: ConnectConfig) -> Self {
        let host = config.hosts[0].clone();
        let socket = |directory: &str| format!("{directory}/.s.PGSQL.{}", host.port);
        let directory = db.dir.to_str().unwrap().to_owned();
        let listener = tokio::net::UnixListener::bind(socket(&directory)).unwrap();
        let server = socket(&host.name);
        config.hosts[0].name = directory;
        let (forget, forgotten) = tokio::sync::watch::channel(());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = tokio::net::UnixStream::connect(&server).await.unwrap();
                let mut forgotten = forgotten.clone();
                forgotten.mark_unchanged();
                kept.push(tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                        _ = forgotten.changed() => (),
                    }
                    std::future::pending::<()>().await;
                }));
            }
        });
        Between { config, forget }
    }
}
