//! Real programs of a test, in a namespace of its own.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_lab::LabNamespace;
use plimsoll_proxies::{Configuration, Program, Version, envoy, haproxy, nginx};

use crate::support::{Disk, once};

pub(crate) const BACKEND: u16 = 8080;
pub(crate) const PROXY: u16 = 8000;

/// How long a program may take to start; only a broken one takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A program's files in a folder of their own.
pub(crate) struct Case {
    program: Program,
    pub(crate) folder: PathBuf,
    first: String,
}

impl Case {
    /// The first of the files is the one that the program is given.
    pub(crate) fn new(program: Program, name: &str, files: &[(&str, String)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", program.name()));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { program, folder, first: files[0].0.to_string() }
    }

    pub(crate) fn first(&self) -> PathBuf {
        self.folder.join(&self.first)
    }

    pub(crate) fn read(&self) -> Configuration {
        let (first, files) = (self.first(), &mut once(&Disk));
        match self.program {
            Program::Nginx => nginx::read(&first, files, Some(version(self.program))),
            Program::Haproxy => haproxy::read([first.as_path()], files, Some(version(self.program))),
            Program::Envoy => envoy::read(&first, files),
        }
        .unwrap()
    }

    /// Whether the program itself takes the files.
    pub(crate) fn is_valid(&self) {
        let mut command = command(self.program);
        match self.program {
            Program::Nginx => command.args(["-t", "-e", "stderr", "-p"]).arg(&self.folder).arg("-c"),
            Program::Haproxy => command.args(["-c", "-f"]),
            Program::Envoy => command.args(["--mode", "validate", "-c"]),
        };
        let output = command.arg(self.first()).output().expect("the program, by scripts/test");
        assert!(output.status.success(), "{}: {output:?}", self.folder.display());
    }

    pub(crate) fn start(&self, namespace: &LabNamespace) -> Server {
        let mut command = command(self.program);
        match self.program {
            Program::Nginx => command.args(["-e", "stderr", "-p"]).arg(&self.folder).arg("-c"),
            Program::Haproxy => command.args(["-db", "-f"]),
            // One thread, as each has connections of its own. Hot restarts would meet those of other tests.
            Program::Envoy => command.args(["--concurrency", "1", "--disable-hot-restart", "-c"]),
        };
        command.arg(self.first()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Server(namespace.enter(|| command.spawn()).unwrap().unwrap())
    }
}

fn command(program: Program) -> Command {
    match program {
        Program::Nginx => Command::new("nginx"),
        Program::Haproxy => Command::new("haproxy"),
        // Debian has none.
        Program::Envoy => Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/envoy/bin/envoy")),
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

/// A bootstrap of Envoy's with clusters of the backend, each by its name and with further fields: a request goes to the one that is named as its
/// host is.
pub(crate) fn envoy_file(clusters: &[(String, String)]) -> String {
    let host = |(name, _): &(String, String)| {
        format!(
            "            - {{ name: {name}, domains: [{name}], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: {name} }} }}] }}\n"
        )
    };
    let cluster = |(name, fields): &(String, String)| {
        format!(
            "  - name: {name}\n{fields}    load_assignment:\n      cluster_name: {name}\n      endpoints:\n      - lb_endpoints:\n        \
             - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {BACKEND} }} }} }}\n"
        )
    };
    let hosts: String = clusters.iter().map(host).collect();
    let clusters: String = clusters.iter().map(cluster).collect();
    let extensions = "type.googleapis.com/envoy.extensions.filters";
    format!(
        "static_resources:\n  \
           clusters:\n{clusters}  \
           listeners:\n  \
           - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {PROXY} }} }}\n    \
             filter_chains:\n    \
             - filters:\n      \
               - name: requests\n        \
                 typed_config:\n          \
                   \"@type\": {extensions}.network.http_connection_manager.v3.HttpConnectionManager\n          \
                   stat_prefix: requests\n          \
                   http_filters: [{{ name: router, typed_config: {{ \"@type\": {extensions}.http.router.v3.Router }} }}]\n          \
                   route_config:\n            \
                     virtual_hosts:\n{hosts}"
    )
}

/// Options of a cluster's, in the place of older ones.
pub(crate) fn envoy_options(fields: &str) -> String {
    format!(
        "    typed_extension_protocol_options:\n      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n        \
         \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n        \
         explicit_http_config: {{ http_protocol_options: {{}} }}\n{fields}"
    )
}

/// What a program says of itself: `nginx version: nginx/1.22.1`, `HAProxy version 2.6.12-1`.
pub(crate) fn version(program: Program) -> Version {
    let output = command(program).arg("-v").output().expect("the program, by scripts/test");
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    told.split([' ', '/']).find_map(|word| word.parse().ok()).expect("a version")
}
