//! Names by Kubernetes: asked once a cause was found, since asking takes an entry of the table, too; or where somebody insists.

use std::time::Duration;

use plimsoll_host::monotonic_now;
use plimsoll_kube::{Answer, Policy, Whereabouts, ask};
use plimsoll_model::{Snapshot, Untrusted};

/// What was answered is good for so long.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// Names, asked for when they are first needed, and then from time to time.
#[derive(Debug)]
pub(crate) struct Names {
    policy: Policy,
    /// What was answered, and when.
    answered: Option<(Duration, Answer)>,
}

impl Names {
    /// None are known yet.
    pub(crate) const fn by(policy: Policy) -> Self {
        Self { policy, answered: None }
    }

    /// Whether they are asked for though nothing needs them: so it shows before there is a trouble whether they are to be had.
    pub(crate) fn are_insisted_on(&self) -> bool {
        self.policy == Policy::On
    }

    /// Puts names to what is known of the tables whose entries were looked into; what could not be asked is a gap.
    pub(crate) fn give_to(&mut self, snapshot: &mut Snapshot) {
        let now = monotonic_now();
        let answered = self.answered.take().filter(|(at, _)| *at + GOOD_FOR > now);
        let (at, answer) = answered.unwrap_or_else(|| {
            let host = snapshot.host.name.as_ref().map(Untrusted::as_str);
            (now, ask(self.policy, &Whereabouts::of_this_process(), host))
        });
        for ns in snapshot.namespaces.iter_mut().filter(|ns| ns.surroundings.is_some()) {
            answer.name(ns);
        }
        snapshot.unseen.extend(answer.gaps(self.policy));
        self.answered = Some((at, answer));
    }
}
