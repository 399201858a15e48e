//! Names by Kubernetes: asked once a cause was found, since asking takes an entry of the table, too.

use plimsoll_kube::{Policy, Whereabouts, ask};
use plimsoll_model::{Snapshot, Untrusted};

/// Puts names to what is known of the tables whose entries were looked into; what could not be asked is a gap.
pub(super) fn name(snapshot: &mut Snapshot, policy: Policy) {
    let host = snapshot.host.name.as_ref().map(Untrusted::as_str);
    let answer = ask(policy, &Whereabouts::of_this_process(), host);
    for ns in snapshot.namespaces.iter_mut().filter(|ns| ns.surroundings.is_some()) {
        answer.name(ns);
    }
    snapshot.unseen.extend(answer.gaps(policy));
}
