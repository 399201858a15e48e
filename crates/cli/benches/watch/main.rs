//! What keeping watch costs, on this machine's kernel. `scripts/bench watch` runs it; `docs/performance.md` says what the figures
//! mean.
//!
//! Tables in namespaces of the lab are filled, and the daemon watches them. Its own figures are read from `/proc`.

#[path = "../check/figures.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod figures;
#[path = "../check/report.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod report;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use plimsoll_lab::{LabNamespace, mixed_entries};
use tempfile::TempDir;

use crate::figures::Spread;
use crate::report::{Goal, Row};

#[derive(Parser)]
struct Arguments {
    /// Entries, in all tables together
    #[arg(long, default_value_t = 1_000_000)]
    entries: u32,
    /// Tables that they are in: none may hold more than the host's limit
    #[arg(long, default_value_t = 4)]
    tables: u32,
    /// How long each round is, in seconds
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What `cargo bench` adds and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("nothing is tested here: scripts/bench watch measures");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let each = arguments.entries / arguments.tables;
    let tables = (0..arguments.tables).map(|_| filled(each)).collect::<anyhow::Result<Vec<LabNamespace>>>()?;
    let daemon = Daemon::begin()?;
    daemon.await_reading()?;
    let interval = Duration::from_secs(arguments.secs);
    let shares = (0..arguments.rounds).map(|_| daemon.cpu_percent(interval)).collect::<anyhow::Result<Vec<f64>>>()?;
    let kept = daemon.scrape_millis(Connections::Kept, 10_000)?;
    let new = daemon.scrape_millis(Connections::New, 1000)?;

    println!(
        "{} entries in {} tables, {} rounds of {} s",
        arguments.entries,
        tables.len(),
        arguments.rounds,
        arguments.secs
    );
    Row {
        what: "1. processor time, at a reading each 10 s".into(),
        unit: "% of a core",
        figure: Spread::of(shares),
        goal: Goal::AtMost(1.0),
        from: "in user and system mode".into(),
    }
    .print();
    Row {
        what: "2. memory, after 10,000 scrapes".into(),
        unit: "MiB",
        figure: Spread::of([daemon.resident_mib()?]),
        goal: Goal::AtMost(24.0),
        from: "resident".into(),
    }
    .print();
    for (number, of, connection, times) in [(3, "kept", "one connection", kept), (4, "new", "a connection each", new)] {
        Row {
            what: format!("{number}. a scrape over a {of} connection, of 100 the 99th"),
            unit: "ms",
            figure: Spread::of(hundreds(&times)),
            goal: Goal::AtMost(5.0),
            from: format!(
                "{} scrapes, {connection}; the median of all is {:.3} ms",
                times.len(),
                Spread::of(times.clone()).median
            ),
        }
        .print();
    }
    Ok(())
}

fn filled(entries: u32) -> anyhow::Result<LabNamespace> {
    let namespace = LabNamespace::tracking().context("the bench needs root")?;
    let made = namespace.fill(mixed_entries(entries))?;
    ensure!(made == u64::from(entries), "{made} of {entries} entries could be made");
    Ok(namespace)
}

/// Of each hundred times the last but one.
fn hundreds(times: &[f64]) -> Vec<f64> {
    let of_hundred = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times[98]
    };
    times.chunks_exact(100).map(of_hundred).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Kept,
    New,
}

/// A daemon, ended when dropped.
struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    fn begin() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listen = format!("unix:{}", folder.path().join("watch.sock").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.args(["watch", "--quiet", "--listen", &listen, "--state-dir"]).arg(folder.path().join("state"));
        let child = command.stderr(Stdio::null()).spawn()?;
        Ok(Self { child, folder })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("watch.sock")
    }

    fn await_reading(&self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_mins(1);
        while scrape(&mut UnixStream::connect(self.socket()).ok()).unwrap_or_default() < 5000 {
            ensure!(Instant::now() < until, "no reading came");
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn cpu_percent(&self, over: Duration) -> anyhow::Result<f64> {
        let (before, began) = (self.cpu_secs()?, Instant::now());
        sleep(over);
        Ok((self.cpu_secs()? - before) / began.elapsed().as_secs_f64() * 100.0)
    }

    fn cpu_secs(&self) -> anyhow::Result<f64> {
        // All threads' run time, in nanoseconds: `utime` and `stime` count whole ticks of 10 ms.
        let mut nanos = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0);
        }
        Ok(nanos / 1e9)
    }

    fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    fn scrape_millis(&self, connections: Connections, number: u32) -> anyhow::Result<Vec<f64>> {
        let mut stream = None;
        let mut times = Vec::new();
        for _ in 0..number {
            let began = Instant::now();
            if stream.is_none() || connections == Connections::New {
                stream = Some(UnixStream::connect(self.socket())?);
            }
            ensure!(scrape(&mut stream).context("no answer")? > 5000, "the answer is too short");
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for the metrics and reads them; how many bytes there were.
fn scrape(stream: &mut Option<UnixStream>) -> Option<usize> {
    let stream = stream.as_mut()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if line.is_empty() {
            return None;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(length)
}
