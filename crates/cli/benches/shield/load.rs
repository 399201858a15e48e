//! Connections that mean well: opened at their times, whatever has become of those before.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_lab::LabNamespace;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 8, 255, 1);

/// A client is served within this, or is not. A SYN is sent again after one second, and after three.
const PATIENCE: Duration = Duration::from_secs(3);
/// Within this, it was at the first try.
const FIRST_TRY: Duration = Duration::from_millis(900);
/// More than ever wait at once.
const WORKERS: u32 = 500;

/// The clients, each of a /24 of its own.
pub(crate) fn clients() -> impl Iterator<Item = Ipv4Addr> {
    (1..=40).map(|network| Ipv4Addr::new(10, 8, network, 1))
}

/// What became of the connections.
pub(crate) struct Served {
    pub(crate) of: usize,
    pub(crate) in_time: usize,
    pub(crate) at_first_try: usize,
    /// Of those that were served.
    pub(crate) median: Duration,
    /// The 99th of a hundred.
    pub(crate) late: Duration,
}

/// A server that answers, and clients.
pub(crate) struct Load<'a> {
    client: &'a LabNamespace,
}

impl<'a> Load<'a> {
    pub(crate) fn new(server: &LabNamespace, client: &'a LabNamespace) -> anyhow::Result<Self> {
        let listener = server.enter(|| TcpListener::bind((SERVER, 443)))??;
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // One byte is asked, and one answered; a client that never asks is waited for no longer than it would wait.
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    let mut byte = [0];
                    let _ = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
                });
            }
        });
        let load = Self { client };
        // Until neighbours are known.
        load.serve(Ipv4Addr::new(10, 8, 1, 1))?;
        Ok(load)
    }

    pub(crate) fn run(&self, per_sec: u32, span: Duration) -> Served {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        let all = (f64::from(per_sec) * span.as_secs_f64()) as u32;
        let (next, took, clients) = (AtomicU32::new(0), Mutex::new(Vec::new()), clients().collect::<Vec<_>>());
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    self.client.enter(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= all {
                                return;
                            }
                            let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(per_sec));
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                            let Some(from) = clients.get(number as usize % clients.len()) else { return };
                            let ended = open_and_ask(*from).ok().map(|()| due.elapsed());
                            if let (Some(ended), Ok(mut took)) = (ended.filter(|took| *took < PATIENCE), took.lock()) {
                                took.push(ended);
                            }
                        }
                    })
                });
            }
        });
        let mut took = took.into_inner().unwrap_or_default();
        took.sort_unstable();
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let index = (took.len() as f64 * share) as usize;
            took.get(index.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Served {
            of: all as usize,
            in_time: took.len(),
            at_first_try: took.iter().filter(|took| **took < FIRST_TRY).count(),
            median: at(0.5),
            late: at(0.99),
        }
    }

    fn serve(&self, from: Ipv4Addr) -> anyhow::Result<()> {
        Ok(self.client.enter(|| open_and_ask(from))??)
    }
}

/// Opens a connection, asks a byte, and reads the answer.
fn open_and_ask(from: Ipv4Addr) -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(from.into(), 0))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    connect(&socket, &SocketAddr::new(SERVER.into(), 443))?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}
