//! What may become of a class of packets, and by which rules.

use std::collections::BTreeMap;

use plimsoll_model::Untrusted;

use crate::class::PacketClass;
use crate::model::{Effect, Ruleset};

/// One thing that may become of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Which packets.
    pub class: PacketClass,
    /// What became of them.
    pub outcome: Outcome,
    /// What was done on the way, in order.
    pub effects: Vec<Done>,
    /// The rules that they matched, in order, the policy of a base chain where it decided.
    pub steps: Vec<Step>,
    /// Conditions that are not reckoned, and how they are on this way.
    pub facts: BTreeMap<Fact, bool>,
    /// Rules on the way of which it is not known what they depend on.
    pub doubts: Vec<Place>,
}

/// A condition that is not reckoned, where it was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// Hook and condition, as a person reads it.
    pub asked: String,
    /// For which packets it holds alike.
    pub of: Of,
}

/// For which packets a condition holds alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// For all of a flow that go in one direction.
    Flow,
    /// For this one.
    Packet,
}

/// What becomes of packets in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// They pass.
    Accept,
    /// They are dropped.
    Drop,
    /// They are dropped, and the sender is told.
    Reject(Untrusted),
    /// A program decides.
    Queue,
    /// Something answers in the receiver's stead.
    Answered,
    /// Not known: something was not understood.
    Unknown,
}

/// Something that was done, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What.
    pub effect: Effect,
    /// By which rule.
    pub place: Place,
}

/// A rule that packets matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The base chain that it was reached from: indices of its table, and in this of the chain.
    pub base: (usize, usize),
    /// The rule.
    pub place: Place,
}

/// A rule's place in the ruleset, or that of a base chain's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the table.
    pub table: usize,
    /// Index of the chain.
    pub chain: usize,
    /// Index of the rule; `None` for the policy.
    pub rule: Option<usize>,
}

impl Ruleset {
    /// A place in words, for a person.
    pub fn show(&self, place: Place) -> Untrusted {
        let Some(table) = self.tables.get(place.table) else { return Untrusted::from("no such table") };
        let Some(chain) = table.chains.get(place.chain) else { return Untrusted::from("no such chain") };
        let of = format!("table {} {}, chain {}", table.family.name(), table.name, chain.name);
        let Some(at) = place.rule else { return Untrusted::from(format!("{of}: its policy").as_str()) };
        let Some(rule) = chain.rules.get(at) else { return Untrusted::from(of.as_str()) };
        let comment = rule.comment.as_ref().map(|comment| format!(" ({comment})")).unwrap_or_default();
        let of = Untrusted::from(of.as_str());
        Untrusted::from_escaped(format!("{of}, rule {}: {}{comment}", at + 1, rule.text))
    }
}
