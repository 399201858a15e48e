//! What is found of a bypass.

use std::fmt;

use plimsoll_model::Untrusted;
use serde::Serialize;

use crate::addition::Addition;
use crate::model::Ruleset;

/// Whether a service's packets can be left untracked so that the ruleset means the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// They can, once these rules are there.
    Safe(Safe),
    /// They cannot: something would pass that did not, or not what did, or something would be missed.
    Unsafe(Vec<Reason>),
    /// It cannot be told. Not safe, therefore.
    Undecided(Vec<Reason>),
}

/// What a bypass takes that is safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safe {
    /// Rules to be added to others' chains before; none in most cases.
    pub additions: Vec<Addition>,
    /// What it costs, and what it rests on.
    pub prices: Vec<Price>,
}

impl Safe {
    /// The commands that add the rules, in the order in which their places are right; `None` where one of them cannot be written.
    pub fn commands(&self, ruleset: &Ruleset) -> Option<Vec<Vec<String>>> {
        let mut additions: Vec<_> = self.additions.iter().collect();
        // The last first: what is added before a rule moves those behind it.
        additions.sort_by_key(|addition| std::cmp::Reverse(addition.before));
        let commands: Option<Vec<_>> = additions.into_iter().map(|addition| addition.commands(ruleset)).collect();
        commands.map(|commands| commands.into_iter().flatten().collect())
    }

    /// The same in one line, for a sentence; empty where none is added.
    pub fn in_one_line(&self, ruleset: &Ruleset) -> String {
        let commands = self.commands(ruleset).unwrap_or_default();
        commands.iter().map(|command| format!("`{}`", command.join(" "))).collect::<Vec<_>>().join(", ")
    }
}

/// What a bypass costs, or rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "price", rename_all = "snake_case")]
pub enum Price {
    /// Packets pass that look like answers, and that nobody asked for.
    OpensAnswers {
        /// Where they were dropped before.
        before: Untrusted,
    },
    /// ICMP errors pass that belong to no flow.
    OpensErrors {
        /// Where they were dropped before.
        before: Untrusted,
    },
    /// Malformed datagrams pass on.
    OpensMalformed {
        /// Where they were dropped before.
        before: Untrusted,
    },
    /// It holds as long as no flow begins in the direction of the answers.
    ClientsBegin,
    /// A program writes rules of its own as things come and go; what it writes later is not judged.
    WrittenBy {
        /// Whose names some chains have.
        program: &'static str,
    },
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpensAnswers { before } => {
                write!(
                    f,
                    "packets that look like its answers pass though nobody asked; before they were dropped by {before}"
                )
            }
            Self::OpensErrors { before } => {
                write!(f, "ICMP errors pass though they belong to no flow; before they were dropped by {before}")
            }
            Self::OpensMalformed { before } => {
                write!(
                    f,
                    "datagrams with wrong lengths or checksums are passed on; before they were dropped by {before}"
                )
            }
            Self::ClientsBegin => f.write_str("it holds while the service itself begins no flow from its port"),
            Self::WrittenBy { program } => {
                write!(f, "{program} writes rules as things come and go: judge again when it has")
            }
        }
    }
}

/// Why a bypass is not safe, or cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// Which packets.
    pub packets: Packets,
    /// What is wrong.
    pub trouble: Trouble,
    /// The rule or policy by which it shows when they are tracked.
    pub tracked: Option<Untrusted>,
    /// When they are not.
    pub untracked: Option<Untrusted>,
}

/// Packets of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Packets {
    /// Requests.
    Requests,
    /// Answers.
    Answers,
    /// ICMP errors about either.
    Errors,
}

/// What is wrong with a bypass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Their addresses are translated.
    Translated,
    /// Their entries are marked, offloaded, counted, given a helper or zone.
    EntryUsed,
    /// They pass tracked, and would be dropped.
    Dropped,
    /// They are dropped tracked, and would pass.
    Passes,
    /// Something else would become of them.
    OtherOutcome,
    /// Something else would be done on the way: a mark, a log line, a limit.
    OtherEffects,
    /// A rule on their way is not understood.
    NotUnderstood,
    /// The rules take them too many ways.
    TooManyWays,
    /// The class cannot be written as rules.
    NotWritable,
    /// IPVS balances the service, and needs its entries.
    Balanced,
    /// conntrackd replicates entries to another host.
    Replicated,
}

impl Trouble {
    /// Whether it is a lack of knowledge.
    pub(crate) const fn is_ignorance(self) -> bool {
        matches!(self, Self::NotUnderstood | Self::TooManyWays | Self::NotWritable)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Translated => "have their addresses translated, which needs an entry",
            Self::EntryUsed => "have their entries marked, offloaded, counted, or given a helper or zone",
            Self::Dropped => "pass while they are tracked, and would be dropped",
            Self::Passes => "are dropped while they are tracked, and would pass",
            Self::OtherOutcome => "would meet another end",
            Self::OtherEffects => "would have something else done to them: a mark, a log line, a limit",
            Self::NotUnderstood => "meet a rule that is not understood",
            Self::TooManyWays => "go too many ways through the rules",
            Self::NotWritable => "cannot be told from others in one rule",
            Self::Balanced => "go to a virtual service of IPVS, which needs their entries",
            Self::Replicated => "have their entries replicated to another host by conntrackd",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets = match self.packets {
            Packets::Requests => "requests",
            Packets::Answers => "answers",
            Packets::Errors => "ICMP errors",
        };
        write!(f, "{packets} {}", self.trouble.words())?;
        if let Some(tracked) = &self.tracked {
            write!(f, "; tracked: {tracked}")?;
        }
        if let Some(untracked) = &self.untracked {
            write!(f, "; untracked: {untracked}")?;
        }
        Ok(())
    }
}
