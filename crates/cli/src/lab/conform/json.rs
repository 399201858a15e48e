//! The JSON of `plimsoll lab conform`.

use plimsoll_lab::conform::{Disagreement, Known};
use plimsoll_model::Untrusted;
use serde::Serialize;

use super::{Conformance, packets, sides};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    release: &'a Untrusted,
    capabilities: Vec<Capability>,
    seed: u64,
    packets: u64,
    flows: u64,
    comparisons: u64,
    flows_that_differ: u64,
    counters_that_differ: u64,
    agreement: f64,
    agreement_at_least: Option<f64>,
    partial: bool,
    disagreements: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Capability {
    name: &'static str,
    way: &'static str,
    measured: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    flow: &'a str,
    settings: &'a str,
    packets: Vec<String>,
    kernel: String,
    twin: String,
}

pub(super) fn document(conformance: &Conformance) -> anyhow::Result<String> {
    let agreement = &conformance.agreement;
    let capabilities = conformance.probed.iter().map(|probed| Capability {
        name: probed.capability,
        way: probed.way,
        measured: probed.known == Known::Measured,
    });
    let document = Document {
        schema: "plimsoll.conform/1",
        release: &conformance.release,
        capabilities: capabilities.collect(),
        seed: conformance.plan.seed,
        packets: agreement.packets,
        flows: agreement.flows,
        comparisons: agreement.comparisons,
        flows_that_differ: agreement.flows_that_differ,
        counters_that_differ: agreement.counters_that_differ,
        agreement: agreement.share(),
        agreement_at_least: conformance.least_share(),
        partial: agreement.was_stopped,
        disagreements: agreement.disagreements.iter().map(|disagreement| shown(conformance, disagreement)).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn shown<'a>(conformance: &Conformance, disagreement: &'a Disagreement) -> Shown<'a> {
    let packets = disagreement.packets.iter().map(|played| packets::line(played, &conformance.capabilities));
    let (kernel, twin) = sides(&disagreement.difference);
    Shown { flow: &disagreement.flow, settings: &disagreement.settings, packets: packets.collect(), kernel, twin }
}
