//! `drift`: values that are no longer what was applied, or not what files set.

use plimsoll_model::{
    Confidence, Configured, Drift, DriftKind, Effect, Evidence, Finding, FindingId, Lasting, NamedBy, Remedy, Severity,
    Snapshot, Suspect, Sysctl, TableSize, Timeout, Untrusted, Writer, Written,
};

use crate::evidence::{advice, command, number};
use crate::words::grouped;

/// Values in force against files and against what was applied last (by the journal, if there is one). In the order of those in
/// force.
///
/// What was never applied, and no file sets, is no drift; nor is what the kernel would set by itself.
pub fn drift(
    in_force: &[(Sysctl, u32)],
    lasting: Option<&Lasting>,
    applied: Option<&[(Sysctl, u32)]>,
    writers: &[Writer],
) -> Vec<Drift> {
    let of = |(sysctl, in_force): &(Sysctl, u32)| {
        let applied =
            applied.and_then(|applied| applied.iter().rev().find(|(of, _)| of == sysctl)).map(|(_, value)| *value);
        let configured = lasting.and_then(|lasting| configured(*sysctl, lasting));
        let files = match (&configured, lasting) {
            (Some(file), _) => Files::Set(file.value),
            (None, Some(_)) => Files::Silent,
            (None, None) => Files::Unread,
        };
        let kind = kind(*sysctl, *in_force, applied, files)?;
        let suspects =
            if kind == DriftKind::NotLasting { Vec::new() } else { suspects(*sysctl, *in_force, lasting, writers) };
        Some(Drift { sysctl: *sysctl, kind, in_force: *in_force, configured, applied, suspects })
    };
    in_force.iter().filter_map(of).collect()
}

/// What is in force in the host's own namespace, as far as it was read.
pub fn in_force(snapshot: &Snapshot) -> Vec<(Sysctl, u32)> {
    let limits = &snapshot.limits;
    let mut values: Vec<_> = [
        (Sysctl::CAPACITY, limits.capacity.map(|capacity| capacity.0)),
        (Sysctl::BUCKETS, limits.buckets.map(|buckets| buckets.0)),
        (Sysctl::EXPECT_MAX, limits.expect_max),
    ]
    .into_iter()
    .filter_map(|(sysctl, value)| Some((sysctl, value?)))
    .collect();
    if let Some(ns) = snapshot.namespaces.iter().find(|ns| ns.namespace.named_by == NamedBy::Host) {
        let timeouts = ns.timeouts.iter_secs();
        values.extend(timeouts.filter_map(|(timeout, secs)| Some((Sysctl::of_timeout(timeout)?, secs))));
        let settings = [
            (Sysctl::TCP_LOOSE, ns.settings.tcp_loose.map(u32::from)),
            (Sysctl::TCP_BE_LIBERAL, ns.settings.tcp_be_liberal.map(u32::from)),
            (Sysctl::SYNCOOKIES, ns.settings.syncookies),
        ];
        values.extend(settings.into_iter().filter_map(|(sysctl, value)| Some((sysctl, value?))));
    }
    values
}

/// That something was applied and is no longer there. That files set other values than those in force is
/// `settings-not-persistent`.
pub(crate) fn findings(snapshot: &Snapshot) -> Option<Finding> {
    let applied = snapshot.applied.as_deref()?;
    let all = drift(&in_force(snapshot), snapshot.lasting.as_ref(), Some(applied), &snapshot.writers);
    let since: Vec<_> = all.iter().filter(|drift| drift.kind == DriftKind::SetSince).collect();
    let first = since.first()?;
    let is_lower = |drift: &&&Drift| drift.sysctl == Sysctl::CAPACITY && is_below(drift.in_force, drift.applied);
    let lowered = since.iter().find(is_lower);
    Some(Finding {
        id: FindingId::Drift,
        severity: if lowered.is_some() { Severity::Warning } else { Severity::Info },
        confidence: Confidence::Certain,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: match lowered {
            Some(drift) => format!("somebody has lowered the limit to {}, below the one that was applied", grouped(drift.in_force.into())),
            None => format!("{} of the settings that were applied are no longer in force: {}", since.len(), first.sysctl.name()),
        },
        evidence: since.iter().map(|drift| evidence(drift)).collect(),
        meaning: "The plan that set these values no longer holds: what it predicted was for other settings. Whoever has set them \
                  will do so again, and an undo leaves them as they are."
            .to_string(),
        remedies: remedies(&since),
    })
}

/// What files say of a sysctl.
#[derive(Clone, Copy)]
enum Files {
    Unread,
    Silent,
    Set(u32),
}

fn kind(sysctl: Sysctl, in_force: u32, applied: Option<u32>, files: Files) -> Option<DriftKind> {
    match (applied, files) {
        (Some(applied), _) if applied != in_force => Some(DriftKind::SetSince),
        (Some(applied), Files::Set(value)) => (value != applied).then_some(DriftKind::NotLasting),
        (Some(applied), Files::Silent) => (!is_compiled_in(sysctl, applied)).then_some(DriftKind::NotLasting),
        (None, Files::Set(value)) => (value != in_force).then_some(DriftKind::NotInForce),
        (_, Files::Unread) | (None, Files::Silent) => None,
    }
}

fn is_compiled_in(sysctl: Sysctl, value: u32) -> bool {
    sysctl.timeout().and_then(Timeout::compiled_default_secs) == Some(value)
}

