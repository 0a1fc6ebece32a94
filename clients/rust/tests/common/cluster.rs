//! Servers of a test's own, for what the shared one cannot be made to do. Needs
//! initdb (PG_CONFIG, or in the PATH), and not to be root.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A server with its socket in its directory. Stopped and removed when dropped.
pub struct Cluster {
    pub dir: PathBuf,
    pub port: u16,
    bin: PathBuf,
}

pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn bindir() -> Option<PathBuf> {
    let config = std::env::var("PG_CONFIG").unwrap_or("pg_config".into());
    let output = Command::new(config).arg("--bindir").output().ok()?;
    let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let root = run(Command::new("id").arg("-u")).stdout == b"0\n";
    (bin.join("initdb").exists() && !root).then_some(bin)
}

impl Cluster {
    /// A directory and a port, without a server; `None` where there can be none.
    pub fn new(name: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bin = bindir()?;
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/pgcdc-{name}-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Cluster { dir, port, bin })
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    /// Whether its release has such a setting.
    pub fn knows(&self, setting: &str) -> bool {
        let described = run(self.program("postgres").arg("--describe-config")).stdout;
        let described = String::from_utf8_lossy(&described);
        described.lines().any(|line| line.split('\t').next() == Some(setting))
    }

    pub fn initdb(&self, args: &[&str]) {
        run(self
            .program("initdb")
            .args(["--no-locale", "-E", "UTF8", "--no-sync"])
            .args(args)
            .arg("-D")
            .arg(self.data()));
    }

    pub fn start(&self, settings: &str) {
        let settings = format!(
            "port = {}\nunix_socket_directories = '{}'\nfsync = off\n{settings}\n",
            self.port,
            self.dir.display()
        );
        std::fs::write(self.data().join("postgresql.auto.conf"), settings).unwrap();
        self.pg_ctl(&["-w", "start"]);
    }

    pub fn pg_ctl(&self, args: &[&str]) {
        run(self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(self.dir.join("log"))
            .args(args)
            .stdout(Stdio::null()));
    }
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("version").output().is_ok()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.pg_ctl(&["-m", "immediate", "stop"]);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
