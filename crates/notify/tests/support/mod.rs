//! Servers that are told, and what a notifier says meanwhile.

#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_model::{FindingId, Severity, Untrusted};
use plimsoll_notify::{News, Notifier, Outcome, Target};
use plimsoll_watch::Ledger;
use plimsoll_watch::alerts::{Alert, FirstStep, Notice, Trouble};
use plimsoll_watch::metrics::Telling;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// When the trouble of these tests began, was seen, and was gone.
pub(crate) const BEGAN_AT: f64 = 1_795_670_766.0;
pub(crate) const NOW: f64 = 1_795_670_800.0;
pub(crate) const GONE_AT: f64 = 1_795_670_866.0;

/// A request that came, and by which connection.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) by: SocketAddr,
    pub(crate) line: String,
    pub(crate) body: String,
}

impl Came {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What a server answers: all that comes after `HTTP/1.1 `.
type Answers = dyn Fn(&Came) -> String + Send + Sync;

/// A server, and what came to it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    came: Receiver<Came>,
}

impl Server {
    /// One that answers all requests alike.
    pub(crate) fn with(status: &'static str) -> Self {
        Self::answering(move |_| answer(status, ""))
    }

    /// One that answers as is said. What answers may take its time; the request has come already.
    pub(crate) fn answering(answers: impl Fn(&Came) -> String + Send + Sync + 'static) -> Self {
        let answers: Arc<Answers> = Arc::new(answers);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, came) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                thread::spawn(move || serve(stream.unwrap(), &*answers, &sender));
            }
        });
        Self { address, came }
    }

    pub(crate) fn webhook(&self) -> Target {
        Target::Webhook(format!("http://{}/hook", self.address))
    }

    pub(crate) fn alertmanager(&self) -> Target {
        Target::Alertmanager(format!("http://{}", self.address))
    }

    /// The next request of any kind.
    pub(crate) fn next(&self) -> Came {
        self.came.recv_timeout(PATIENCE).unwrap()
    }

    /// The next document.
    pub(crate) fn next_post(&self) -> Came {
        loop {
            let came = self.next();
            if came.line.starts_with("POST") {
                return came;
            }
        }
    }

    /// Documents that have come.
    pub(crate) fn posts(&self) -> Vec<Came> {
        self.came.try_iter().filter(|came| came.line.starts_with("POST")).collect()
    }
}

/// An answer with a body, and headers in its status if need be.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("{status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn serve(stream: TcpStream, answers: &Answers, sender: &Sender<Came>) {
    let by = stream.peer_addr().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            if header == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let line = line.trim().to_string();
        let is_head = line.starts_with("HEAD");
        let body = String::from_utf8(body).unwrap();
        let came = Came { by, line, body };
        let copy = Came { line: came.line.clone(), body: came.body.clone(), ..came };
        if sender.send(copy).is_err() {
            return;
        }
        let answer = if is_head { self::answer("200 OK", "") } else { answers(&came) };
        if stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).is_err() {
            return;
        }
    }
}

pub(crate) fn alert(severity: Severity) -> Alert {
    Alert {
        trouble: Trouble { finding: FindingId::TableFull, namespace: Some("host".to_string()) },
        severity,
        began_at: BEGAN_AT,
        title: "the table is full".to_string(),
        meaning: "new flows are refused".to_string(),
        first_step: Some(FirstStep { action: "make room".to_string(), command: Some("plimsoll relieve".to_string()) }),
    }
}

pub(crate) fn raised() -> News {
    News { raised: vec![alert(Severity::Critical)], notices: vec![Notice::Raised(alert(Severity::Critical))], at: NOW }
}

/// It is there still: no news.
pub(crate) fn there() -> News {
    News { notices: Vec::new(), ..raised() }
}

pub(crate) fn resolved() -> News {
    News {
        raised: Vec::new(),
        notices: vec![Notice::Resolved { alert: alert(Severity::Critical), at: GONE_AT }],
        at: GONE_AT,
    }
}

/// What a notifier said.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until a line that begins so is said, and returns it.
    pub(crate) fn await_line(&self, beginning: &str) -> String {
        let mut found = None;
        await_that(&format!("{beginning:?}, not {:?}", self.all()), || {
            found = self.all().into_iter().find(|line| line.starts_with(beginning));
            found.is_some()
        });
        found.unwrap()
    }
}

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn begin(targets: Vec<Target>) -> (Notifier, Said) {
    begin_with(targets, &Ledger::default())
}

pub(crate) fn begin_with(targets: Vec<Target>, ledger: &Ledger) -> (Notifier, Said) {
    let said = Said::default();
    let note = Arc::clone(&said.0);
    let log = move |outcome: Outcome<'_>| {
        note.lock().unwrap().push(match outcome {
            Outcome::Told(_) => return,
            Outcome::Recovered(target) => format!("recovered {target}"),
            Outcome::Failed(target, error) => format!("failed {target}: {error}"),
            Outcome::Refused(target, error) => format!("refused {target}: {error}"),
            Outcome::Overflowing(target) => format!("overflowing {target}"),
            Outcome::GivenUp(target, number) => format!("given up {target}: {number}"),
            Outcome::Removed(target, number) => format!("removed {target}: {number}"),
            Outcome::Forgotten(key, number) => format!("forgotten {key}: {number}"),
            other => panic!("{other:?}"),
        });
    };
    (Notifier::begin(targets, Untrusted::from("web-1"), Arc::new(log), ledger).unwrap(), said)
}

/// What came of telling the one kind of targets that there is.
pub(crate) fn telling(notifier: &Notifier) -> Telling {
    let [telling] = notifier.telling()[..] else { panic!("{:?}", notifier.telling()) };
    telling
}
