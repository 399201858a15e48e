//! Rules that must be added to others' chains, so that a firewall means the same of untracked packets.

use plimsoll_model::Untrusted;

use crate::class::PacketClass;
use crate::key::{EntryBit, Key};
use crate::model::{
    Chain, Element, Family, Hook, Match, Origin, Rule, Ruleset, Sense, Set, Statement, Table, Term, Verdict,
};
use crate::numbers::Numbers;
use crate::path::Place;

/// A rule to be added by hand, before another. It cannot be in a table of Plimsoll's own: a chain that accepts does not keep
/// another one from dropping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// The rule before which it belongs; the policy for the end of a chain.
    pub before: Place,
    /// The hook whose packets come there.
    pub hook: Hook,
    /// The packets that it accepts.
    pub class: PacketClass,
    /// In which state.
    pub state: WithoutEntry,
}

/// A state of packets that have no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WithoutEntry {
    /// Not tracked.
    Untracked,
    /// Of no flow: what errors about untracked packets are.
    Invalid,
}

impl WithoutEntry {
    const fn bit(self) -> EntryBit {
        match self {
            Self::Untracked => EntryBit::Untracked,
            Self::Invalid => EntryBit::Invalid,
        }
    }

    /// As nft writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untracked => "untracked",
            Self::Invalid => "invalid",
        }
    }
}

impl Addition {
    /// The commands that add it, each as a program with its arguments; `None` where it cannot be written, or not without quotes.
    pub fn commands(&self, ruleset: &Ruleset) -> Option<Vec<Vec<String>>> {
        let table = ruleset.tables.get(self.before.table)?;
        let chain = table.chains.get(self.before.chain)?;
        if !is_plain(&table.name) || !is_plain(&chain.name) {
            return None;
        }
        match table.origin {
            Origin::Nft => Some(vec![self.for_nft(table, chain)?]),
            Origin::IptablesNft => self.for_iptables(table, chain, "nft"),
            Origin::IptablesLegacy => self.for_iptables(table, chain, "legacy"),
        }
    }

    fn for_nft(&self, table: &Table, chain: &Chain) -> Option<Vec<String>> {
        let rule = self.before.rule.and_then(|at| chain.rules.get(at).map(|rule| (at, rule)));
        let mut words = vec!["nft".to_string()];
        words.push(if rule.is_some() { "insert" } else { "add" }.to_string());
        words.extend(["rule", table.family.name(), &table.name, &chain.name].map(str::to_string));
        words.extend(match rule {
            Some((_, Rule { handle: Some(handle), .. })) => vec!["handle".to_string(), handle.to_string()],
            Some((at, _)) => vec!["index".to_string(), at.to_string()],
            None => Vec::new(),
        });
        words.extend(self.class.in_nft(self.hook)?);
        words.push(format!("ct state {} accept", self.state.name()));
        Some(words)
    }

    fn for_iptables(&self, table: &Table, chain: &Chain, variant: &str) -> Option<Vec<Vec<String>>> {
        let program = if table.family == Family::Ip6 { "ip6tables" } else { "iptables" };
        let at = self.before.rule.unwrap_or(chain.rules.len()) + 1;
        let command = |class: Vec<String>| {
            let number = at.to_string();
            let mut words: Vec<String> = Vec::new();
            words.push(format!("{program}-{variant}"));
            words.extend(["-w", "-t", &table.name, "-I", &chain.name, &number].map(str::to_string));
            words.extend(class);
            words.extend(
                ["-m", "conntrack", "--ctstate", &self.state.name().to_ascii_uppercase(), "-j", "ACCEPT"]
                    .map(str::to_string),
            );
            words
        };
        Some(self.class.in_iptables(self.hook)?.into_iter().map(command).collect())
    }

    fn rule(&self) -> Rule {
        let lookup = |key, numbers: &Numbers| {
            Term::Match(Match::Lookup {
                keys: vec![key],
                set: Set::Elements(vec![Element::of(vec![numbers.clone()])]),
                sense: Sense::Is,
            })
        };
        let fields = crate::key::Field::ALL.map(|field| lookup(Key::Field(field), self.class.field(field)));
        let state = lookup(Key::State, &Numbers::one(self.state.bit().number()));
        let accept = Term::Statement(Statement::Verdict(Verdict::Accept));
        Rule {
            handle: None,
            comment: None,
            text: Untrusted::from("added for a bypass"),
            terms: fields.into_iter().chain([state, accept]).collect(),
        }
    }
}

/// Whether a name is one word to a shell and to nft, and no option: whoever made a table or chain chose it, and commands are pasted.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(is_plain)
}

/// A ruleset with rules added.
pub(crate) struct Amended<'a> {
    pub(crate) original: &'a Ruleset,
    pub(crate) ruleset: Ruleset,
    /// Those that were added, by their places before: the last one first.
    pub(crate) additions: Vec<Addition>,
}

impl<'a> Amended<'a> {
    pub(crate) fn of(ruleset: &'a Ruleset, additions: &[Addition]) -> Self {
        let mut additions = additions.to_vec();
        additions.sort_by_key(|addition| std::cmp::Reverse(addition.before));
        let mut amended = ruleset.clone();
        for addition in &additions {
            let place = addition.before;
            let chain = amended.tables.get_mut(place.table).and_then(|table| table.chains.get_mut(place.chain));
            if let Some(chain) = chain {
                let at = place.rule.unwrap_or(chain.rules.len()).min(chain.rules.len());
                chain.rules.insert(at, addition.rule());
            }
        }
        Self { original: ruleset, ruleset: amended, additions }
    }

    /// A place of the amended ruleset in words, as a person finds it in the one before.
    pub(crate) fn show(&self, place: Place) -> Untrusted {
        let shown = self.original.show(self.before(place));
        let is_added = place.rule.is_some_and(|at| self.added(place).any(|added| added == at));
        if is_added { Untrusted::from_escaped(format!("a rule to be added before {shown}")) } else { shown }
    }

    /// Where a place of the amended ruleset is in the one before; of an added rule the place before which it was added.
    pub(crate) fn before(&self, place: Place) -> Place {
        let before = |at: usize| at - self.added(place).filter(|added| *added < at).count();
        Place { rule: place.rule.map(before), ..place }
    }

    /// The indices of the added rules in a place's chain.
    fn added(&self, place: Place) -> impl Iterator<Item = usize> {
        let of_chain = self
            .additions
            .iter()
            .rev()
            .filter(move |addition| (addition.before.table, addition.before.chain) == (place.table, place.chain));
        // Those before the policy are behind all rules, and nothing is behind them.
        of_chain.filter_map(|addition| addition.before.rule).enumerate().map(|(nth, before)| before + nth)
    }
}
