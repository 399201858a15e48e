//! `plimsoll check`: one reading, one verdict.

mod census;
mod detail;
mod json;
mod text;
mod wrap;

use plimsoll_diagnose::diagnose;
use plimsoll_model::{Snapshot, Verdict};
use plimsoll_observe::{Depth, Options, Target, observe};

use self::detail::Detail;
use crate::arguments::CheckArguments;
use crate::output;

/// Checks the host, writes what was found, and returns the verdict.
pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<Verdict> {
    let mut write_provisional = |snapshot: &Snapshot| {
        if !arguments.json && !arguments.quiet {
            output::write_progress(&text::provisional(snapshot, &diagnose(snapshot)), arguments.color);
        }
    };
    let snapshot = observe(&options(arguments), &mut write_provisional).inspect_err(|error| {
        if arguments.json {
            // Whoever reads documents gets one; why there is no more goes to standard error too.
            output::write(&json::failed(error), arguments.color).ok();
        }
    })?;
    let findings = diagnose(&snapshot);
    let verdict = Verdict::of(&findings);
    let written = if arguments.json {
        json::render(&snapshot, &findings)?
    } else if arguments.quiet {
        text::verdict_line(&snapshot, &findings)
    } else if arguments.verbose {
        text::render(&snapshot, &findings, Detail::Everything)
    } else {
        text::render(&snapshot, &findings, Detail::WhatMatters)
    };
    output::write(&written, arguments.color)?;
    Ok(verdict)
}

fn options(arguments: &CheckArguments) -> Options {
    let depth = match arguments.sample {
        _ if arguments.exact => Depth::Exact,
        Some(entries) => Depth::Sample(entries),
        None => Depth::Precise,
    };
    let target = match arguments.netns.as_str() {
        "all" => Target::All,
        name => Target::Named(name.to_string()),
    };
    Options { target, interval: arguments.interval, depth, timeout: arguments.timeout }
}
