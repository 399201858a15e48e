//! What each change says of itself: why, at what cost and risk, when it takes effect, and how it is undone.

use plimsoll_diagnose::words::{bytes, grouped};
use plimsoll_model::{Edit, Finding, FindingId, ServicePolicy, Sysctl, TcpState, Timeout};

use crate::others::OtherChange;
use crate::timeouts::{TimeoutChange, name};
use crate::{BucketChoice, Planned, Risk, SizeDecision, Sizing};

pub(crate) fn size_change(sizing: &Sizing, findings: &[Finding]) -> Option<Planned> {
    let SizeDecision::Raise { to, because } = &sizing.decision else { return None };
    let (from, most) = (sizing.capacity_now?, sizing.most_needed()?);
    let cost = match &sizing.budget {
        Some(budget) => format!(
            "up to {} of memory when a table is full, {} more than now{}",
            bytes(budget.bytes_of(u64::from(*to), 0)),
            bytes(budget.bytes_of(u64::from(to.saturating_sub(from)), 0)),
            match sizing.demands.len() {
                0 | 1 => String::new(),
                number => format!("; each of {number} namespaces may hold as many"),
            }
        ),
        None => "memory".to_string(),
    };
    let is_flood = |finding: &Finding| {
        finding.id == FindingId::SynFlood && finding.namespace.as_ref().is_none_or(|name| *name == most.namespace)
    };
    let (risk, risk_because) = if findings.iter().any(is_flood) {
        let what = "half-open connections of a flood fill whatever room there is, and memory goes with it: what keeps them out is a \
                    filter before tracking, and room is for the other flows until then";
        (Risk::Medium, what)
    } else {
        let what = "nothing that is there changes, and memory is taken only as entries come; to lower it again below 1.1 times \
                    the entries of then would refuse new flows";
        (Risk::None, what)
    };
    Some(Planned {
        why: format!(
            "{} needs room for {} entries, and the limit is {}",
            most.namespace,
            grouped(most.demand.with_growth),
            grouped(from.into())
        ),
        derivation: because.clone(),
        cost,
        risk,
        risk_because: risk_because.to_string(),
        ..sysctl_change(Sysctl::CAPACITY, from, *to)
    })
}

pub(crate) fn bucket_change(choice: &BucketChoice) -> Option<Planned> {
    (choice.then != choice.now).then(|| Planned {
        why: "hash chains would be long in a full table".to_string(),
        derivation: choice.because.clone(),
        takes_effect: "at once, for all entries: the table is rehashed",
        cost: format!("{} of memory in one piece", bytes(u64::from(choice.then) * 8)),
        risk: Risk::Low,
        risk_because: "while the table is rehashed, packets wait".to_string(),
        ..sysctl_change(Sysctl::BUCKETS, choice.now, choice.then)
    })
}

pub(crate) fn timeout_change(of: TimeoutChange) -> Option<Planned> {
    let sysctl = Sysctl::of_timeout(of.timeout)?;
    let is_lower = of.to_secs < of.from_secs;
    let (risk, risk_because) = timeout_risk(&of);
    Some(Planned {
        why: of.why,
        derivation: of.derivation,
        silenced: of.silenced,
        saves: None,
        takes_effect: "for each entry with its next packet: entries that are there keep the time that they have left \
                       (`plimsoll trim` brings them under it)",
        cost: if is_lower { "none: entries go sooner" } else { "memory: entries stay for longer" }.to_string(),
        risk,
        risk_because,
        prices: of.prices,
        ..sysctl_change(sysctl, of.from_secs, of.to_secs)
    })
}

pub(crate) fn policy_change((policy, why): (ServicePolicy, String)) -> Planned {
    let timeouts: Vec<_> = policy.timeouts.iter().map(|of| format!("{} {} s", of.sysctl.name(), of.secs)).collect();
    Planned {
        why,
        derivation: format!("for {} port {}: {}", policy.protocol.name(), policy.port, timeouts.join(", ")),
        edit: Edit::Policy(policy),
        forecast: None,
        silenced: None,
        saves: None,
        takes_effect: "for flows that begin afterwards",
        cost: "128 bytes more for each of its entries, and a rule that every new flow passes".to_string(),
        risk: Risk::Low,
        risk_because: "answers of this service that come later find no translation".to_string(),
        prices: Vec::new(),
        overwritten: None,
        revert: "plimsoll rollback".to_string(),
    }
}

pub(crate) fn other_change(of: OtherChange) -> Planned {
    Planned {
        why: of.why,
        cost: of.cost.to_string(),
        risk: of.risk,
        risk_because: of.risk_because.to_string(),
        derivation: "a switch, or twice what it was".to_string(),
        ..sysctl_change(of.sysctl, of.from, of.to)
    }
}

/// An edit, in few words.
pub(crate) fn named(edit: &Edit) -> String {
    match edit {
        Edit::Sysctl { sysctl, .. } => sysctl.timeout().map_or(sysctl.name(), name).to_string(),
        Edit::Policy(policy) => format!("timeouts for {} port {}", policy.protocol.name(), policy.port),
        Edit::Bypass(bypass) => bypass.to_string(),
        Edit::Shield(shield) => format!("a shield of {}", shield.class),
        Edit::XdpStage(stage) => format!("an XDP stage of a shield on {}", stage.interface),
    }
}

/// What a sysctl's change has by itself; the rest is for whom proposes it.
fn sysctl_change(sysctl: Sysctl, from: u32, to: u32) -> Planned {
    Planned {
        edit: Edit::Sysctl { sysctl, from, to },
        why: String::new(),
        derivation: String::new(),
        forecast: None,
        silenced: None,
        saves: None,
        takes_effect: "at once",
        cost: "none".to_string(),
        risk: Risk::None,
        risk_because: String::new(),
        prices: Vec::new(),
        overwritten: None,
        revert: format!("sysctl -w {sysctl}={from}"),
    }
}

fn timeout_risk(of: &TimeoutChange) -> (Risk, String) {
    if of.to_secs >= of.from_secs {
        return (Risk::None, "flows may be silent for longer".to_string());
    }
    let Some(silenced) = of.silenced else {
        let what = match of.timeout {
            Timeout::Tcp(TcpState::SynSent | TcpState::SynRecv) => "a handshake that takes longer finds no entry",
            Timeout::Tcp(
                TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck | TcpState::TimeWait | TcpState::Close,
            ) => "a retransmission that comes so late after the close finds no entry",
            _ => "a flow that is silent for longer and goes on finds no entry",
        };
        return (Risk::Low, what.to_string());
    };
    let harms =
        [(silenced.picked_up, "are picked up again"), (silenced.reset, "are reset"), (silenced.black_holed, "stall")];
    let met: Vec<_> = harms
        .into_iter()
        .filter(|(flows, _)| *flows > 0)
        .map(|(flows, what)| format!("{what} (up to {})", grouped(flows)))
        .collect();
    let (low, high) = (grouped(silenced.flows.low), grouped(silenced.flows.high));
    if met.is_empty() {
        let to = of.to_secs;
        return (
            Risk::Low,
            format!("no entry that was read has been silent for longer than {to} s (at most {high} have)"),
        );
    }
    let text = format!(
        "{low} to {high} of the flows that are there have been silent for longer than {} s: at the next such silence, those \
         that live {}",
        of.to_secs,
        met.join(" or ")
    );
    (if silenced.reset + silenced.black_holed > 0 { Risk::Medium } else { Risk::Low }, text)
}
