//! Services whose packets need no entry, and whether leaving them untracked changes what the firewall means.

use plimsoll_diagnose::words::{grouped, rate};
use plimsoll_model::{Bypass, Census, Edit, NamespaceSnapshot, OwnAddresses, PolicyProtocol};
use plimsoll_rules::{Begins, Beside, NotSafe, Ruleset, Safe, Shown, judge_shown};

use crate::services::{Candidate, MOST_PEERS, candidates};
use crate::{PassedOver, Planned, Risk, Saves};

/// What a bypass is judged by.
#[derive(Clone, Copy, Debug)]
pub struct BypassGround<'a> {
    /// The ruleset in force.
    pub ruleset: &'a Ruleset,
    /// What works with entries beside it.
    pub beside: &'a Beside,
    /// The namespace's own addresses.
    pub own: &'a OwnAddresses,
}

/// Which services are looked at, whether they need entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypasses {
    /// Those of a table that is asked for more than it has room for.
    WhereShort,
    /// Those of any table.
    Everywhere,
}

/// Changes, and what was considered and is not proposed.
#[derive(Default)]
pub(crate) struct BypassChoice {
    pub(crate) changes: Vec<Planned>,
    pub(crate) passed_over: Vec<PassedOver>,
}

/// The services for which it is worth while, each as far as it can be left untracked.
pub(crate) fn choose(ns: &NamespaceSnapshot, ground: Result<BypassGround<'_>, &str>) -> BypassChoice {
    let mut choice = BypassChoice::default();
    let Some(census) = ns.census.as_ref() else { return choice };
    let ground = match ground {
        Ok(ground) => ground,
        Err(because) => {
            let what = "no tracking of services that need no entries".to_string();
            choice.passed_over.push(PassedOver { what, because: because.to_string() });
            return choice;
        }
    };
    for candidate in candidates(ns, census, ground.own) {
        match proposed(&candidate, census, &ground) {
            Ok(change) => choice.changes.push(change),
            Err(because) => choice.passed_over.push(PassedOver { what: candidate.in_words(), because }),
        }
    }
    choice
}

/// A change; or why there is none.
fn proposed(candidate: &Candidate, census: &Census, ground: &BypassGround<'_>) -> Result<Planned, String> {
    let bypass =
        candidate.bypass().ok_or_else(|| format!("it has more than {MOST_PEERS} peers on a side: none is known"))?;
    let saves = candidate.saves.in_words();
    let shown = Shown::by(census.drawn.iter().map(|drawn| &drawn.entry), &bypass, ground.own);
    let judged = judge_shown(ground.ruleset, &bypass, ground.beside, shown);
    let (safe, begins) = judged.map_err(|not_safe| match not_safe {
        NotSafe::NeedsEntries(_) => not_safe.to_string(),
        NotSafe::Judged(_) => format!("{saves}, but {not_safe}"),
    })?;
    if !safe.additions.is_empty() {
        let rules = safe.in_one_line(ground.ruleset);
        return Err(format!(
            "{saves}, once these rules are in place, so that the firewall means the same: {rules}; then plan again"
        ));
    }
    Ok(planned(bypass, candidate.saves, &safe, begins))
}

impl Saves {
    fn in_words(self) -> String {
        let churn =
            self.per_sec.map_or_else(String::new, |per_sec| format!(", and {} new ones a second", rate(per_sec)));
        format!("it would save {} to {} entries{churn}", grouped(self.entries.low), grouped(self.entries.high))
    }
}

fn planned(bypass: Bypass, saves: Saves, safe: &Safe, begins: Begins) -> Planned {
    let prices: Vec<_> = safe.prices.iter().map(ToString::to_string).collect();
    let rests = match begins {
        Begins::Either => {
            "each packet of it was followed through the rules in force, tracked in every state and untracked, and ends alike"
        }
        Begins::ClientsOnly => {
            "as far as the service begins no flow itself, each packet of it was followed through the rules in force, tracked in every state \
             and untracked, and ends alike"
        }
    };
    let cost = "its flows are not among the entries any more, and rules see their packets as UNTRACKED";
    Planned {
        why: format!("flows of {} port {} need no entries: {}", bypass.protocol.name(), bypass.port, saves.in_words()),
        derivation: rests.to_string(),
        forecast: None,
        silenced: None,
        saves: Some(saves),
        takes_effect: "at once; entries that are there go by their timeouts",
        cost: std::iter::once(cost.to_string()).chain(prices).collect::<Vec<_>>().join("; "),
        risk: if bypass.protocol == PolicyProtocol::Udp { Risk::Low } else { Risk::Medium },
        risk_because: "rules that somebody adds later may go by the state of its packets".to_string(),
        prices: Vec::new(),
        overwritten: None,
        revert: "plimsoll rollback".to_string(),
        edit: Edit::Bypass(bypass),
    }
}
