//! What recording costs, against a bare receive loop and against `conntrack -E`, on this machine's kernel. `scripts/bench record`
//! runs it; `docs/performance.md` says what the figures mean.
//!
//! Each listens to the same flows, which pass a router in a namespace of the lab: the generator on one CPU, whoever listens
//! on the other. They take turns, A B C A B C, so that a machine that is busy with something else slows down all of them; and all
//! come before others of their session, or the rate would not be reached.

mod bare;
#[path = "../check/figures.rs"]
#[expect(dead_code, reason = "times in words are for others")]
mod figures;
mod launch;
mod listeners;
#[path = "../check/report.rs"]
mod report;
mod rounds;
mod socket;
mod traffic;

use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::ensure;
use clap::{Parser, Subcommand};

use crate::launch::Launch;
use crate::rounds::Rounds;
use crate::traffic::Kind;

/// The generator is here, and whoever listens is on the next.
const CPU: usize = 0;

#[derive(Parser)]
struct Arguments {
    /// How often each listens
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// New flows a second
    #[arg(long, default_value_t = 30_000)]
    rate: u64,
    /// For how long they begin
    #[arg(long, default_value_t = 8)]
    secs: u64,
    /// Only these flows
    #[arg(long)]
    flows: Option<Kind>,
    /// What `cargo bench` adds and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// What the bench starts itself as.
#[derive(Subcommand)]
enum Helper {
    /// Runs a program until it is told to stop and tells what it used
    #[command(hide = true)]
    Launch(Launch),
    /// Receives events and does nothing with them
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        rest_micros: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.helper {
        Some(Helper::Launch(launch)) => launch.run(),
        Some(Helper::Bare { rest_micros }) => bare::receive(Duration::from_micros(rest_micros)),
        None if arguments.bench => run(&arguments),
        None => {
            println!("nothing is tested here: scripts/bench record measures");
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

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(available_parallelism()?.get() > 1, "a generator and a listener take a CPU each");
    launch::stay_on(CPU)?;
    let kinds = Kind::ALL.into_iter().filter(|kind| arguments.flows.is_none_or(|only| only == *kind));
    for kind in kinds {
        Rounds::measure(kind, arguments.rate, arguments.secs, arguments.rounds)?.print();
    }
    rounds::memory(arguments.rate, arguments.secs)?.print();
    Ok(())
}
