//! Real programs of a test, in a namespace of its own.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_lab::LabNamespace;
use plimsoll_proxies::{Configuration, Version, haproxy, nginx};

use crate::support::{Disk, once};

pub(crate) const BACKEND: u16 = 8080;
pub(crate) const PROXY: u16 = 8000;

/// How long a program may take to start; only a broken one takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A program's files in a folder of their own.
pub(crate) struct Case {
    program: &'static str,
    pub(crate) folder: PathBuf,
}

impl Case {
    pub(crate) fn new(program: &'static str, name: &str, files: &[(&str, String)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{program}-{name}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { program, folder }
    }

    pub(crate) fn first(&self) -> PathBuf {
        self.folder.join("main.conf")
    }

    pub(crate) fn read(&self) -> Configuration {
        match self.program {
            "nginx" => nginx::read(&self.first(), &mut once(&Disk), Some(version(self.program))).unwrap(),
            _ => haproxy::read([self.first().as_path()], &mut once(&Disk), Some(version(self.program))).unwrap(),
        }
    }

    /// Whether the program itself takes the files.
    pub(crate) fn is_valid(&self) {
        let mut command = Command::new(self.program);
        match self.program {
            "nginx" => command.args(["-t", "-e", "stderr", "-p"]).arg(&self.folder).arg("-c").arg(self.first()),
            _ => command.args(["-c", "-f"]).arg(self.first()),
        };
        let output = command.output().expect("the program, by scripts/test");
        assert!(output.status.success(), "{}: {output:?}", self.folder.display());
    }

    pub(crate) fn start(&self, namespace: &LabNamespace) -> Server {
        let mut command = Command::new(self.program);
        match self.program {
            "nginx" => command.args(["-e", "stderr", "-p"]).arg(&self.folder).arg("-c").arg(self.first()),
            _ => command.args(["-db", "-f"]).arg(self.first()),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Server(namespace.enter(|| command.spawn()).unwrap().unwrap())
    }
}

/// A server of a test. It ends when dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn nginx_file(http: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|what| format!("{what}_temp_path temporary_{what};")).join(" ");
    format!(
        "daemon off; master_process off; pid pid; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n    access_log off; {temporary}\n{http}\n}}\n"
    )
}

pub(crate) fn await_listening(port: u16) {
    let begin = Instant::now();
    // Looked at without a connection, which would leave an entry.
    while !fs::read_to_string("/proc/thread-self/net/tcp").unwrap().contains(&format!(":{port:04X} 00000000:0000 0A")) {
        assert!(begin.elapsed() < PATIENCE, "nobody listens at {port}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a program says of itself: `nginx version: nginx/1.22.1`, `HAProxy version 2.6.12-1`.
pub(crate) fn version(program: &str) -> Version {
    let output = Command::new(program).arg("-v").output().expect("the program, by scripts/test");
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    told.split([' ', '/']).find_map(|word| word.parse().ok()).expect("a version")
}
