//! iptables-extensions(8), target CT; the policies that it names are nfct(8)'s.

use plimsoll_model::ServicePolicy;

use crate::change::{BypassChange, Dialect, Policy, Reasoned, Target, bypasses, settings, timeouts};
use crate::nft::expressible;
use crate::notrack::{Iptables, in_iptables};
use crate::quote::comment;
use crate::rendered::Rendered;

pub(crate) fn render(changes: &[Reasoned], _target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    for setting in settings(changes) {
        rendered.leave_out(setting.sysctl, "it is a setting of the kernel's, no rule: use sysctl.d");
    }
    let policies = expressible(changes, Dialect::Nfct, &mut rendered);
    if !policies.is_empty() {
        rendered = rendered.snippet(timeouts_script(&policies));
    }
    match notrack_script(changes) {
        Some(text) => rendered.snippet(text),
        None => rendered,
    }
}

fn timeouts_script(policies: &[Policy<'_>]) -> String {
    let mut text = String::from("#!/bin/sh\n");
    text.push_str(&comment("", "New flows of some services get timeouts of their own. Flows that exist keep theirs. Needs nfct (conntrack-tools). Run \
                            it at every boot; with `revert` it undoes what it did."));
    let unnamed =
        "A timeout that a policy does not name is the one that the kernel has compiled in, whatever the sysctls say.";
    text.push_str(&comment("", unnamed));
    let unsaved = "iptables-save writes no more than the first letters of a policy's name, so that its rules cannot be restored: run this \
                   script instead.";
    text.push_str(&comment("", unsaved));
    text.push_str("set -eu\n\ncase ${1:-apply} in\napply)\n");
    for family in &FAMILIES {
        text.push_str(&family.make_chain());
    }
    for policy in policies {
        text.push_str(&add(*policy));
    }
    text.push_str("    ;;\nrevert)\n");
    for family in &FAMILIES {
        text.push_str(&family.remove_chain());
    }
    for policy in policies {
        text.push_str(&remove(policy.policy));
    }
    text.push_str(USAGE);
    text
}

/// Rules that leave services untracked, in chains of ours in the table raw. `None` where there are none.
fn notrack_script(changes: &[Reasoned]) -> Option<String> {
    let rules = |family: &Family| -> String {
        let of = |BypassChange { bypass, why }: BypassChange<'_>| {
            let mut lines = String::new();
            for rule in in_iptables(bypass, family.rules) {
                lines.push_str(&format!(
                    "    {} -w -t raw -A {} {}\n",
                    family.program,
                    untracked(rule.hook),
                    rule.words
                ));
            }
            if lines.is_empty() { lines } else { comment("    ", why) + &lines }
        };
        bypasses(changes).map(of).collect()
    };
    bypasses(changes).next()?;
    let mut text = String::from("#!/bin/sh\n");
    text.push_str(&comment("", "Packets of some services are not tracked: they make no entry, and rules see them as UNTRACKED. Run it at every boot; \
                            with `revert` it undoes what it did."));
    text.push_str("set -eu\n\ncase ${1:-apply} in\napply)\n");
    for family in &FAMILIES {
        for hook in HOOKS {
            text.push_str(&format!("    {} -w -t raw -N {}\n", family.program, untracked(hook)));
        }
        text.push_str(&rules(family));
        for hook in HOOKS {
            // Before others' rules of raw, as it was judged.
            text.push_str(&format!("    {} -w -t raw -I {hook} 1 -j {}\n", family.program, untracked(hook)));
        }
    }
    text.push_str("    ;;\nrevert)\n");
    for family in &FAMILIES {
        for hook in HOOKS {
            let (program, chain) = (family.program, untracked(hook));
            text.push_str(&format!(
                "    {program} -w -t raw -D {hook} -j {chain}\n    {program} -w -t raw -F {chain}\n    {program} -w -t raw -X {chain}\n"
            ));
        }
    }
    text.push_str(USAGE);
    Some(text)
}

/// Our chain for the packets of a hook.
fn untracked(hook: &str) -> String {
    format!("plimsoll-notrack-{}", hook.to_lowercase())
}

const USAGE: &str = "    ;;\n*)\n    echo \"usage: sh $0 [apply | revert]\" >&2\n    exit 2\n    ;;\nesac\n";

/// A policy belongs to one family (`xt_ct_set_timeout` compares it), so each has its own, by the same rules.
struct Family {
    program: &'static str,
    rules: Iptables,
    /// As nfct calls it.
    name: &'static str,
    /// What ends the names of its policies.
    suffix: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family { program: "iptables", rules: Iptables::V4, name: "inet", suffix: "4" },
    Family { program: "ip6tables", rules: Iptables::V6, name: "inet6", suffix: "6" },
];

/// Rules are in a chain of ours: one that names a policy cannot be deleted by what it says, because the kernel gives back no more
/// of the name than four letters (`usersize` of `xt_ct_tg_reg`, `net/netfilter/xt_CT.c`).
const CHAIN: &str = "plimsoll-timeouts";

/// CT works before tracking, where a packet has no state yet: it is in the table raw, in both chains through which new flows come.
const HOOKS: [&str; 2] = ["PREROUTING", "OUTPUT"];

impl Family {
    fn make_chain(&self) -> String {
        let program = self.program;
        let jumps = HOOKS.map(|hook| format!("    {program} -w -t raw -A {hook} -j {CHAIN}\n"));
        format!("    {program} -w -t raw -N {CHAIN}\n{}", jumps.concat())
    }

    fn remove_chain(&self) -> String {
        let program = self.program;
        let jumps = HOOKS.map(|hook| format!("    {program} -w -t raw -D {hook} -j {CHAIN}\n"));
        format!("{}    {program} -w -t raw -F {CHAIN}\n    {program} -w -t raw -X {CHAIN}\n", jumps.concat())
    }
}

fn add(Policy { policy, why }: Policy<'_>) -> String {
    let mut text = format!("\n{}", comment("    ", why));
    let (known, _) = timeouts(policy, Dialect::Nfct);
    let each: Vec<_> = known.iter().map(|(word, secs)| format!("{word} {secs}")).collect();
    let (protocol, port) = (policy.protocol.name(), policy.port);
    for family in &FAMILIES {
        let (name, program) = (name(policy, family), family.program);
        text.push_str(&format!("    nfct add timeout {name} {} {protocol} {}\n", family.name, each.join(" ")));
        text.push_str(&format!(
            "    {program} -w -t raw -A {CHAIN} -p {protocol} --dport {port} -j CT --timeout {name}\n"
        ));
    }
    text
}

fn remove(policy: &ServicePolicy) -> String {
    FAMILIES.each_ref().map(|family| format!("    nfct delete timeout {}\n", name(policy, family))).concat()
}

/// At most 31 characters (`CTNL_TIMEOUT_NAME_MAX`).
fn name(policy: &ServicePolicy, family: &Family) -> String {
    format!("plimsoll-{}-{}-{}", policy.protocol.name(), policy.port, family.suffix)
}
