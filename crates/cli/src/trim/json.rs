//! The JSON document of `trim`. `docs/trim.md` describes every key; what is here never changes its meaning within a schema
//! version.

use std::collections::BTreeMap;

use plimsoll_model::{Capacity, Inode, Occupancy, Policies, StateKey, Untrusted};
use plimsoll_trim::{Ended, GRACE_SECS, Left, Manner};
use serde::Serialize;

use super::names::TimeoutSetting;
use super::report::{Done, Report, Wait};

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.trim/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    namespace: &'a Untrusted,
    inode: Option<Inode>,
    manner: Manner,
    grace_secs: Option<u32>,
    occupancy: Occupancy,
    capacity: Option<Capacity>,
    policies: Policies,
    as_if: BTreeMap<String, u32>,
    armed: Vec<Armed>,
    read: u64,
    stale: u64,
    ambiguous: Option<u64>,
    states: Vec<OfState>,
    left: BTreeMap<Left, u64>,
    done: Option<What>,
}

#[derive(Serialize)]
struct Armed {
    sysctl: String,
    secs: u32,
}

#[derive(Serialize)]
struct OfState {
    state: StateKey,
    read: u64,
    stale: u64,
    changed: Option<u64>,
}

#[derive(Serialize)]
struct What {
    changed: u64,
    gone: u64,
    fixed_timeout: u64,
    alive: u64,
    not_looked_at: u64,
    ended: Ended,
    waited: bool,
    until: Option<Occupancy>,
    occupancy_before: Occupancy,
    occupancy_after: Occupancy,
    live_after: Option<u64>,
}

pub(super) fn render(report: &Report<'_>) -> anyhow::Result<String> {
    let rows = report.rows().into_iter();
    let document = Document {
        schema: SCHEMA,
        namespace: &report.namespace.name,
        inode: report.namespace.inode,
        manner: report.manner,
        grace_secs: (report.manner == Manner::Expire).then_some(GRACE_SECS),
        occupancy: report.ground.table.occupancy,
        capacity: report.ground.table.capacity,
        policies: report.ground.policies,
        as_if: report.as_if.iter().map(|set| (set.sysctl.to_string(), set.secs)).collect(),
        armed: report.armed.iter().map(armed).collect(),
        read: report.read(),
        stale: report.stale(),
        ambiguous: report.plan.as_ref().map(|plan| plan.ambiguous),
        states: rows
            .map(|row| OfState {
                state: row.state,
                read: row.counts.read,
                stale: row.counts.stale,
                changed: row.changed,
            })
            .collect(),
        left: report.left(),
        done: report.done.as_ref().map(what),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn armed(set: &TimeoutSetting) -> Armed {
    Armed { sysctl: set.sysctl.to_string(), secs: set.secs }
}

fn what(Done { acted, settled, until, wait }: &Done) -> What {
    What {
        changed: acted.changed(),
        gone: acted.gone,
        fixed_timeout: acted.fixed,
        alive: acted.alive,
        not_looked_at: acted.not_looked_at,
        ended: acted.ended,
        waited: *wait == Wait::Over,
        until: *until,
        occupancy_before: acted.before,
        occupancy_after: settled.occupancy,
        live_after: settled.live,
    }
}
