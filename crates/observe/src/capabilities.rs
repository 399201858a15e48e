//! Whether this process can read what a reading needs: yes, no and what would be needed, or not to be found out.
//! Asking changes nothing: nothing is loaded to find out.

use plimsoll_ctnetlink::{conntrack_is_hooked, table_statistics};
use plimsoll_host::{Found, HostFs, Subsystem};
use plimsoll_model::{Answer, Capabilities, KernelLog, Relation};

use crate::place::{Place, Unvisited};

/// Whether conntrack can be asked by netlink without the kernel loading a module for it.
pub(crate) fn may_ask_conntrack(host: &HostFs) -> Answer {
    match host.asking_loads_nothing(Subsystem::Nfnetlink) {
        Answer::Yes => host.asking_loads_nothing(Subsystem::ConntrackNetlink),
        other => other,
    }
}

/// What it takes to ask conntrack by netlink; `None` where it may be asked.
pub fn needed_to_ask_conntrack(host: &HostFs) -> Option<String> {
    match may_ask_conntrack(host) {
        Answer::Yes => None,
        Answer::No { needs } => Some(needs),
        Answer::Inconclusive { because } => {
            Some(format!("nf_conntrack_netlink, of which it could not be told whether it is loaded ({because})"))
        }
    }
}

pub(crate) fn probe(host: &HostFs, log: &Result<KernelLog, plimsoll_host::Error>, places: &[Found]) -> Capabilities {
    Capabilities {
        read_entries: entries(host),
        list_hooks: hooks(host),
        enter_namespaces: namespaces(places),
        read_kernel_log: match log {
            Ok(_) => Answer::Yes,
            Err(error) if error.is_not_permitted() => needs("CAP_SYSLOG, or kernel.dmesg_restrict = 0"),
            Err(error) => Answer::Inconclusive { because: error.to_string() },
        },
    }
}

fn needs(needs: &str) -> Answer {
    Answer::No { needs: needs.to_string() }
}

/// The rights to dump are those to ask for statistics, which is cheap.
fn entries(host: &HostFs) -> Answer {
    match may_ask_conntrack(host) {
        Answer::Yes => match table_statistics() {
            Ok(_) => Answer::Yes,
            Err(error) if error.is_permission() => needs("CAP_NET_ADMIN"),
            Err(error) if error.is_unsupported() => needs("a kernel with nf_conntrack_netlink"),
            Err(error) => Answer::Inconclusive { because: error.to_string() },
        },
        other => other,
    }
}

fn hooks(host: &HostFs) -> Answer {
    match host.asking_loads_nothing(Subsystem::HookNetlink) {
        Answer::Yes => match conntrack_is_hooked() {
            Ok(_) => Answer::Yes,
            Err(error) if error.is_permission() => needs("CAP_NET_ADMIN"),
            Err(error) if error.is_unsupported() => {
                needs("a kernel built with CONFIG_NETFILTER_NETLINK_HOOK (5.14 or later)")
            }
            Err(error) => Answer::Inconclusive { because: error.to_string() },
        },
        other => other,
    }
}

fn namespaces(places: &[Found]) -> Answer {
    let other = places.iter().find(|found| found.namespace.relation == Relation::Other);
    match other.map(|found| Place::of(found).visit(|| ())) {
        None => Answer::Inconclusive { because: "there is no other namespace to try it on".to_string() },
        Some(Ok(())) => Answer::Yes,
        Some(Err(_)) => needs(Unvisited::NEEDS),
    }
}
