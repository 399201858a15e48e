//! A site to be served, clients, and a folder for files.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_web::{Access, Address, Answer, Bytes, Cache, Hub, Limits, Listen, Notice, Page, Request, Server, Site};
use tempfile::TempDir;

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Pages, one of each kind, and what the server has told.
pub(crate) struct Demo {
    pub(crate) hub: Hub,
    pub(crate) notices: Mutex<Vec<String>>,
    metrics: Bytes,
}

impl Default for Demo {
    fn default() -> Self {
        let line = "plimsoll_entries{netns=\"host\"} 183211\n";
        Self { hub: Hub::new(4), notices: Mutex::default(), metrics: Bytes::from(line.repeat(1000)) }
    }
}

/// Bytes of the page `/large`: more than any socket buffers.
pub(crate) const LARGE: usize = 64 << 20;

static LARGE_PAGE: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'x'; LARGE]));

impl Site for Demo {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let page = |content_type, body: Bytes, cache| Page { content_type, body, cache };
        match request.path {
            "/metrics" => {
                Answer::Page(page("text/plain; version=0.0.4; charset=utf-8", self.metrics.clone(), Cache::Never))
            }
            "/script" => {
                Answer::Page(page("text/javascript", Bytes::from_static(b"1"), Cache::For(Duration::from_hours(1))))
            }
            "/large" => Answer::Page(page("application/octet-stream", LARGE_PAGE.clone(), Cache::Never)),
            "/echo" => {
                let said = format!("{:?} {}", request.parameter("netns"), request.accept);
                Answer::Page(page("text/plain", Bytes::from(said), Cache::Never))
            }
            "/healthz" => {
                Answer::Unavailable(page("text/plain", Bytes::from_static(b"no reading yet\n"), Cache::Never))
            }
            "/api/events" => self.hub.subscribe().map_or_else(
                || Answer::Unavailable(page("text/plain", Bytes::from_static(b"enough\n"), Cache::Never)),
                Answer::Events,
            ),
            _ => Answer::NotFound,
        }
    }

    fn notice(&self, notice: Notice<'_>) {
        let text = match notice {
            Notice::Reloaded => "reloaded".to_owned(),
            Notice::NotReloaded(error) => error.to_string(),
            _ => "something else".to_owned(),
        };
        self.notices.lock().unwrap().push(text);
    }
}

/// A server on a port of its own.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) site: Arc<Demo>,
}

/// A server that everybody is let into.
pub(crate) fn open(limits: Limits) -> Running {
    serve(Access::default(), limits)
}

/// A server with a web configuration file.
pub(crate) fn configured(file: &Path) -> Running {
    serve(Access { web_config: Some(file.to_owned()), names: Vec::new() }, Limits::default())
}

pub(crate) fn serve(access: Access, limits: Limits) -> Running {
    let site = Arc::new(Demo::default());
    let listener = Listen::Tcp("127.0.0.1:0".parse().unwrap()).bind().unwrap();
    let Some(Address::Tcp(address)) = listener.address() else { panic!("no address") };
    let server = Server::begin(vec![listener], access, limits, Arc::clone(&site) as Arc<dyn Site>).unwrap();
    Running { server, address, site }
}

impl Running {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect();
        // A server that has heard enough may close before all is sent.
        let _ = stream.write_all(request.as_ref());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Reply { text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// A GET of a path, with further header lines, after which the connection is closed.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Reply {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address))
    }

    /// That it still answers.
    pub(crate) fn assert_well(&self) {
        self.get("/metrics", "").assert_status(200);
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn status(&self) -> Option<u16> {
        self.text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    }

    #[track_caller]
    pub(crate) fn assert_status(&self, status: u16) {
        assert_eq!(self.status(), Some(status), "{}", self.text.chars().take(600).collect::<String>());
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn await_that(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in one step, as a careful administrator does.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let beside = self.path(&format!("{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.path(name)).unwrap();
        self.path(name)
    }

    /// A key and a certificate for `127.0.0.1`, signed by itself: `NAME.key`, `NAME.crt`.
    pub(crate) fn certificate(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -keyout {name}.key \
             -out {name}.crt -addext subjectAltName=IP:127.0.0.1"
        ));
    }

    /// A key and a certificate for a client, signed by another certificate.
    pub(crate) fn client_certificate(&self, name: &str, signer: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        fs::write(self.path("client.ext"), "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n").unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {signer}.crt -CAkey {signer}.key -CAcreateserial -days 2 -extfile client.ext \
             -out {name}.crt"
        ));
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What curl makes of a page: the status, or why there is none.
    pub(crate) fn curl(&self, arguments: &str) -> Result<u16, String> {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ])
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).parse().unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