/// Zero is no limit.
fn is_below(limit: u32, other: Option<u32>) -> bool {
    let entries = |limit: u32| if limit == 0 { u32::MAX } else { limit };
    other.is_some_and(|other| entries(limit) < entries(other))
}

/// What files make of it: sysctl.d, or the module's hash size, which sets the limit too.
fn configured(sysctl: Sysctl, lasting: &Lasting) -> Option<Configured> {
    if let Some(setting) = lasting.last(sysctl) {
        let value = setting.value.as_str().parse().ok()?;
        return Some(Configured { value: sysctl.as_read(value), file: setting.file.clone() });
    }
    let hashsize = lasting.hashsize.as_ref()?;
    let size = TableSize::by_hashsize(hashsize.value.as_str().parse().ok()?)?;
    let value = match sysctl {
        Sysctl::CAPACITY => size.capacity.0,
        Sysctl::BUCKETS => size.buckets.0,
        _ => return None,
    };
    Some(Configured { value, file: hashsize.file.clone() })
}

fn suspects(sysctl: Sysctl, in_force: u32, lasting: Option<&Lasting>, writers: &[Writer]) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for writer in writers {
        for effect in &writer.effects {
            match effect {
                Effect::Sets { sysctl: set, value, from, .. } if *set == sysctl && may_have_set(value, in_force) => {
                    suspects.push(Suspect::Writer {
                        name: Untrusted::from_escaped(writer.to_string()),
                        from: from.clone(),
                    });
                }
                _ => {}
            }
        }
    }
    let files = lasting.into_iter().flat_map(|lasting| &lasting.sysctl);
    for setting in files.filter(|setting| setting.name.as_str().parse() == Ok(sysctl)) {
        if setting.value.as_str().parse().map(|value| sysctl.as_read(value)) == Ok(in_force) {
            suspects.push(Suspect::File { file: setting.file.clone() });
        }
    }
    if is_compiled_in(sysctl, in_force) {
        suspects.push(Suspect::Kernel);
    }
    suspects
}

fn may_have_set(rule: &Written, in_force: u32) -> bool {
    match *rule {
        Written::Exactly { value } | Written::AtLeast { value } | Written::AtMost { value } => value == in_force,
        Written::ByVersion { newest, older } => newest == in_force || older == in_force,
        Written::Unclear { .. } => true,
    }
}

fn evidence(drift: &Drift) -> Evidence {
    let key = match (drift.sysctl, drift.sysctl.timeout()) {
        (Sysctl::CAPACITY, _) => "capacity_in_force_entries",
        (Sysctl::BUCKETS, _) => "buckets_in_force",
        (_, Some(_)) => "timeout_in_force_secs",
        (_, None) => "value_in_force",
    };
    number(key, drift.in_force.into(), sentence(drift))
}

/// All of them for people to read: the kinds one after the other, a line each.
pub fn report(drifts: &[Drift]) -> String {
    if drifts.is_empty() {
        return "No drift: what is in force is what was applied, and what files set.\n".to_string();
    }
    let mut text = String::new();
    for (kind, heading) in [
        (DriftKind::SetSince, "Set by somebody else since it was applied:"),
        (DriftKind::NotLasting, "In force as it was applied, until the next boot:"),
        (DriftKind::NotInForce, "Not what files set, and not applied by a plan:"),
    ] {
        let of_kind: Vec<_> = drifts.iter().filter(|drift| drift.kind == kind).collect();
        if !of_kind.is_empty() {
            text.push_str(&format!("{heading}\n"));
        }
        for drift in of_kind {
            text.push_str(&format!("  {}\n", sentence(drift)));
        }
    }
    text
}

/// A drift in words.
pub fn sentence(drift: &Drift) -> String {
    let value = |value: u32| grouped(value.into());
    let mut text = format!("{} is {}", drift.sysctl.name(), value(drift.in_force));
    if let Some(applied) = drift.applied.filter(|applied| *applied != drift.in_force) {
        text.push_str(&format!("; {} was applied", value(applied)));
    }
    match (&drift.configured, drift.kind) {
        (Some(file), _) => text.push_str(&format!("; {} sets {}", file.file, value(file.value))),
        (None, DriftKind::NotLasting) => text.push_str(", as it was applied; no file sets it"),
        (None, _) => {}
    }
    for suspect in &drift.suspects {
        text.push_str("; ");
        text.push_str(&match suspect {
            Suspect::Writer { name, from } => format!("{name} sets it (by {from})"),
            Suspect::File { file } => format!("{file} says so"),
            Suspect::Kernel => "it is what the kernel begins with".to_string(),
        });
    }
    text
}

fn remedies(drifts: &[&Drift]) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    for suspect in drifts.iter().flat_map(|drift| &drift.suspects) {
        let Suspect::Writer { name, .. } = suspect else { continue };
        let remedy = advice(format!(
            "Set it where {name} has it from, or tell it to leave it alone: it writes again when it starts."
        ));
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    let values: Vec<_> =
        drifts.iter().filter_map(|drift| Some(format!("{}={}", drift.sysctl, drift.applied?))).collect();
    remedies
        .push(command("If what was applied is still meant, set it again.", format!("sysctl -w {}", values.join(" "))));
    remedies.push(advice("If what is in force is meant, undo the plan: what others have set stays."));
    remedies
}
