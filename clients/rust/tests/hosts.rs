//! Lists of hosts, and what a failover leaves: servers of the tests' own.

#[path = "common/cluster.rs"]
mod cluster;

use cluster::{run, Cluster};
use pgcdc::{
    CheckpointStore, ConnectConfig, Connection, Error, FileStore, Limits, Refusal, StreamConfig,
    Transport,
};

const SETTINGS: &str = "listen_addresses = ''\nwal_level = logical";

/// Newer minor releases demand a list of plugins, and the others do not know it.
fn settings(cluster: &Cluster) -> String {
    let known = cluster.knows("output_plugin_libraries");
    let plugins = if known { "output_plugin_libraries = 'pgoutput, cdc'" } else { "" };
    format!("{SETTINGS}\n{plugins}")
}

fn primary(name: &str) -> Option<Cluster> {
    let primary = Cluster::new(name);
    let Some(primary) = primary else {
        eprintln!("skipped: needs initdb, and not to be root");
        return None;
    };
    primary.initdb(&["-U", "postgres", "-A", "trust"]);
    primary.start(&settings(&primary));
    Some(primary)
}

fn standby_of(primary: &Cluster) -> Cluster {
    let standby = Cluster::new("standby").unwrap();
    run(standby
        .program("pg_basebackup")
        .args(["-U", "postgres", "-R", "-c", "fast", "-p", &primary.port.to_string()])
        .arg("-h")
        .arg(&primary.dir)
        .arg("-D")
        .arg(standby.data()));
    let connection = std::fs::read_to_string(standby.data().join("postgresql.auto.conf")).unwrap();
    let line = connection.lines().find(|line| line.starts_with("primary_conninfo")).unwrap();
    standby.start(&format!("{}\n{line}", settings(primary)));
    standby
}

/// By which port a connection is made.
async fn reach(hosts: &[&Cluster], ports: &[u16], rest: &str) -> Result<u16, Error> {
    let directories: Vec<_> = hosts.iter().map(|c| c.dir.display().to_string()).collect();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let text = format!(
        "host={} port={} user=postgres dbname=postgres {rest}",
        directories.join(","),
        ports.join(",")
    );
    let config = ConnectConfig::parse(&text)?;
    let mut connection = Connection::connect_replication(&config, &Limits::DEFAULT).await?;
    let rows = connection.query("SHOW port").await?;
    connection.close().await;
    Ok(rows[0][0].as_deref().unwrap().parse().unwrap())
}

#[tokio::test]
async fn the_first_host_that_will_do() {
    let Some(primary) = primary("hosts") else { return };
    let standby = standby_of(&primary);
    let (p, s) = (primary.port, standby.port);
    // the first one is nobody's port
    let hosts = [&primary, &standby, &primary];
    let ports = [1, s, p];
    for (target, wanted) in [
        ("any", s),
        ("read-write", p),
        ("primary", p),
        ("standby", s),
        ("read-only", s),
        ("prefer-standby", s),
    ] {
        let port = reach(&hosts, &ports, &format!("target_session_attrs={target}")).await.unwrap();
        assert_eq!(port, wanted, "{target}");
    }
    let swapped = reach(&[&primary, &standby], &[p, s], "target_session_attrs=any").await.unwrap();
    assert_eq!(swapped, p);
    let error = reach(&[&standby], &[s], "target_session_attrs=primary").await.unwrap_err();
    assert!(error.is_transient(), "it may be promoted: {error}");
    assert!(error.to_string().contains("the server is a standby, not primary"), "{error}");
    // who is refused is not tried elsewhere
    let error = reach(&hosts, &ports, "user=nobody").await.unwrap_err();
    assert!(matches!(&error, Error::Server(e) if e.code == "28000"), "{error}");
    standby.pg_ctl(&["-m", "immediate", "-w", "stop"]);
    let port = reach(&hosts, &ports, "target_session_attrs=prefer-standby").await.unwrap();
    assert_eq!(port, p);
    let error = reach(&hosts, &ports, "target_session_attrs=standby").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!(".{s}: ")) && text.contains("not a standby"), "{text}");
    let mut sql = ConnectConfig::parse(&format!(
        "host={} port={p} user=postgres target_session_attrs=read-write",
        primary.dir.display()
    ))
    .unwrap();
    sql.options = Some("-c default_transaction_read_only=on".into());
    let error = Connection::connect(&sql, &Limits::DEFAULT).await.unwrap_err();
    assert!(error.to_string().contains("read-only by default"), "{error}");
}

async fn promoted(user: &str, transport: Transport) -> Result<(), Error> {
    let Some(server) = primary("promoted") else { return Ok(()) };
    let connect = |user: &str| {
        let (dir, port) = (server.dir.display(), server.port);
        ConnectConfig::parse(&format!("host={dir} port={port} user={user} dbname=postgres"))
    };
    let mut sql = Connection::connect(&connect("postgres")?, &Limits::DEFAULT).await?;
    for statement in [
        "CREATE EXTENSION cdc; CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE reader LOGIN; \
         GRANT USAGE ON SCHEMA cdc TO reader; GRANT EXECUTE ON FUNCTION cdc.fetch TO reader",
        "SELECT cdc.grant_read('t', 'reader')",
        &format!("SELECT cdc.create_slot('s', reader => '{user}')"),
    ] {
        sql.query(statement).await?;
    }
    let store = || FileStore::new(server.dir.join("checkpoint.json"));
    let config = StreamConfig::new(connect(user)?, "s").transport(transport).checkpoint(store());
    let mut stream = config.clone().start().await?;
    sql.query("INSERT INTO t VALUES (1)").await?;
    let first = stream.next_batch().await.unwrap()?;
    stream.ack(&first);
    sql.query("INSERT INTO t VALUES (2)").await?;
    stream.close().await.unwrap();
    sql.close().await;
    server.pg_ctl(&["-m", "fast", "-w", "stop"]);
    std::fs::write(server.data().join("standby.signal"), "")?;
    server.pg_ctl(&["-w", "start"]);
    server.pg_ctl(&["-w", "promote"]);
    let mut stream = match config.clone().start().await {
        Err(Error::Refused(Refusal::HiddenTimeline { server: 2, checkpoint: 1, file })) => {
            assert_eq!((user, file.as_str()), ("reader", "pg_wal/00000002.history"));
            // what the message says to do
            let mut checkpoint = store().load().await?.unwrap();
            checkpoint.timeline = 2;
            store().save(&checkpoint).await?;
            config.start().await?
        }
        result => {
            assert_ne!(user, "reader", "{result:?}");
            result?
        }
    };
    let second = stream.next_batch().await.unwrap()?;
    let change = second.changes().next().unwrap()?;
    assert_eq!(change.key.bytes(), [0x08, 4], "2, and nothing else");
    stream.ack(&second);
    stream.close().await.unwrap();
    assert_eq!(store().load().await?.unwrap().timeline, 2);
    Ok(())
}

#[tokio::test]
async fn a_timeline_that_ended_behind_the_checkpoint() {
    for (user, transport) in [
        ("postgres", Transport::Replication),
        ("postgres", Transport::Fetch),
        ("reader", Transport::Fetch),
    ] {
        promoted(user, transport).await.unwrap();
    }
}
