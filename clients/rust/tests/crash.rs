//! Whatever is killed when, the copy equals the source, and each change took
//! effect exactly once, by either transport. ROUNDS says how often something is
//! killed; with CRASH_SERVER=pg_ctl the server is, too.

mod common;
#[path = "common/live.rs"]
mod live;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Random;
use live::{available, Database};
use pgcdc::{ConnectConfig, Connection, Limits, Transport};

/// Counts what happens to rows, in the transaction in which it happens.
const TABLE: &str = "CREATE TABLE accounts (id int PRIMARY KEY, v int, note text); \
    CREATE TABLE audit (op text, id int); \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    INSERT INTO audit VALUES (TG_OP, coalesce(NEW.id, OLD.id)); RETURN NULL; END $$; \
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION note()";
const STATE: &str = "SELECT coalesce(md5(string_agg(a::text, ',' ORDER BY id)), ''), \
    (SELECT count(*) || coalesce(md5(string_agg(op || id, ',' ORDER BY op, id)), '') FROM audit) FROM accounts a";

struct Consumer {
    child: Child,
    log: PathBuf,
    killed: bool,
}

fn start(source: &Database, target: &Database, transport: Transport) -> Consumer {
    let copy = PathBuf::from(env!("CARGO_BIN_EXE_cdc-tail")).with_file_name("examples/copy");
    let log = source.dir.join("copy.log");
    let (user, fetch) = match transport {
        Transport::Replication => (source.connect().user, None),
        Transport::Fetch => (source.role(), Some("fetch")),
    };
    let child = Command::new(copy)
        .arg(format!("dbname={} user={user}", source.name))
        .arg(format!("dbname={}", target.name))
        .args([&source.name, "public.accounts"])
        .args(fetch)
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    Consumer { child, log, killed: false }
}

impl Consumer {
    /// One that ended by itself must have had a reason.
    fn kill(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            if self.killed {
                return;
            }
            let log = std::fs::read_to_string(&self.log).unwrap();
            // the former walsender has not noticed yet, the server is away,
            // the transaction of the target was killed with it
            let reasons = [
                "is active",
                "in use",
                "closed the connection",
                "onnection refused",
                "No such file",
                "57P03",
                "57P01",
                "57P02",
                "reset by peer",
                "roken pipe",
                "UnexpectedEof",
                "55006",
            ];
            assert!(reasons.iter().any(|reason| log.contains(reason)), "{status}: {log}");
            return;
        }
        self.killed = true;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn try_connect(config: &ConnectConfig) -> Connection {
    loop {
        match Connection::connect(config, &Limits::DEFAULT).await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn write(config: ConnectConfig, stop: Arc<AtomicBool>) {
    let mut sql = try_connect(&config).await;
    let mut random = Random(77);
    while !stop.load(Ordering::Relaxed) {
        let id = random.below(1000);
        let text = match random.below(4) {
            0 => format!("DELETE FROM accounts WHERE id = {id}"),
            1 => format!("UPDATE accounts SET v = v + 1 WHERE id BETWEEN {id} AND {id} + 20"),
            2 => format!(
                "BEGIN; UPDATE accounts SET note = repeat('n', {id}) WHERE id = {id}; \
                          DELETE FROM accounts WHERE id = {id} + 1; COMMIT"
            ),
            _ => format!(
                "INSERT INTO accounts SELECT i, 0, md5(i::text) \
                          FROM generate_series({id}, {id} + 30) i ON CONFLICT DO NOTHING"
            ),
        };
        match sql.query(&text).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(_) => sql = try_connect(&config).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_once_whatever_is_killed() {
    for transport in [Transport::Replication, Transport::Fetch] {
        if available() {
            each_change_once(transport).await;
        }
    }
}

async fn each_change_once(transport: Transport) {
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(8);
    let pg_ctl = std::env::var("CRASH_SERVER").ok();
    let mut source = Database::without_slot("source").await;
    let mut target = Database::without_slot("target").await;
    source.run(TABLE).await;
    target.run(TABLE).await;
    let data = source.one("SHOW data_directory").await;
    let stop = Arc::new(AtomicBool::new(false));
    // the consumer makes the slot, before there is anything to lose
    if transport == Transport::Fetch {
        source.bind_slot(&["accounts"]).await;
        // that a call ends with its client is for the server to see to
        let role = source.role();
        source
            .run(&format!("ALTER ROLE {role} SET client_connection_check_interval = '100ms'"))
            .await;
    }
    let mut consumer = start(&source, &target, transport);
    let slot =
        format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{}'", source.name);
    while source.one(&slot).await == "0" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let writer = tokio::spawn(write(source.connect(), stop.clone()));
    let mut random = Random(rounds as u64 * 31 + 1);
    let mut kills = [0; 3];
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(50 + random.below(500) as u64)).await;
        let what = random.below(if pg_ctl.is_some() { 3 } else { 2 });
        kills[what] += 1;
        match (what, &pg_ctl) {
            (1, _) => source.kill_walsender().await,
            (2, Some(pg_ctl)) => {
                let status = Command::new(pg_ctl)
                    .args(["-D", &data, "-m", "immediate", "-w", "-l", "/dev/null", "restart"])
                    .stdout(Stdio::null())
                    .status()
                    .unwrap();
                assert!(status.success());
                source.sql = try_connect(&source.connect()).await;
                target.sql = try_connect(&target.connect()).await;
            }
            _ => consumer.kill(),
        }
        if consumer.child.try_wait().unwrap().is_some() {
            consumer.kill();
            consumer = start(&source, &target, transport);
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let wanted = source.run(STATE).await;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if target.run(STATE).await == wanted {
            break;
        }
        assert!(Instant::now() < until, "{:?} is not {wanted:?}", target.run(STATE).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
        if consumer.child.try_wait().unwrap().is_some() {
            consumer.kill();
            consumer = start(&source, &target, transport);
        }
    }
    let effects = target.one("SELECT count(*) FROM audit").await;
    println!(
        "{effects} changes by {transport:?}, each once; killed: {} consumers, {} walsenders, {} servers",
        kills[0], kills[1], kills[2]
    );
    assert!(effects.parse::<usize>().unwrap() > 100);
    drop(consumer);
    source.drop().await;
    target.drop().await;
}
