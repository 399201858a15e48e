//! What bypasses are judged by, in a namespace, now.

use plimsoll_ctnetlink::own_addresses;
use plimsoll_host::HostFs;
use plimsoll_model::{Bypass, Edit, OwnAddresses};
use plimsoll_rules::{Beside, NotSafe, Ruleset, Shown, judge_shown};

use crate::Error;
use crate::look::Look;
use crate::own_rules::TABLE;
use crate::place::Place;
use crate::plan::Change;

/// The ruleset in force, what works with entries beside it, and the namespace's own addresses.
#[derive(Debug)]
pub struct RulesInForce {
    /// The ruleset.
    pub ruleset: Ruleset,
    /// What works with entries beside it.
    pub beside: Beside,
    /// The namespace's own addresses.
    pub own: OwnAddresses,
}

impl RulesInForce {
    /// Reads them, which registers nothing. What cannot be read or understood is named in the ruleset, so that nothing is taken to be safe
    /// beside it.
    pub fn read(place: &Place) -> Result<Self, Error> {
        let own = own_addresses_of(place)?;
        let rulesets = place.visit(|| HostFs::new().rulesets())?;
        Ok(Self { ruleset: rulesets.ruleset(), beside: rulesets.beside, own })
    }
}

/// A namespace's own addresses.
pub fn own_addresses_of(place: &Place) -> Result<OwnAddresses, Error> {
    let own = place.visit(own_addresses)?;
    own.map_err(|error| Error::Refused(format!("which addresses are this namespace's own is not known: {error}")))
}

/// Judges the bypasses among changes by what is in force now, but for what Plimsoll has made itself: what they were planned beside may be
/// hours old, and a firewall may have been loaded anew since they were judged last.
pub(crate) fn refuse_what_is_not_safe(changes: &[Change], place: &Place) -> Result<(), Error> {
    let mut bypasses = changes.iter().filter_map(|change| match &change.edit {
        Edit::Bypass(bypass) => Some(bypass),
        _ => None,
    });
    let Some(first) = bypasses.next() else { return Ok(()) };
    let read = RulesInForce::read(place)?;
    let rules = RulesInForce { ruleset: read.ruleset.without(TABLE), ..read };
    let look = Look::at(place)?;
    std::iter::once(first).chain(bypasses).try_for_each(|bypass| refuse(bypass, &rules, &look))
}

fn refuse(bypass: &Bypass, rules: &RulesInForce, look: &Look) -> Result<(), Error> {
    let shown = Shown::by(look.entries(), bypass, &rules.own);
    let because = match judge_shown(&rules.ruleset, bypass, &rules.beside, shown) {
        Ok((safe, _)) if safe.additions.is_empty() => return Ok(()),
        Ok((safe, _)) => format!(
            "the firewall would not mean the same without these rules, which are not there: {}",
            safe.in_one_line(&rules.ruleset)
        ),
        Err(not_safe @ NotSafe::NeedsEntries(_)) => not_safe.to_string(),
        Err(not_safe @ NotSafe::Judged(_)) => format!("beside the rules that are in force now {not_safe}"),
    };
    Err(Error::Refused(format!("{bypass}, is not done, or not kept: {because}. Plan again")))
}
