//! What a scrape costs: 10,000 over one connection, 10,000 with a new one each; how long each takes, what the server's thread
//! has used, and what is resident before and after.
//!
//! `cargo run --release -p plimsoll-web --example scrapes [WEB_CONFIG]` with a file without TLS and users, or none.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that fails should say so and stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_web::{Access, Address, Answer, Bytes, Cache, Limits, Listen, Page, Request, Server, Site};

const SCRAPES: usize = 10_000;

/// A page as large as that of a host with twenty namespaces.
struct Metrics(Bytes);

impl Site for Metrics {
    fn answer(&self, _request: &Request<'_>) -> Answer {
        Answer::Page(Page { content_type: "text/plain; version=0.0.4", body: self.0.clone(), cache: Cache::Never })
    }
}

fn main() {
    let line = "plimsoll_state_entries{netns=\"host\",protocol=\"tcp\",state=\"ESTABLISHED\"} 183211\n";
    let site = Arc::new(Metrics(Bytes::from(line.repeat(1000))));
    println!("a page of {} bytes", site.0.len());
    let listener = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))).bind().unwrap();
    let Some(Address::Tcp(address)) = listener.address() else { return };
    println!("resident before the server: {} KiB", resident_kib());
    let access = Access { web_config: std::env::args_os().nth(1).map(Into::into), names: Vec::new() };
    let server = Server::begin(vec![listener], access, Limits::default(), site).unwrap();
    scrape(&mut connect(address));
    println!("resident after one scrape: {} KiB", resident_kib());
    let mut kept = connect(address);
    report("over one connection", || scrape(&mut kept));
    report("with a new connection each", || scrape(&mut connect(address)));
    server.end();
}

fn report(how: &str, mut scrape: impl FnMut()) {
    let used = server_time();
    let mut times: Vec<Duration> = (0..SCRAPES)
        .map(|_| {
            let since = Instant::now();
            scrape();
            since.elapsed()
        })
        .collect();
    let used = server_time().saturating_sub(used);
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "{SCRAPES} {how}: median {:?}, 99th percentile {:?}, longest {:?}; {:?} of the server's thread each; resident {} KiB",
        at(50),
        at(99),
        times.last().copied().unwrap_or_default(),
        used / u32::try_from(SCRAPES).unwrap_or(u32::MAX),
        resident_kib()
    );
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::with_capacity(64 * 1024, stream)
}

fn scrape(stream: &mut BufReader<TcpStream>) {
    stream.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    assert_ne!(length, 0, "the server refused");
    std::io::copy(&mut stream.take(length), &mut std::io::sink()).unwrap();
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// What the server's thread has used of a processor (`/proc/<pid>/task/<tid>/schedstat`, in nanoseconds).
fn server_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of_server = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "plimsoll-web"));
    let stat = of_server.and_then(|task| std::fs::read_to_string(task.join("schedstat")).ok()).unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0))
}
