//! What a ruleset does to new flows.

use plimsoll_model::Status;

use crate::expectation::HelperId;
use crate::memory::Extension;
use crate::nat::NatRange;
use crate::tick::Tick;
use crate::tracker::Kind;
use crate::{NewFlow, PolicyId, Twin};

/// A ruleset: it is asked about each flow's first packet.
pub trait Rules {
    /// What becomes of a flow.
    fn rule(&mut self, new: &NewFlow) -> Ruling;
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it goes on.
    pub fate: Fate,
    /// Timeouts of its own, if its entry is to have them.
    pub policy: Option<PolicyId>,
    /// The helper that listens in.
    pub helper: Option<HelperId>,
    /// Where its destination is translated to.
    pub destination: Option<NatRange>,
    /// Where its source is translated to.
    pub source: Option<NatRange>,
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It does.
    #[default]
    Accepted,
    /// It is dropped on its way, and the entry was for nothing.
    Dropped,
}

/// Everything passes as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

impl Rules for NoRules {
    fn rule(&mut self, _: &NewFlow) -> Ruling {
        Ruling::default()
    }
}

impl Twin {
    /// Gives a new flow a timeout policy, and arms its entry with the policy's timeout for new flows, whatever the first
    /// packet was (`nft_ct_timeout_obj_eval`).
    pub fn set_policy(&mut self, new: &NewFlow, policy: PolicyId) {
        let mut additions = self.table.additions(new.slot);
        let had_one = additions.policy.replace(policy).is_some();
        self.table.set_additions(new.slot, additions);
        let kind = Kind::of(self.table.entry(new.slot).protocol, &self.host.capabilities);
        let span = self.policies[policy.place()].of_new(kind);
        self.table.arm(new.slot, Tick::from_span(span));
        if !had_one {
            self.extend(new.slot, Extension::TimeoutPolicy);
        }
    }

    /// Gives a new flow a helper.
    pub fn set_helper(&mut self, new: &NewFlow, helper: HelperId) {
        let mut additions = self.table.additions(new.slot);
        let had_one = additions.helper.replace(helper).is_some();
        self.table.set_additions(new.slot, additions);
        self.table.entry_mut(new.slot).add_status(Status::HELPER);
        if !had_one {
            self.extend(new.slot, Extension::Helper);
        }
    }
}
