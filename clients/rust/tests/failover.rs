//! The primary is killed and its standby promoted, again and again, while a table changes
//! and one consumer, which knows both hosts, keeps a copy of it on a third server; every
//! second time it is killed, too. Slots outlive a failover from PostgreSQL 17 on.
//! CDC_FAILOVERS says how often.

#[path = "common/cluster.rs"]
mod cluster;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cluster::{run, Cluster};
use pgcdc::{ConnectConfig, Connection, Limits, Transport};

/// Of the source and of the copy: a table, and how many changes of it have taken effect.
const TABLE: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, v text); \
    CREATE TABLE changed (n bigserial); \
    CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN INSERT INTO changed DEFAULT VALUES; RETURN NULL; END'; \
    CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON accounts \
    FOR EACH ROW EXECUTE FUNCTION count_change()";
const STATE: &str = "SELECT (SELECT count(*) FROM changed), count(*), \
    coalesce(md5(string_agg(a::text, ',' ORDER BY id)), '') FROM accounts a";
/// A transaction of many rows now and then.
const CHANGE: &str = "INSERT INTO accounts SELECT nextval('ids'), repeat(md5(random()::text), 1 + (random() * 20)::int) \
    FROM generate_series(1, (random() ^ 8 * 800)::int + 1); \
    UPDATE accounts SET v = v || 'u' WHERE id > currval('ids') - 5; \
    DELETE FROM accounts WHERE id < currval('ids') - 400";
const SETTINGS: &str =
    "listen_addresses = ''\nwal_level = logical\nlogical_decoding_work_mem = '64kB'\n";

fn settings(cluster: &Cluster) -> String {
    let known = cluster.knows("output_plugin_libraries");
    let plugins = if known { "output_plugin_libraries = 'pgoutput, cdc'\n" } else { "" };
    format!("{SETTINGS}{plugins}")
}

fn server(name: &str) -> Cluster {
    let cluster = Cluster::new(name).unwrap();
    cluster.initdb(&["-U", "postgres", "-A", "trust"]);
    cluster.start(&settings(&cluster));
    cluster
}

/// Of one server, or of the one among several that takes writes.
fn conninfo(servers: &[&Cluster]) -> String {
    let dirs: Vec<_> = servers.iter().map(|c| c.dir.display().to_string()).collect();
    let ports: Vec<_> = servers.iter().map(|c| c.port.to_string()).collect();
    format!("host={} port={} user=postgres dbname=postgres", dirs.join(","), ports.join(","))
}

async fn connect(server: &Cluster) -> Connection {
    let config = ConnectConfig::parse(&conninfo(&[server])).unwrap();
    Connection::connect(&config, &Limits::DEFAULT).await.unwrap()
}

