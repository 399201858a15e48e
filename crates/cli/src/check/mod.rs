//! `plimsoll check`: one reading, one verdict.

mod census;
mod churn;
mod detail;
mod json;
pub(crate) mod kubernetes;
mod text;

use std::io::{self, IsTerminal};

use plimsoll_diagnose::diagnose;
use plimsoll_kube::Policy;
use plimsoll_model::{Finding, NamespaceSnapshot, Snapshot, Untrusted, Verdict};
use plimsoll_observe::{Asked, Bounds, Depth, Options, Target, advise_on_proxies, ask_whose, observe};
use serde_json::Value;

pub(crate) use self::churn::outlook;

use self::detail::Detail;
use self::kubernetes::Names;
use crate::apply::say_what_is_pending;
use crate::arguments::CheckArguments;
use crate::{apply, output};

/// A reading, and what follows from it.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) snapshot: Snapshot,
    pub(crate) findings: Vec<Finding>,
}

impl Checked {
    /// Reads and diagnoses; asks Kubernetes by the policy. `provisional` is called with what a sample tells while the whole table is still to be read.
    pub(crate) fn read(
        options: &Options,
        kube: Policy,
        provisional: &mut dyn FnMut(&Snapshot, &[Finding]),
    ) -> Result<Self, plimsoll_observe::Error> {
        let snapshot = observe(options, &mut |snapshot| provisional(snapshot, &diagnose(snapshot)))?;
        Ok(Self::of(snapshot, Bounds::ONCE, &|_| false, &mut Names::by(kube)))
    }

    /// Diagnoses what was read. Whose the entries are is asked of tables that something fills, and of those that are `wanted`.
    pub(crate) fn of(
        mut snapshot: Snapshot,
        bounds: Bounds,
        wanted: &dyn Fn(&NamespaceSnapshot) -> bool,
        names: &mut Names,
    ) -> Self {
        plimsoll_apply::note_applied(&mut snapshot, &apply::state_dir());
        let mut findings = diagnose(&snapshot);
        // Whose the entries are is asked where something fills a table: it takes a look at every socket.
        let causes = |name: &Untrusted| {
            findings.iter().any(|finding| finding.is_of_entries() && finding.namespace.as_ref() == Some(name))
        };
        let asked = ask_whose(&mut snapshot, bounds, |ns| causes(&ns.namespace.name) || wanted(ns));
        if asked == Asked::Some || names.are_insisted_on() {
            names.give_to(&mut snapshot);
            findings = diagnose(&snapshot);
            advise_on_proxies(&snapshot, &mut findings, Bounds::ONCE);
        }
        Self { snapshot, findings }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        text::render(&self.snapshot, &self.findings, Detail::WhatMatters)
    }

    /// For programs.
    pub(crate) fn document(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(json::Document::of(&self.snapshot, &self.findings))?)
    }
}

/// Checks the host, writes what was found, and returns the verdict.
pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<Verdict> {
    let mut write_provisional = |snapshot: &Snapshot, findings: &[Finding]| {
        if !arguments.json && !arguments.quiet {
            output::write_progress(&text::provisional(snapshot, findings), arguments.color);
        }
    };
    if let Some(watched) = arguments.watch_for.filter(|_| io::stderr().is_terminal()) {
        let secs = watched.as_secs_f64();
        output::write_progress(&format!("Watching for {secs} s how many entries there are ...\n"), arguments.color);
    }
    let Checked { snapshot, findings } =
        Checked::read(&options(arguments), arguments.kube.into(), &mut write_provisional).inspect_err(|error| {
            if arguments.json {
                // Whoever reads documents gets one; why there is no more goes to standard error too.
                output::write(&json::failed(error), arguments.color).ok();
            }
        })?;
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
    if !arguments.quiet {
        say_what_is_pending(arguments.color);
    }
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
    let interval = arguments.watch_for.unwrap_or(arguments.interval);
    Options { target, interval, depth, timeout: arguments.timeout }
}
