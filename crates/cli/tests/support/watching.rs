//! A daemon in a namespace, and what it and others say meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use plimsoll_lab::LabNamespace;
use serde_json::Value;

use super::PLIMSOLL;

/// What is awaited comes within this time, or something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Where the daemon of a test listens: it is alone in its namespace.
pub(crate) const ADDRESS: &str = "127.0.0.1:9754";

/// A program in a namespace, ended when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn begin(lab: &LabNamespace, words: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", lab.name()]).args(words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let note = Arc::clone(&said);
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| note.lock().unwrap().push(line)));
        Self { child, said }
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until a line with this in it has been said so many times.
    pub(crate) fn await_line(&self, part: &str, times: usize) {
        let has = || self.said().iter().filter(|line| line.contains(part)).count() >= times;
        await_that(&format!("{part:?} to be said {times} times: {:#?}", self.said()), has);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Sends a signal, and waits for its end.
    pub(crate) fn end_by(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A daemon, in a namespace, with a folder of its own.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) running: Running,
    pub(crate) folder: PathBuf,
}

impl Daemon {
    /// Begins one that reads each second, and waits for its first reading.
    pub(crate) fn begin(lab: &LabNamespace, arguments: &[&str]) -> Self {
        Self::begin_every(lab, "1s", arguments)
    }

    /// Begins one that reads so often.
    pub(crate) fn begin_every(lab: &LabNamespace, interval: &str, arguments: &[&str]) -> Self {
        let folder = lab.folder().unwrap();
        let state = folder.join("state");
        let mut words = vec![PLIMSOLL, "watch", "--interval", interval, "--state-dir", state.to_str().unwrap()];
        words.extend(arguments);
        let running = Running::begin(lab, &words);
        running.await_line("reading every", 1);
        Self { running, folder }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }
}

/// A webhook in a namespace, which keeps connections, and what it was sent.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<&'static str>>,
}

impl Webhook {
    /// One that takes what comes.
    pub(crate) fn begin(lab: &LabNamespace) -> Self {
        let listener = lab.enter(|| TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let webhook = Self { url, requests: Arc::default(), status: Arc::new(Mutex::new("200 OK")) };
        let (requests, status) = (Arc::clone(&webhook.requests), Arc::clone(&webhook.status));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (requests, status) = (Arc::clone(&requests), Arc::clone(&status));
                thread::spawn(move || answer(stream, &requests, &status));
            }
        });
        webhook
    }

    /// From now on it answers so.
    pub(crate) fn answer_with(&self, status: &'static str) {
        *self.status.lock().unwrap() = status;
    }

    /// The documents that it was sent.
    pub(crate) fn notices(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let bodies = requests.iter().filter_map(|request| Some(request.split_once("\r\n\r\n")?.1));
        bodies.filter(|body| !body.is_empty()).map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

fn answer(mut stream: TcpStream, requests: &Mutex<Vec<String>>, status: &Mutex<&'static str>) {
    let mut request = String::new();
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        request += &String::from_utf8_lossy(&buffer[..read]);
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        requests.lock().unwrap().push(std::mem::take(&mut request));
        let answer = format!("HTTP/1.1 {}\r\ncontent-length: 0\r\n\r\n", status.lock().unwrap());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// What is answered under a path: `None` where nobody answers, or not with 200.
pub(crate) fn get(lab: &LabNamespace, path: &str) -> Option<String> {
    curl(lab, &[&format!("http://{ADDRESS}{path}")])
}

/// As [`get`], with curl's own words.
pub(crate) fn curl(lab: &LabNamespace, words: &[&str]) -> Option<String> {
    let mut command = vec!["curl", "--silent", "--show-error", "--fail", "--max-time", "3"];
    command.extend(words);
    lab.run(&command).ok()
}

/// The document of what is known, once there is one.
pub(crate) fn status(lab: &LabNamespace) -> Value {
    let mut text = None;
    await_that("a reading", || {
        text = get(lab, "/api/status");
        text.is_some()
    });
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// Waits until there have been so many readings more.
pub(crate) fn await_readings(lab: &LabNamespace, more: f64) {
    let readings = || get(lab, "/metrics").and_then(|metrics| figure(&metrics, "plimsoll_readings_total"));
    let until = readings().unwrap_or(0.0) + more;
    await_that("readings", || readings() >= Some(until));
}

/// The figure of a metric with these labels; `None` where there is none.
pub(crate) fn figure(metrics: &str, name_and_labels: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// What `promtool check metrics` complains of.
pub(crate) fn promtool_complains(metrics: &str, folder: &Path) -> String {
    let file = folder.join("metrics.txt");
    fs::write(&file, metrics).unwrap();
    let check = format!("promtool check metrics <{}", file.display());
    let output = Command::new("bash").args(["-c", &check]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
