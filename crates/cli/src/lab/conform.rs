//! `plimsoll lab conform`: how well the twin knows this machine's kernel.

mod json;
mod packets;

use std::fs;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, anyhow};
use plimsoll_diagnose::words::grouped;
use plimsoll_lab::conform::{Agreement, Difference, Disagreement, Known, Plan, Probed, conform, probe};
use plimsoll_lab::{refuse_on_a_busy_host, stop_on_signals};
use plimsoll_model::{Entry, Status, Untrusted};
use plimsoll_twin::{Capabilities, Version};

use crate::arguments::ConformArguments;
use crate::output;
use crate::wrap::paragraph;

/// What was measured.
pub(super) struct Conformance {
    release: Untrusted,
    probed: Vec<Probed>,
    capabilities: Capabilities,
    plan: Plan,
    agreement: Agreement,
}

/// Measures; the code says whether twin and kernel agree.
pub(super) fn run(arguments: &ConformArguments) -> anyhow::Result<ExitCode> {
    if !arguments.on_this_host {
        refuse_on_a_busy_host()?;
    }
    let stop = stop_on_signals()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's version")?;
    let release = Untrusted::from(release.trim());
    let version = Version::of_release(release.as_str())
        .ok_or_else(|| anyhow!("the kernel calls itself {release}, which begins with no version"))?;
    let say = |text: &str| output::write_progress(text, arguments.color);
    say("Asking this kernel for its capabilities, in network namespaces of the lab's own.\n");
    let (capabilities, probed) = probe(Capabilities::guess(version))?;
    let plan = Plan { packets: arguments.packets.get(), seed: arguments.seed };
    say(&format!("Playing {} packets to it and to the twin.\n", grouped(plan.packets)));
    let mut told = 0;
    let agreement = conform(plan, capabilities, &stop, &mut |packets| {
        let tenth = packets * 10 / plan.packets;
        if tenth > told && tenth < 10 {
            told = tenth;
            say(&format!("  {}\n", grouped(packets)));
        }
    })?;
    if stop.load(Ordering::Relaxed) && agreement.packets == 0 {
        return Err(anyhow!("interrupted before anything was played"));
    }
    let conformance = Conformance { release, probed, capabilities, plan, agreement };
    let written = if arguments.json { json::document(&conformance)? } else { conformance.text() };
    output::write(&written, arguments.color)?;
    Ok(conformance.exit_code())
}

impl Conformance {
    fn agrees(&self) -> bool {
        self.agreement.flows_that_differ == 0 && self.agreement.counters_that_differ == 0
    }

    fn exit_code(&self) -> ExitCode {
        match (self.agrees(), self.agreement.was_stopped) {
            (false, _) => ExitCode::from(1),
            (true, true) => ExitCode::from(output::COULD_NOT_TELL),
            (true, false) => ExitCode::SUCCESS,
        }
    }

    /// The least share of flows in which the two agree, with 95 % confidence: where none of n differed, at most about
    /// 3 of n would.
    fn least_share(&self) -> Option<f64> {
        const THREE: f64 = 2.996;
        let flows = self.agreement.flows as f64;
        (self.agreement.flows_that_differ == 0 && flows > THREE).then_some(1.0 - THREE / flows)
    }

    fn text(&self) -> String {
        let agreement = &self.agreement;
        let mut text = format!("Linux {}\n", self.release);
        for probed in &self.probed {
            let known = match probed.known {
                Known::Measured => "measured",
                Known::Guessed => "guessed from the version",
            };
            text.push_str(&format!("  {:<18} {:<26} {known}\n", probed.capability, probed.way));
        }
        text.push_str(&format!(
            "{} packets of {} flows (seed {}), {} entries compared{}\n",
            grouped(agreement.packets),
            grouped(agreement.flows),
            self.plan.seed,
            grouped(agreement.comparisons),
            if agreement.was_stopped { "; stopped before its end" } else { "" }
        ));
        text.push_str(&match self.least_share() {
            Some(least) => format!(
                "The twin agrees with this kernel in every flow; with 95% confidence in {:.3}% of such flows or more.\n",
                least * 100.0
            ),
            None => format!(
                "The twin differs from this kernel in {} of {} flows ({:.3}%).\n",
                grouped(agreement.flows_that_differ),
                grouped(agreement.flows),
                100.0 - agreement.share() * 100.0
            ),
        });
        if agreement.counters_that_differ > 0 {
            text.push_str(&format!(
                "Counters differed in {} rounds in which no flow did.\n",
                grouped(agreement.counters_that_differ)
            ));
        }
        for disagreement in &agreement.disagreements {
            text.push_str(&self.disagreement(disagreement));
        }
        text
    }

    fn disagreement(&self, disagreement: &Disagreement) -> String {
        let mut text = format!("\n{}", disagreement.flow);
        if !disagreement.settings.is_empty() {
            text.push_str(&format!(", with {}", disagreement.settings));
        }
        text.push('\n');
        for played in &disagreement.packets {
            text.push_str(&paragraph("  ", &packets::line(played, &self.capabilities)));
        }
        let (kernel, twin) = sides(&disagreement.difference);
        text.push_str(&paragraph("  kernel: ", &kernel));
        text.push_str(&paragraph("  twin:   ", &twin));
        text
    }
}

/// What each of the two says.
fn sides(difference: &Difference) -> (String, String) {
    match difference {
        Difference::Class { kernel, twin } => (format!("{kernel:?}"), format!("{twin:?}")),
        Difference::Entry { kernel, twin } => {
            let entry =
                |entry: &Option<Box<Entry>>| entry.as_ref().map_or("no entry".to_string(), |entry| shown(entry));
            (entry(kernel), entry(twin))
        }
        Difference::Counter { counter, kernel, twin } => {
            (format!("{} {kernel}", counter.name()), format!("{} {twin}", counter.name()))
        }
    }
}

fn shown(entry: &Entry) -> String {
    let mut text = format!("{} {}", entry.original.protocol, entry.state);
    let flags = [(Status::SEEN_REPLY, "seen reply"), (Status::ASSURED, "assured"), (Status::EXPECTED, "expected")];
    for (_, name) in flags.into_iter().filter(|(flag, _)| entry.status.has(*flag)) {
        text.push_str(&format!(", {name}"));
    }
    if let Some(secs) = entry.remaining_secs {
        text.push_str(&format!(", {secs} s left"));
    }
    if let Some(side) = entry.closed_first {
        text.push_str(&format!(", closed first by the {}", format!("{side:?}").to_lowercase()));
    }
    text.push_str(&format!("; answers come as {}", packets::tuple(&entry.reply)));
    text
}
