//! A recording's recommendations as changes of a host's settings.

use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::{
    NamespaceSnapshot, Policies, PolicyProtocol, PolicyTimeout, Protocol, ServicePolicy, Sysctl, Timeout,
};

use super::silences::ServiceKind;
use super::{Measured, MeasuredPolicy, MeasuredTimeout, Rails};
use crate::rails::least_secs;
use crate::timeouts::{TimeoutChange, TimeoutChoice, change, name};
use crate::{PassedOver, Role};

/// What a recording recommends for this host.
pub(crate) fn of_recording(measured: &Measured, ns: &NamespaceSnapshot, role: Role) -> TimeoutChoice {
    let mut choice = TimeoutChoice::default();
    for timeout in &measured.timeouts {
        let name = name(timeout.timeout);
        let recommended = &timeout.recommended;
        match (recommended.secs, ns.timeouts.get_secs(timeout.timeout)) {
            (Some(to), Some(from)) if to < from && from > timeout.in_force_secs => {
                let because = format!(
                    "it is {from} s here, and the recording was made under {} s: of longer silences it tells nothing",
                    timeout.in_force_secs
                );
                choice.passed_over.push(PassedOver { what: format!("{name} = {to} s"), because });
            }
            (Some(to), Some(from)) if to < from => {
                let rail = least_secs(timeout.timeout, &ns.settings, role).filter(|rail| to < rail.least_secs);
                // A recording from elsewhere may not have known of it; that rails are crossed was asked for.
                if let Some(rail) = rail.filter(|_| measured.rails == Rails::Hold) {
                    let because =
                        format!("{} s is the least on this host: {} ({})", rail.least_secs, rail.because, rail.source);
                    choice.passed_over.push(PassedOver { what: format!("{name} = {to} s"), because });
                    continue;
                }
                choice.changes.push(change(
                    timeout.timeout,
                    from,
                    to,
                    why(timeout, to),
                    derivation(timeout, to),
                    ns,
                    role,
                ));
            }
            (Some(to), Some(from)) => choice
                .passed_over
                .push(PassedOver { what: format!("{name} = {to} s"), because: format!("it is {from} s already") }),
            (Some(_), None) => {}
            (None, _) => choice
                .passed_over
                .push(PassedOver { what: format!("a lower {name}"), because: recommended.because.clone() }),
        }
    }
    add_policies(measured, ns, role, &mut choice);
    choice
}

fn why(timeout: &MeasuredTimeout, to: u32) -> String {
    let saved = timeout.values.iter().find(|value| value.secs == to).map_or(0.0, |value| value.saved_entries);
    format!(
        "in the recording {} entries at a time had been silent for longer than {}",
        grouped(rounded(saved)),
        duration(to.into())
    )
}

fn derivation(timeout: &MeasuredTimeout, to: u32) -> String {
    let Some(value) = timeout.values.iter().find(|value| value.secs == to) else { return String::new() };
    let share = |rate: Option<f64>| rate.map_or("not known".to_string(), |rate| format!("{:.4} %", rate * 100.0));
    format!(
        "false kills per flow that idles beyond {}: {} fitted, at most {} at 95 % (of {}), {} in the later part; {}",
        duration(timeout.guard.secs.min(to).into()),
        share(value.fitted_rate),
        share(value.worst_upper),
        value.worst_service.map_or("no service".to_string(), |service| service.to_string()),
        share(value.later_rate),
        timeout.recommended.because
    )
}

/// Policies for services: one for each port, with every timeout that was measured for it.
fn add_policies(measured: &Measured, ns: &NamespaceSnapshot, role: Role, choice: &mut TimeoutChoice) {
    // As for all flows: no lower than this host bears, and no lower than from what the recording tells of.
    let is_borne_here = |of: &MeasuredTimeout, policy: &MeasuredPolicy| {
        // For a well-known port even a NAT may have a shorter one (RFC 4787, REQ-5a).
        let is_well_known = matches!(policy.service, ServiceKind::Port(Protocol::UDP, ..1024));
        let holds = measured.rails == Rails::Hold && !is_well_known;
        let least = least_secs(of.timeout, &ns.settings, role).filter(|_| holds);
        least.is_none_or(|rail| policy.secs >= rail.least_secs)
            && ns.timeouts.get_secs(of.timeout).is_some_and(|here| here <= of.in_force_secs)
    };
    let all = || {
        measured.timeouts.iter().flat_map(|of| {
            let borne = of.recommended.policies.iter().filter(move |policy| is_borne_here(of, policy));
            borne.map(move |policy| (of.timeout, policy))
        })
    };
    let mut services: Vec<_> = all().map(|(_, policy)| policy.service).collect();
    services.sort_unstable();
    services.dedup();
    for service in services {
        let ServiceKind::Port(protocol, port) = service else { continue };
        let Some(protocol) = policy_protocol(protocol) else { continue };
        // Which ports policies that are there are for, no reading tells: this may be one of them.
        if ns.policies != Policies::None {
            let because = "there are timeout policies already, and for which ports cannot be read".to_string();
            choice.passed_over.push(PassedOver { what: format!("timeouts for {service}"), because });
            continue;
        }
        let own: Vec<_> = all().filter(|(_, policy)| policy.service == service).collect();
        choice.policies.push((policy_of(protocol, port, &own, ns, &choice.changes), why_of(&own)));
    }
}

const fn policy_protocol(protocol: Protocol) -> Option<PolicyProtocol> {
    match protocol {
        Protocol::TCP => Some(PolicyProtocol::Tcp),
        Protocol::UDP => Some(PolicyProtocol::Udp),
        _ => None,
    }
}

/// A policy that does not name a timeout has the compiled one, so it names all: as they are in force, or will be by the plan.
fn policy_of(
    protocol: PolicyProtocol,
    port: u16,
    own: &[(Timeout, &MeasuredPolicy)],
    ns: &NamespaceSnapshot,
    changes: &[TimeoutChange],
) -> ServicePolicy {
    let is_of_it = |timeout: Timeout| match protocol {
        PolicyProtocol::Tcp => matches!(timeout, Timeout::Tcp(_) | Timeout::TcpMaxRetrans | Timeout::TcpUnacknowledged),
        PolicyProtocol::Udp => matches!(timeout, Timeout::Udp | Timeout::UdpStream),
    };
    let timeouts =
        ns.timeouts.iter_secs().filter(|(timeout, _)| is_of_it(*timeout)).filter_map(|(timeout, in_force)| {
            let lower = own.iter().find(|(of, _)| *of == timeout).map(|(_, policy)| policy.secs);
            let for_all = changes.iter().find(|change| change.timeout == timeout).map(|change| change.to_secs);
            let lower = lower.or(for_all);
            Some(PolicyTimeout { sysctl: Sysctl::of_timeout(timeout)?, secs: lower.unwrap_or(in_force).min(in_force) })
        });
    ServicePolicy { protocol, port, timeouts: timeouts.collect() }
}

fn why_of(own: &[(Timeout, &MeasuredPolicy)]) -> String {
    let each: Vec<_> = own
        .iter()
        .map(|(timeout, policy)| {
            format!(
                "{} {} saves {} entries at a time more than the value for all: {}",
                name(*timeout),
                duration(policy.secs.into()),
                grouped(rounded(policy.saved_entries)),
                policy.because
            )
        })
        .collect();
    each.join("; ")
}
