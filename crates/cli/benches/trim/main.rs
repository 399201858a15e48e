//! What trimming a table costs, against a bare loop and against `conntrack -D`, on this machine's kernel. `scripts/bench trim`
//! runs it; `docs/trim.md` says what the figures mean.
//!
//! Whole processes are timed, from their start to their end, inside a namespace of the lab that is filled anew for each. What is
//! compared alternates, A B C A B C, so that a machine that is busy with something else slows down all of them.

mod bare;
#[path = "../check/figures.rs"]
mod figures;
#[path = "../check/report.rs"]
mod report;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use plimsoll_ctnetlink::{NewEntry, TcpState, table_statistics};
use plimsoll_lab::{Kind, LabNamespace, entries};

use crate::figures::{Spread, in_words, median_in_words};
use crate::report::{Goal, Row};

#[derive(Parser)]
struct Arguments {
    /// Entries in the table, all of them stale
    #[arg(long, default_value_t = 200_000)]
    entries: u32,
    /// How often each is measured
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// What `cargo bench` adds and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// What the bench starts itself as.
#[derive(Subcommand)]
enum Helper {
    /// Dumps and deletes, and parses nothing that it need not
    #[command(hide = true)]
    Bare,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.helper {
        Some(Helper::Bare) => bare::delete_all(),
        None if arguments.bench => run(&arguments),
        None => {
            println!("nothing is tested here: scripts/bench trim measures");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The times of one round.
struct Round {
    trim: Duration,
    bare: Duration,
    conntrack: Duration,
    /// The same with ten seconds left, without the wait for them.
    expire: Duration,
    /// `relieve` of a table that is filled to the limit.
    relieve: Duration,
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let namespace = LabNamespace::create().context("the bench needs root")?;
    namespace.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 30)?;
    let own = std::env::current_exe()?.display().to_string();
    let plimsoll = env!("CARGO_BIN_EXE_plimsoll");
    let rounds = (0..arguments.rounds)
        .map(|_| {
            let measure = |command: &[&str]| measure(&namespace, arguments.entries, command);
            Ok(Round {
                trim: measure(&[plimsoll, "trim", "--yes", "--now"])?,
                bare: measure(&[&own, "bare"])?,
                conntrack: measure(&["conntrack", "-D", "-p", "tcp", "--state", "TIME_WAIT"])?,
                expire: expire(&namespace, arguments.entries)?,
                relieve: relieve(&namespace, plimsoll)?,
            })
        })
        .collect::<anyhow::Result<Vec<Round>>>()?;

    let times = |of: fn(&Round) -> Duration| median_in_words(rounds.iter().map(of));
    let ratio = |over: fn(&Round) -> Duration, under: fn(&Round) -> Duration| {
        Spread::of(rounds.iter().map(|round| over(round).as_secs_f64() / under(round).as_secs_f64()))
    };
    println!("{} entries, {} rounds", arguments.entries, arguments.rounds);
    let (trim, bare) = (times(|round| round.trim), times(|round| round.bare));
    Row {
        what: "1. trim --yes --now, against a bare loop".into(),
        unit: "times the time",
        figure: ratio(|round| round.trim, |round| round.bare),
        goal: Goal::AtMost(1.15),
        from: format!("{trim} against {bare}"),
    }
    .print();
    Row {
        what: "2. trim --yes --now, against conntrack -D".into(),
        unit: "times as quick",
        figure: ratio(|round| round.conntrack, |round| round.trim),
        goal: Goal::AtLeast(1.5),
        from: format!("{trim} against {}", times(|round| round.conntrack)),
    }
    .print();
    Row {
        what: "3. relieve --yes, of a full table".into(),
        unit: "s",
        figure: Spread::of(rounds.iter().map(|round| round.relieve.as_secs_f64())),
        goal: Goal::AtMost(5.0),
        from: "from its start to its end, with a second of reading afterwards".into(),
    }
    .print();
    println!("   giving them ten seconds instead, without waiting: {} in a library call", times(|round| round.expire));
    Ok(())
}

/// Fills the table and times a command that empties it.
fn measure(namespace: &LabNamespace, count: u32, command: &[&str]) -> anyhow::Result<Duration> {
    fill(namespace, count)?;
    let (program, arguments) = command.split_first().context("no program")?;
    let run = || -> anyhow::Result<Duration> {
        let began = Instant::now();
        let output = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let took = began.elapsed();
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(took)
    };
    let took = namespace.enter(run)??;
    let left = namespace.enter(table_statistics)??.occupancy;
    ensure!(left.0 == 0, "{program} left {left} of {count} entries, after {}", in_words(took));
    Ok(took)
}

/// Fills the table to the limit, which stays as it is: the machine's is not to be changed. Then no flow can begin, and all are stale.
fn relieve(namespace: &LabNamespace, plimsoll: &str) -> anyhow::Result<Duration> {
    let limit = plimsoll_host::HostFs::new().capacity()?.0;
    let folder = tempfile::tempdir()?;
    let state_dir = folder.path().display().to_string();
    let command =
        [plimsoll, "relieve", "--netns", "this", "--yes", "--memory-share", "0.001%", "--state-dir", &state_dir];
    measure(namespace, limit, &command)
}

/// Times the writing alone: the ten seconds that follow are the same for everybody.
fn expire(namespace: &LabNamespace, count: u32) -> anyhow::Result<Duration> {
    use plimsoll_trim::{Ground, Limits, Manner, Trimming, Wish};

    fill(namespace, count)?;
    let act = || -> anyhow::Result<Duration> {
        let began = Instant::now();
        let ground = Ground::read(&plimsoll_host::HostFs::new())?;
        let stop = std::sync::atomic::AtomicBool::new(false);
        let acted = Trimming::new(&ground, Wish::default(), Manner::Expire).act(&Limits::none(&stop))?;
        ensure!(acted.changed() == u64::from(count), "{} of {count} were changed", acted.changed());
        Ok(began.elapsed())
    };
    let took = namespace.enter(act)??;
    namespace.enter(bare::delete_all)??;
    Ok(took)
}

fn fill(namespace: &LabNamespace, count: u32) -> anyhow::Result<()> {
    let stale = entries(Kind::AssuredTcp(TcpState::TimeWait), 0, count);
    let made = namespace.fill(stale.map(|entry| NewEntry { timeout_secs: 80, ..entry }))?;
    ensure!(made == u64::from(count), "{made} of {count} entries could be made");
    Ok(())
}
