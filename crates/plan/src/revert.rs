//! How a change is undone where it was made.

use plimsoll_model::{Edit, NamedBy, NamespaceSnapshot, Reach};

/// Whether an edit is made within a namespace other than the host's own.
pub(crate) fn is_within(ns: &NamespaceSnapshot, edit: &Edit) -> bool {
    let is_of_host = matches!(edit, Edit::Sysctl { sysctl, .. } if sysctl.reach() == Reach::Host);
    ns.namespace.named_by != NamedBy::Host && !is_of_host
}

/// The command, to be run on the host: what belongs to a namespace is not to be undone in the host's own.
pub(crate) fn within(ns: &NamespaceSnapshot, edit: &Edit, command: &str) -> String {
    let name = ns.namespace.name.as_str();
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !name.starts_with('-');
    match ns.namespace.named_by {
        // A policy is undone by `plimsoll rollback`, which knows where it is.
        _ if !is_within(ns, edit) || matches!(edit, Edit::Policy(_) | Edit::Bypass(_)) => command.to_string(),
        // Whoever reads this is in it.
        NamedBy::This => command.to_string(),
        NamedBy::Given if is_plain => format!("ip netns exec {name} {command}"),
        _ => format!("in {name}: {command}"),
    }
}
