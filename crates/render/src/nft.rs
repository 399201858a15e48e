//! nft(8): `ct timeout` objects in a table of our own.

use crate::change::{Dialect, Policy, Reasoned, Target, named, policies, settings, timeouts};
use crate::notrack::{self, NOTRACK_TABLE};
use crate::quote::comment;
use crate::rendered::Rendered;

use plimsoll_model::ServicePolicy;

/// The table that holds the policies, and nothing else. Its family is `inet`.
pub const TABLE: &str = "plimsoll_timeouts";

pub(crate) fn render(changes: &[Reasoned], _target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    for setting in settings(changes) {
        rendered.leave_out(setting.sysctl, "it is a setting of the kernel's, no rule: use sysctl.d");
    }
    let tables = tables(&expressible(changes, Dialect::Nft, &mut rendered), changes);
    if tables.is_empty() {
        return rendered;
    }
    let text: Vec<_> = tables.into_iter().map(|table| table.text).collect();
    rendered.snippet(text.join("\n"))
}

/// A table of ours, of the family `inet`.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// What is in it, in a few words.
    pub(crate) holds: &'static str,
    /// Commands that replace it as a whole, in one transaction.
    pub(crate) text: String,
}

/// The tables that say the changes that are rules.
pub(crate) fn tables(policies: &[Policy<'_>], changes: &[Reasoned]) -> Vec<Table> {
    let timeouts = ruleset(policies).map(|text| Table { name: TABLE, holds: "timeouts for some services", text });
    let untracked = notrack::ruleset(changes).map(|text| Table {
        name: NOTRACK_TABLE,
        holds: "no tracking for some services",
        text,
    });
    timeouts.into_iter().chain(untracked).collect()
}

/// The policies of which something can be said in a dialect; the rest is left out.
pub(crate) fn expressible<'a>(changes: &'a [Reasoned], dialect: Dialect, rendered: &mut Rendered) -> Vec<Policy<'a>> {
    let mut left = Vec::new();
    for policy in policies(changes) {
        let (known, unknown) = timeouts(policy.policy, dialect);
        for sysctl in unknown {
            rendered.leave_out(sysctl, format!("{} cannot have it", named(policy.policy)));
        }
        if !known.is_empty() {
            left.push(policy);
        }
    }
    left
}

/// Replaces the table as a whole, in one transaction. `None` where there is nothing to say.
fn ruleset(policies: &[Policy<'_>]) -> Option<String> {
    if policies.is_empty() {
        return None;
    }
    let mut text = comment("", "New flows of some services get timeouts of their own. Flows that exist keep theirs.");
    let unnamed =
        "A timeout that a policy does not name is the one that the kernel has compiled in, whatever the sysctls say.";
    text.push_str(&comment("", unnamed));
    text.push_str(&format!("# nft delete table inet {TABLE} undoes it.\n"));
    text.push_str(&format!("table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n"));
    for policy in policies {
        text.push_str(&object(*policy));
    }
    // A policy is attached to an entry that is not confirmed yet (`nft_ct_timeout_obj_eval`): after tracking at -200, and in both
    // hooks through which new flows come.
    for (number, hook) in ["prerouting", "output"].into_iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text.push_str(&format!("\tchain {hook} {{\n\t\ttype filter hook {hook} priority -150; policy accept;\n"));
        for policy in policies {
            text.push_str(&rule(policy.policy));
        }
        text.push_str("\t}\n");
    }
    text.push_str("}\n");
    Some(text)
}

fn object(Policy { policy, why }: Policy<'_>) -> String {
    let (known, _) = timeouts(policy, Dialect::Nft);
    let each: Vec<_> = known.iter().map(|(word, secs)| format!("{word} : {secs}")).collect();
    format!(
        "{}\tct timeout {} {{\n\t\tprotocol {}\n\t\tpolicy = {{ {} }}\n\t}}\n\n",
        comment("\t", why),
        name(policy),
        policy.protocol.name(),
        each.join(", ")
    )
}

fn rule(policy: &ServicePolicy) -> String {
    let (protocol, port) = (policy.protocol.name(), policy.port);
    format!("\t\tct state new {protocol} dport {port} ct timeout set \"{}\"\n", name(policy))
}

fn name(policy: &ServicePolicy) -> String {
    format!("{}_{}", policy.protocol.name(), policy.port)
}
