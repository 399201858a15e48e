//! What programs told of a ruleset, put together.

use std::collections::HashMap;

use plimsoll_model::Untrusted;

use crate::ipsets::AddressSets;
use crate::model::{Family, Match, Origin, Rule, Ruleset, Statement, Table, Term};
use crate::nft::{self, NftError};
use crate::save;

/// What the programs wrote that know a ruleset, as they wrote it. An empty text is a program that has nothing to tell or is
/// not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `nft -j list ruleset`.
    pub nft: String,
    /// `iptables-nft-save`.
    pub ip_nft: String,
    /// `ip6tables-nft-save`.
    pub ip6_nft: String,
    /// `iptables-legacy-save`, without `-t`: with it, it would register the table.
    pub ip_legacy: String,
    /// `ip6tables-legacy-save`.
    pub ip6_legacy: String,
    /// `ipset list -terse`: which types the sets have that rules of iptables' name. Of what is not in it none is known.
    pub ipsets: String,
    /// What could not be read of it all.
    pub gaps: Vec<Untrusted>,
}

impl Ruleset {
    /// Reads what programs told. Errors are for nft's JSON alone: of lines of the others what is not understood is kept.
    pub fn read(told: &Told) -> Result<Self, NftError> {
        let mut ruleset = if told.nft.trim().is_empty() { Self::default() } else { nft::read(&told.nft)? };
        ruleset.unknown.extend(told.gaps.iter().cloned());
        let sets = &AddressSets::of(&told.ipsets);
        for (text, family) in [(&told.ip_nft, Family::Ip), (&told.ip6_nft, Family::Ip6)] {
            let saved = save::read(text, family, Origin::IptablesNft, sets);
            ruleset.unknown.extend(saved.unknown);
            for table in saved.tables {
                ruleset.learn(&table);
            }
        }
        for (text, family) in [(&told.ip_legacy, Family::Ip), (&told.ip6_legacy, Family::Ip6)] {
            let saved = save::read(text, family, Origin::IptablesLegacy, sets);
            ruleset.unknown.extend(saved.unknown);
            ruleset.tables.extend(saved.tables);
        }
        Ok(ruleset)
    }

    /// Takes from iptables-nft-save the rules whose matches or targets nft cannot tell. All else stays as nft has it, which also
    /// knows rules that iptables does not.
    fn learn(&mut self, saved: &Table) {
        let Some(table) = self.tables.iter_mut().find(|table| table.family == saved.family && table.name == saved.name)
        else {
            // Shown without being there: its chains are made with its first rule.
            return;
        };
        table.origin = Origin::IptablesNft;
        let saved: HashMap<_, _> = saved.chains.iter().map(|chain| (chain.name.as_str(), chain)).collect();
        for chain in &mut table.chains {
            let Some(told) = saved.get(chain.name.as_str()) else { continue };
            if told.rules.len() != chain.rules.len() {
                // Which is which cannot be told; what nft cannot tell stays unknown.
                continue;
            }
            for (rule, told) in chain.rules.iter_mut().zip(&told.rules) {
                if tells_too_little(rule) {
                    rule.terms.clone_from(&told.terms);
                }
                rule.comment = rule.comment.take().or_else(|| told.comment.clone());
                rule.text.clone_from(&told.text);
            }
        }
    }
}

/// Whether nft found something of iptables' in a rule that it has no words for.
fn tells_too_little(rule: &Rule) -> bool {
    rule.terms.iter().any(|term| match term {
        Term::Match(Match::Opaque(opaque)) => is_xt(&opaque.text),
        Term::Statement(Statement::Effect(crate::model::Effect::Unknown(text))) => is_xt(text),
        _ => false,
    })
}

fn is_xt(text: &Untrusted) -> bool {
    text.as_str().starts_with("xt ")
}