async fn row(sql: &mut Connection, text: &str) -> Vec<String> {
    let rows = sql.query(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    rows.into_iter().next().into_iter().flatten().map(Option::unwrap_or_default).collect()
}

/// A primary, the standby that joins it, and what comes after them.
struct Drill {
    /// The last one is the standby, once it has joined, and the one before it the primary.
    nodes: Vec<Cluster>,
    target: Cluster,
    transport: Transport,
    /// How often a consumer ended by itself.
    ends: usize,
}

impl Drill {
    async fn new(transport: Transport) -> Self {
        let (primary, target) = (server("primary"), server("target"));
        row(&mut connect(&target).await, TABLE).await;
        let mut sql = connect(&primary).await;
        for text in [
            "CREATE EXTENSION cdc; CREATE SEQUENCE ids",
            TABLE,
            // that a call ends with its client is for the server to see to
            "ALTER ROLE postgres SET client_connection_check_interval = '100ms'",
            "SELECT cdc.create_slot('drill', failover => true, options => '{tables,public.accounts}')",
        ] {
            row(&mut sql, text).await;
        }
        Drill { nodes: vec![primary], target, transport, ends: 0 }
    }

    fn primary(&self) -> &Cluster {
        &self.nodes[self.nodes.len() - 2]
    }

    fn standby(&self) -> &Cluster {
        &self.nodes[self.nodes.len() - 1]
    }

    /// Makes a standby of the last node, as docs/operations.md says: slots for failover
    /// are synchronized to it, and nothing is sent that it does not have.
    async fn join(&mut self) {
        let (primary, standby) = (self.standby(), Cluster::new("standby").unwrap());
        let slot = format!("standby_{}", self.nodes.len());
        let mut sql = connect(primary).await;
        row(&mut sql, &format!("SELECT pg_create_physical_replication_slot('{slot}')")).await;
        run(standby
            .program("pg_basebackup")
            .args(["-c", "fast", "--no-sync", "-d", &conninfo(&[primary]), "-D"])
            .arg(standby.data()));
        std::fs::write(standby.data().join("standby.signal"), "").unwrap();
        standby.start(&format!(
            "{}hot_standby_feedback = on\nsync_replication_slots = on\n\
             primary_slot_name = '{slot}'\nprimary_conninfo = '{}'",
            settings(primary),
            conninfo(&[primary])
        ));
        row(&mut sql, &format!("ALTER SYSTEM SET synchronized_standby_slots = '{slot}'")).await;
        row(&mut sql, "SELECT pg_reload_conf()").await;
        self.nodes.push(standby);
    }

    /// Waits until the slot would outlive the primary: what the primary keeps for it must
    /// get beyond where the standby began. Both would take their time by themselves.
    async fn ready(&self) {
        let (mut primary, mut sql) = (connect(self.primary()).await, connect(self.standby()).await);
        let synced =
            "SELECT count(*) FROM cdc.slots WHERE slot_name = 'drill' AND synced AND NOT temporary";
        let until = Instant::now() + Duration::from_secs(60);
        while row(&mut sql, synced).await != ["1"] {
            assert!(Instant::now() < until, "the slot is not synchronized");
            row(&mut primary, "SELECT pg_log_standby_snapshot()").await;
            row(&mut sql, "SELECT pg_reload_conf()").await; // wakes who synchronizes
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the primary for good, and promotes the standby.
    fn fail(&self) {
        self.primary().pg_ctl(&["-m", "immediate", "-w", "stop"]);
        self.standby().pg_ctl(&["-w", "promote"]);
    }

    fn consume(&self) -> Consumer {
        let source = conninfo(&[self.primary(), self.standby()]);
        let mut command = Command::new(
            PathBuf::from(env!("CARGO_BIN_EXE_cdc-tail")).with_file_name("examples/copy"),
        );
        command
            .arg(format!("{source} target_session_attrs=read-write"))
            .arg(conninfo(&[&self.target]))
            .args(["drill", "public.accounts"])
            .args((self.transport == Transport::Fetch).then_some("fetch"));
        Consumer::start(command)
    }

    /// Waits until the copy is the promoted server's table, and as many changes took
    /// effect as that server has made; how many these are.
    async fn compare(&self) -> String {
        let mut sql = connect(self.standby()).await;
        for _ in 0..5 {
            row(&mut sql, CHANGE).await;
        }
        let wanted = row(&mut sql, STATE).await;
        let mut copied = connect(&self.target).await;
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let got = row(&mut copied, STATE).await;
            if got[1..] == wanted[1..] {
                assert_eq!(got[0], wanted[0], "effects, and changes");
                return got[0].clone();
            }
            assert!(Instant::now() < until, "{got:?} is not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A process that is started again when it ends by itself: its server went away while it
/// opened its stream.
struct Consumer {
    killed: Arc<AtomicBool>,
    keeper: Option<JoinHandle<usize>>,
}

impl Consumer {
    fn start(mut command: Command) -> Self {
        let killed = Arc::new(AtomicBool::new(false));
        let flag = killed.clone();
        let mut child = command.spawn().unwrap();
        let keeper = std::thread::spawn(move || {
            let mut ends = 0;
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                if child.try_wait().unwrap().is_some() {
                    ends += 1;
                    child = command.spawn().unwrap();
                }
            }
            let _ = child.kill();
            child.wait().unwrap();
            ends
        });
        Consumer { killed, keeper: Some(keeper) }
    }

    /// How often it had ended by itself.
    fn kill(mut self) -> usize {
        self.killed.store(true, Ordering::Relaxed);
        self.keeper.take().map_or(0, |keeper| keeper.join().unwrap())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.killed.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Changes the table until the server goes away.
async fn write(mut sql: Connection) {
    while sql.query(CHANGE).await.is_ok() {}
}

fn some_time() -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Duration::from_micros(u64::from(now.subsec_nanos()) % 500_000)
}

async fn failovers(transport: Transport, rounds: usize) {
    let began = Instant::now();
    let mut drill = Drill::new(transport).await;
    let mut changes = String::new();
    for round in 0..rounds {
        drill.join().await;
        let mut consumer = drill.consume();
        drill.ready().await;
        let writer = tokio::spawn(write(connect(drill.primary()).await));
        tokio::time::sleep(some_time()).await;
        if round % 2 == 1 {
            drill.ends += consumer.kill();
            consumer = drill.consume();
        }
        tokio::time::sleep(some_time()).await;
        drill.fail();
        writer.await.unwrap();
        changes = drill.compare().await;
        drill.ends += consumer.kill();
    }
    println!(
        "{changes} changes by {transport:?}, {rounds} failovers, each once; {} ends, {:.0?}",
        drill.ends,
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_the_server_that_is_left_once() {
    let rounds = std::env::var("CDC_FAILOVERS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let Some(cluster) = Cluster::new("probe") else {
        eprintln!("skipped: needs initdb, and not to be root");
        return;
    };
    if !cluster.knows("synchronized_standby_slots") {
        eprintln!("skipped: slots outlive a failover from PostgreSQL 17 on");
        return;
    }
    for transport in [Transport::Replication, Transport::Fetch] {
        failovers(transport, rounds).await;
    }
}
