//! What a check costs, against what one would do without it, on this machine's kernel. `scripts/bench` runs it;
//! `docs/performance.md` says what the figures mean.
//!
//! Whole processes are timed inside namespaces of the lab. What is compared alternates, A B A B, so that a machine that
//! is busy with something else slows down both.

mod capacity;
mod delay;
mod figures;
mod launch;
mod report;
mod rows;
mod surroundings;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use plimsoll_lab::{LabNamespace, mixed_entries};

use crate::capacity::{Capacity, Permission};
use crate::launch::Launch;

#[derive(Parser)]
struct Arguments {
    /// Entries in the table
    #[arg(long, default_value_t = 200_000)]
    entries: u32,
    /// Raise `net.netfilter.nf_conntrack_max` for the run where it is too low
    #[arg(long)]
    allow_global: bool,
    /// What `cargo bench` adds and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// What the bench starts itself as.
#[derive(Subcommand)]
enum Helper {
    /// Runs a program and tells what it used
    #[command(hide = true)]
    Launch(Launch),
    /// Receives a dump and parses nothing of it
    #[command(hide = true)]
    RawDump,
    /// Waits for the end of the bench and sets the capacity back
    #[command(hide = true)]
    Restore { old: u32, raised: u32 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.helper {
        Some(Helper::Launch(launch)) => launch.run(),
        Some(Helper::RawDump) => raw_dump(),
        Some(Helper::Restore { old, raised }) => capacity::restore_at_end(old, raised),
        None if arguments.bench => run(&arguments),
        None => {
            println!("nothing is tested here: scripts/bench measures");
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
    let permission = if arguments.allow_global { Permission::Given } else { Permission::NotGiven };
    let _capacity = Capacity::for_entries(arguments.entries, permission)?;

    // Before anything is tracked: this one is about an idle host.
    let idle = LabNamespace::create().context("the bench needs root")?;
    surroundings::print()?;
    rows::idle(&idle)?.print();
    drop(idle);

    let table = filled(arguments.entries)?;
    rows::warm_up(&table, arguments.entries)?;
    rows::against_conntrack(&table, arguments.entries)?.print();
    rows::against_smaller(&table, &filled(arguments.entries / 4)?)?.print();
    for row in rows::against_bare_loop(&table)? {
        row.print();
    }
    rows::memory(&table)?.print();
    delay::measure(&table)
}

fn filled(entries: u32) -> anyhow::Result<LabNamespace> {
    let namespace = LabNamespace::tracking()?;
    let made = namespace.fill(mixed_entries(entries))?;
    anyhow::ensure!(made == u64::from(entries), "{made} of {entries} entries could be made");
    Ok(namespace)
}

fn raw_dump() -> anyhow::Result<()> {
    let mut dump = plimsoll_ctnetlink::RawDump::start()?;
    while dump.next_datagram()?.is_some() {}
    Ok(())
}
