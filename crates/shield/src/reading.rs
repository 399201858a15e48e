//! What the rules of a shield have counted.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::Shield;
use serde::Serialize;
use serde_json::Value;

use crate::rules::{TABLE, armed_set};

/// The counters of the table, by name.
pub(crate) const COUNTERS: [&str; 12] = [
    "seen",
    "allowed",
    "known",
    "listed",
    "over_source",
    "over_prefix",
    "without_room",
    "over_total",
    "picked_up",
    "proxied",
    "unrecorded",
    "dropped",
];

/// Packets that the rules have counted since they were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Of the class, but for loopback.
    pub seen: u64,
    /// Of those who are allowed.
    pub allowed: u64,
    /// Of UDP peers that are known.
    pub known: u64,
    /// Of sources that are listed to be dropped.
    pub listed: u64,
    /// Over the limit of their source.
    pub over_source: u64,
    /// Over the limit of their prefix.
    pub over_prefix: u64,
    /// Of sources for which the set had no room.
    pub without_room: u64,
    /// Of these, over the limit that they have together.
    pub over_total: u64,
    /// In shadow: packets of connections that tracking does not know, which SYNPROXY would drop.
    pub picked_up: u64,
    /// SYNs that SYNPROXY was given.
    pub proxied: u64,
    /// Too many, and from a source that could not be noted.
    pub unrecorded: u64,
    /// Dropped, because the shield was enforced.
    pub dropped: u64,
}

/// A source of which something was too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The source.
    pub source: IpAddr,
    /// Packets that were too many, since it was noted; a source without any for a minute is forgotten.
    pub packets: u64,
}

/// What a shield is doing, as the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// How long it goes on counting, in seconds; 0 where it has ended.
    pub armed_secs: u64,
    /// How long it goes on dropping, in seconds; 0 in shadow.
    pub enforced_secs: u64,
    /// Its counters.
    pub counters: Counters,
    /// Those of whom something was too many within the last minute.
    pub hits: Vec<Hit>,
}

/// Why what nft wrote is no reading.
#[derive(Debug, thiserror::Error)]
pub enum NoReading {
    /// It is not JSON.
    #[error("what nft wrote is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It lacks something.
    #[error("what nft wrote of the table {TABLE} has no {0}")]
    Lacks(&'static str),
}

/// What `nft -j` is asked, one command each: together, or all of the table, would write every source that is limited.
pub fn asking(application: u32) -> [String; 5] {
    let set = |name: &str| format!("list set {TABLE} {name}");
    let armed = set(&armed_set(application));
    [armed, set("enforced"), set("hit4"), set("hit6"), format!("list counters table {TABLE}")]
}

impl Reading {
    /// Whether it drops.
    pub const fn is_enforced(&self) -> bool {
        self.armed_secs > 0 && self.enforced_secs > 0
    }

    /// From what `nft -j` answers to [`asking`]. What is not known in it is passed over.
    pub fn from_json(answers: &[String], shield: &Shield, application: u32) -> Result<Self, NoReading> {
        let mut objects = Vec::new();
        for answer in answers {
            let document: Value = serde_json::from_str(answer)?;
            objects.extend(document["nftables"].as_array().cloned().unwrap_or_default());
        }
        let set = |name: &str| objects.iter().filter_map(|object| object.get("set")).find(|set| set["name"] == name);
        let armed = set(&armed_set(application)).ok_or(NoReading::Lacks("set that arms it"))?;
        let enforced = set("enforced").ok_or(NoReading::Lacks("set that enforces it"))?;
        let hits = ["hit4", "hit6"].into_iter().filter_map(set).flat_map(elements).filter_map(hit).collect();
        let protocol = shield.class.protocol().name();
        Ok(Self {
            armed_secs: left(armed, protocol).as_secs(),
            enforced_secs: left(enforced, protocol).as_secs(),
            counters: counters(&objects),
            hits,
        })
    }
}

fn elements(set: &Value) -> impl Iterator<Item = &Value> {
    set["elem"].as_array().into_iter().flatten()
}

/// How long an element is in its set still. One without a timeout is not of our making.
fn left(set: &Value, protocol: &str) -> Duration {
    let element = elements(set).map(|element| &element["elem"]).find(|element| element["val"] == protocol);
    // What has less than a second left shows none.
    let secs = element.map_or(0, |element| element["expires"].as_u64().unwrap_or(0).max(1));
    Duration::from_secs(secs)
}

fn hit(element: &Value) -> Option<Hit> {
    let element = element.get("elem")?;
    let source = element["val"].as_str()?.parse().ok()?;
    Some(Hit { source, packets: element["counter"]["packets"].as_u64()? })
}

fn counters(objects: &[Value]) -> Counters {
    let packets = |name: &str| {
        let counters = objects.iter().filter_map(|object| object.get("counter"));
        counters.filter(|counter| counter["name"] == name).find_map(|counter| counter["packets"].as_u64()).unwrap_or(0)
    };
    Counters {
        seen: packets("seen"),
        allowed: packets("allowed"),
        known: packets("known"),
        listed: packets("listed"),
        over_source: packets("over_source"),
        over_prefix: packets("over_prefix"),
        without_room: packets("without_room"),
        over_total: packets("over_total"),
        picked_up: packets("picked_up"),
        proxied: packets("proxied"),
        unrecorded: packets("unrecorded"),
        dropped: packets("dropped"),
    }
}
