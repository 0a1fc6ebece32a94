//! What every client must do alike: a test for each line of `test/clients/scenarios`,
//! with its name.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/compare.rs"]
mod compare_mod;
#[path = "../common/fake.rs"]
mod fake;
#[path = "../common/live.rs"]
mod live;
#[path = "../common/log.rs"]
mod log;
#[path = "../common/workload.rs"]
mod workload_mod;

mod ends;
mod letters;
mod look;
mod operation;
mod says;
mod silence;
mod state;
mod tail;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Scenarios that have no test here, and why.
const MISSING: &[(&str, &str)] = &[];

async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Sends `-TERM` or another signal: by a shell, since a small system has no `kill` of its own.
fn signal(process: u32, signal: &str) {
    let sent =
        std::process::Command::new("sh").args(["-c", &format!("kill {signal} {process}")]).status();
    assert!(sent.expect("there is a shell").success(), "process {process}");
}

/// Waits for something that must come within a time.
macro_rules! eventually {
    ($condition:expr) => {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !$condition {
            assert!(std::time::Instant::now() < until, stringify!($condition));
            $crate::sleep(20).await;
        }
    };
}
pub(crate) use eventually;

/// All files of Rust below a directory.
fn sources(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(sources(&path)),
            false => all.push(std::fs::read_to_string(path).unwrap()),
        }
    }
    all
}

/// Names of the tests of a file.
fn tests(source: &str) -> impl Iterator<Item = String> + '_ {
    let bodies = source.split("#[test]").skip(1).chain(source.split("#[tokio::test").skip(1));
    bodies.filter_map(|body| {
        let (_, rest) = body.split_once("fn ")?;
        Some(rest.split('(').next()?.replace('_', "-"))
    })
}

#[test]
fn each_scenario_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // a package has no list
    let Ok(list) = std::fs::read_to_string(root.join("../../test/clients/scenarios")) else {
        return;
    };
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wanted: BTreeSet<String> =
        lines.map(|line| line.split(" | ").next().unwrap().to_owned()).collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for file in std::fs::read_dir(root.join("tests/scenarios")).unwrap() {
        let path = file.unwrap().path();
        if !path.ends_with("main.rs") {
            found.extend(tests(&std::fs::read_to_string(path).unwrap()));
        }
    }
    // some can be seen from within only
    for source in sources(&root.join("src")) {
        found.extend(tests(&source).filter(|name| wanted.contains(name)));
    }
    for (name, why) in MISSING {
        eprintln!("skipped: {name}: {why}");
        assert!(found.insert((*name).to_owned()), "{name} has a test");
    }
    let lacking: Vec<_> = wanted.difference(&found).collect();
    let unknown: Vec<_> = found.difference(&wanted).collect();
    assert!(lacking.is_empty() && unknown.is_empty(), "no test: {lacking:?}; no line: {unknown:?}");
}
