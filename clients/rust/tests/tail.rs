//! The tool, as it is run.

mod common;
#[path = "common/live.rs"]
mod live;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use live::{available, Database};

const TAIL: &str = env!("CARGO_BIN_EXE_cdc-tail");

fn tail(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(TAIL)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn files() {
    for path in common::golden() {
        let wanted = std::fs::read(path.with_extension("json")).unwrap();
        assert_eq!(tail(&["--file", path.to_str().unwrap()], b"").stdout, wanted);
        assert_eq!(tail(&["--json", "--file", "-"], &std::fs::read(&path).unwrap()).stdout, wanted);
    }
}

#[test]
fn filters_and_errors() {
    let golden = common::golden();
    let path = golden.iter().find(|p| p.ends_with("identity.pb")).unwrap();
    let all = std::fs::read_to_string(path.with_extension("json")).unwrap();
    let from = all.find("\"relation\":\"").unwrap() + 12;
    let table = all[from..].split('"').next().unwrap();
    let output = tail(&["--file", path.to_str().unwrap(), "--table", table], b"");
    let wanted: Vec<_> =
        all.lines().filter(|l| l.contains(&format!("\"relation\":\"{table}\""))).collect();
    assert!(!wanted.is_empty() && wanted.len() < all.lines().count());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), wanted);

    let bytes = std::fs::read(path).unwrap();
    let cut = tail(&["--file", "-"], &bytes[..bytes.len() - 1]);
    assert!(!cut.status.success() && String::from_utf8_lossy(&cut.stderr).contains("cut"));
    assert!(!cut.stdout.is_empty(), "what came before is printed");
    for args in [
        &["--file"][..],
        &["--nonsense"],
        &[],
        &["--file", "x", "--slot", "y"],
        &["--file", "/nonexistent"],
    ] {
        assert!(!tail(args, b"").status.success(), "{args:?}");
    }
    assert!(tail(&["--help"], b"").status.success());
}

#[tokio::test]
async fn slots() {
    if !available() {
        return;
    }
    let mut db = Database::new("tail").await;
    db.run("CREATE TABLE orders (id int PRIMARY KEY)").await;
    db.run("INSERT INTO orders VALUES (1)").await;
    let conninfo = format!("dbname={}", db.name);
    for ack in ["--json", "--ack"] {
        let mut child = Command::new(TAIL)
            .args([
                "--slot",
                &db.name,
                "--conninfo",
                &conninfo,
                "--option",
                "tables=public.*",
                "--compression",
                "zstd",
                ack,
                "-n",
                "1",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains(r#""op":"SCHEMA","relation":"public.orders""#), "{first}");
        assert!(first.contains(r#""change":"created","command":"CREATE TABLE""#), "{first}");
        assert!(lines.next().unwrap().unwrap().contains("COMMITTED"));
        assert!(child.wait().unwrap().success(), "ends by itself after one transaction");
    }
    db.drop().await;
}
