//! The tool `cdc-tail`, as it is run.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pgcdc::pb;
use prost::Message;

use crate::common::golden;
use crate::eventually;
use crate::live::available;
use crate::look::tables;

pub const TAIL: &str = env!("CARGO_BIN_EXE_cdc-tail");

fn tail(args: &[&str]) -> Output {
    Command::new(TAIL).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn temporary(name: &str, bytes: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("pgcdc-tail-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn delimited(batches: &[pb::Batch]) -> Vec<u8> {
    batches.iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

/// Messages in transactions of two events.
fn messages(transactions: u64) -> Vec<u8> {
    let event = |offset| pb::ChangeEvent {
        op: pb::Op::Message as i32,
        lsn_offset: offset,
        message: Some(pb::Message { prefix: "p".into(), ..pb::Message::default() }),
        ..pb::ChangeEvent::default()
    };
    let batches: Vec<_> = (1..=transactions)
        .map(|n| pb::Batch {
            transaction: Some(pb::Transaction {
                xid: 700,
                first_lsn: n * 256,
                commit_lsn: n * 256 + 64,
                commit_time: 1_700_000_000_000_000,
                ..pb::Transaction::default()
            }),
            outcome: pb::Outcome::Committed as i32,
            end_lsn: n * 256 + 128,
            event_count: 2,
            events: vec![event(0), event(8)],
            ..pb::Batch::default()
        })
        .collect();
    delimited(&batches)
}

#[test]
fn tail_usage() {
    for args in [
        &[][..],
        &["--file", "x", "--slot", "y"],
        &["--nonsense"],
        &["--file", "x", "-n", "x"],
        &["--file", "x", "-n", "0"],
        &["--file", "x", "word"],
        &["--file"],
        &["--slot", "s", "--option", "x"],
        &["--slot", "s", "--compression", "x"],
    ] {
        let output = tail(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(text(&output.stderr).contains("usage: cdc-tail"), "{args:?}");
    }
    let output = tail(&["--help"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert!(text(&output.stdout).starts_with("usage: cdc-tail"));
    let output = tail(&["--version"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert_eq!(text(&output.stdout), format!("cdc-tail {}\n", pgcdc::VERSION));
}

#[tokio::test]
async fn tail_errors() {
    let golden = golden();
    let path = golden.iter().find(|p| p.ends_with("identity.pb")).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let cut = temporary("cut", &bytes[..bytes.len() - 1]);
    let damaged = temporary("damaged", &[&bytes[..], b"\x03\x00\x00\x00"].concat());
    let mut cases = vec![
        (vec!["--file", "/nonexistent"], "/nonexistent", false),
        (vec!["--file", &cut], "cut", true),
        (vec!["--file", &damaged], "", true),
        (vec!["--slot", "s", "--conninfo", "host=/nonexistent user=u"], "/nonexistent", false),
    ];
    if available() {
        cases.push((vec!["--slot", "no_such_slot"], "no_such_slot", false));
        cases.push((vec!["--slot", "no_such_slot", "--fetch"], "no_such_slot", false));
        cases.push((vec!["--slot", "s", "--conninfo", "dbname=no_such_db"], "no_such_db", false));
    }
    for (args, wanted, printed) in cases {
        let output = tail(&args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(error.starts_with("cdc-tail: ") && error.contains(wanted), "{args:?}: {error}");
        assert_eq!(!output.stdout.is_empty(), printed, "{args:?}: what came before is printed");
    }
}

#[test]
fn tail_count() {
    let file = temporary("count", &messages(3));
    let output = tail(&["--json", "--file", &file, "-n", "3"]);
    assert_eq!(output.status.code(), Some(0));
    let out = text(&output.stdout);
    let kinds: Vec<_> = out.lines().map(|line| line.contains("\"op\":\"MESSAGE\"")).collect();
    assert_eq!(kinds, [true, true, false, true], "{out}");
    assert!(out.lines().nth(2).unwrap().contains("COMMITTED"), "{out}");
}

/// Follows the slot of the database's name.
fn follow(name: &str, args: &[&str]) -> Child {
    let mut command = Command::new(TAIL);
    command.args(["--json", "--slot", name, "--conninfo", &format!("dbname={name}")]);
    command.args(args).stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn tail_count_ack() {
    if !available() {
        return;
    }
    for mode in ["--ack", "--fetch"] {
        let mut db = tables("tail_count").await;
        for i in [1, 3] {
            db.run(&format!("INSERT INTO orders VALUES ({i}), ({i} + 1)")).await;
        }
        let output = follow(&db.name, &["--ack", mode, "-n", "3"]).wait_with_output().unwrap();
        assert!(output.status.success());
        let out = text(&output.stdout);
        assert_eq!(out.lines().filter(|line| line.contains("\"INSERT\"")).count(), 3, "{out}");
        let again = follow(&db.name, &[mode, "-n", "1"]).wait_with_output().unwrap();
        let out = text(&again.stdout);
        assert!(out.contains("\"id\":3"), "the second is not acknowledged: {out}");
        db.drop().await;
    }
}

#[tokio::test]
async fn tail_signal() {
    if !available() {
        return;
    }
    for (signal, mode) in [("-TERM", "--ack"), ("-INT", "--ack"), ("-TERM", "--fetch")] {
        let mut db = tables("tail_signal").await;
        let mut child = follow(&db.name, &["--ack", mode]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        db.run("INSERT INTO orders VALUES (1)").await;
        let end: pgcdc::Lsn = loop {
            let line = lines.next().unwrap().unwrap();
            if line.contains("COMMITTED") {
                break line
                    .split("\"end_lsn\":\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
            }
        };
        let began = Instant::now();
        crate::signal(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal} {mode}");
        assert!(began.elapsed() < Duration::from_secs(3), "{signal} {mode}: {:?}", began.elapsed());
        assert!(db.confirmed().await >= end, "{signal} {mode}");
        eventually!(!db.is_active().await);
        db.drop().await;
    }
}

#[test]
fn tail_pipe() {
    let file = temporary("pipe", &messages(20_000));
    let mut child = Command::new(TAIL)
        .args(["--json", "--file", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::with_capacity(64, child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn tail_times() {
    // the only form here is JSON, which leaves out a time that there is not
    let batch = pb::Batch {
        end_lsn: 256,
        event_count: 1,
        events: vec![pb::ChangeEvent {
            op: pb::Op::Message as i32,
            lsn_offset: 128,
            message: Some(pb::Message { prefix: "p".into(), ..pb::Message::default() }),
            ..pb::ChangeEvent::default()
        }],
        ..pb::Batch::default()
    };
    let file = temporary("times", &delimited(&[batch]));
    let out = text(&tail(&["--file", &file]).stdout);
    assert!(out.contains("MESSAGE") && !out.contains("0001-") && !out.contains("1970"), "{out}");
}
