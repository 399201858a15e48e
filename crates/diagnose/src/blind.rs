//! `nothing-tracked`, `tracked-elsewhere`, `cannot-see`: what the numbers do not show.

use plimsoll_model::{
    Answer, Confidence, Elsewhere, Evidence, Finding, FindingId, ModuleState, NamespaceSnapshot, Reading, Relation,
    Remedy, Scope, Severity, Snapshot, Unseen, ZoneLimit,
};

use crate::evidence::{advice, fact, number};
use crate::thresholds::{FILLING, FULL, NEARLY_EMPTY};
use crate::words::{grouped, percent};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let own = snapshot
        .namespaces
        .iter()
        .filter(|ns| ns.namespace.relation == Relation::Own || snapshot.scope == Scope::Named);
    let mut findings: Vec<_> = own.filter_map(|ns| nothing_tracked(snapshot, ns)).collect();
    findings.extend(tracked_elsewhere(&snapshot.elsewhere));
    findings.extend(held_out_of_sight(snapshot));
    findings.extend(cannot_see(snapshot));
    findings
}

fn nothing_tracked(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<Finding> {
    let is_empty = ns.occupancy.is_some_and(|occupancy| occupancy.0 == 0);
    let mut evidence = Vec::new();
    if let Some(packets) = ns.packets {
        evidence.push(number("packets", packets as f64, format!("{} packets passed meanwhile", grouped(packets))));
    }
    let (confidence, title) = match (snapshot.module, &ns.tracking) {
        (ModuleState::Absent, _) => {
            (Confidence::Certain, "nothing is tracked here: this kernel has no connection tracking loaded".to_string())
        }
        _ if !is_empty => return None,
        // Hooked, and simply empty.
        (_, Answer::Yes) => return None,
        (_, Answer::No { needs }) => {
            (Confidence::Certain, format!("nothing is tracked here: tracking is not hooked in, which takes {needs}"))
        }
        (_, Answer::Inconclusive { because }) => {
            evidence.push(fact("hooks", format!("whether tracking is hooked in is not known: {because}")));
            if ns.packets.is_some_and(|packets| packets > 0) {
                let title = "nothing is tracked here: packets pass, and the table stays empty";
                (Confidence::Likely, title.to_string())
            } else {
                let title = "the table is empty; it may be that nothing is tracked here, as where no rule asks for it";
                (Confidence::Possible, title.to_string())
            }
        }
    };
    Some(Finding {
        id: FindingId::NothingTracked,
        severity: Severity::Info,
        confidence,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title,
        evidence,
        meaning:
            "The kernel tracks connections only in namespaces where a rule asks for it (ct state, NAT, a helper). \
                  Without one the table stays empty and cannot overflow."
                .to_string(),
        remedies: vec![Remedy {
            action: "To see what a check says where something is tracked, play a workload on this kernel, in network \
                     namespaces of its own; it takes half a minute."
                .to_string(),
            command: Some("plimsoll lab run syn-flood --check".to_string()),
        }],
    })
}

/// Entries in namespaces that nobody shows: a thread's alone, or one that only an open file keeps. The slab holds
/// the entries of all; where it holds enough beyond those that were counted to fill a table, one may be full.
fn held_out_of_sight(snapshot: &Snapshot) -> Option<Finding> {
    let (slab, capacity) = (snapshot.slab?, snapshot.limits.capacity?.limit()?);
    if snapshot.scope != Scope::All {
        return None;
    }
    let beyond = slab.objects_in_use.saturating_sub(snapshot.total_occupancy());
    let unread = snapshot.namespaces.iter().filter(|ns| ns.occupancy.is_none()).count();
    let place = match unread {
        0 => "in no namespace that could be found".to_string(),
        unread => format!("in the {unread} namespaces that could not be read, or in one that was not found"),
    };
    ((beyond as f64) >= FILLING * f64::from(capacity)).then(|| Finding {
        id: FindingId::CannotSee,
        severity: Severity::Unknown,
        confidence: Confidence::Likely,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: format!("about {} entries are {place}", grouped(beyond)),
        evidence: vec![number(
            "entries_out_of_sight",
            beyond as f64,
            format!(
                "the slab has {} entries in use, the namespaces that were found count {}",
                grouped(slab.objects_in_use),
                grouped(snapshot.total_occupancy())
            ),
        )],
        meaning:
            "A namespace that only a thread is in, or that only an open file keeps, is not found. Its table may be \
                  full. Entries that have just been freed in great number look the same for some seconds."
                .to_string(),
        remedies: vec![advice(
            "Look for it: `lsns -t net`, and `ls -l /proc/*/task/*/ns/net /proc/*/fd | grep net:`; then \
             `plimsoll check` inside it, by `nsenter`.",
        )],
    })
}

fn tracked_elsewhere(elsewhere: &[Elsewhere]) -> Option<Finding> {
    // Zones that are well below their limits are no matter: their entries are in the table that was read.
    let elsewhere: Vec<_> = elsewhere.iter().filter(|other| severity_elsewhere(other) > Severity::Info).collect();
    let severity = elsewhere.iter().map(|other| severity_elsewhere(other)).max()?;
    let title = if severity == Severity::Unknown {
        "flows are tracked, or limited, where Plimsoll does not look"
    } else {
        "a conntrack zone of Open vSwitch is near its own limit"
    };
    Some(Finding {
        id: FindingId::TrackedElsewhere,
        severity,
        confidence: Confidence::Likely,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: title.to_string(),
        evidence: elsewhere.iter().flat_map(|other| evidence_elsewhere(other)).collect(),
        meaning: "These tables have limits of their own. They can be full, and drop, while the kernel's table looks \
                  fine."
            .to_string(),
        remedies: elsewhere.iter().map(|other| remedy_elsewhere(other)).fold(Vec::new(), |mut unique, remedy| {
            if !unique.contains(&remedy) {
                unique.push(remedy);
            }
            unique
        }),
    })
}

fn severity_elsewhere(elsewhere: &Elsewhere) -> Severity {
    match elsewhere {
        Elsewhere::BpfMap { .. } | Elsewhere::Process { .. } | Elsewhere::OpenVswitchZones { limits: None } => {
            Severity::Unknown
        }
        Elsewhere::OpenVswitchZones { limits: Some(limits) } => {
            match limits.iter().map(zone_utilization).fold(0.0, f64::max) {
                full if full >= FULL => Severity::Critical,
                filling if filling >= FILLING => Severity::Warning,
                _ => Severity::Info,
            }
        }
    }
}

fn zone_utilization(zone: &ZoneLimit) -> f64 {
    if zone.limit == 0 { 0.0 } else { f64::from(zone.count) / f64::from(zone.limit) }
}

fn evidence_elsewhere(elsewhere: &Elsewhere) -> Vec<Evidence> {
    match elsewhere {
        Elsewhere::BpfMap { id, name, max_entries } => vec![number(
            "bpf_map_max_entries",
            (*max_entries).into(),
            format!("BPF map {name} (id {id}) tracks up to {} connections", grouped((*max_entries).into())),
        )],
        Elsewhere::Process { pid, command } => {
            vec![number("pid", (*pid).into(), format!("process {command} ({pid}) has a connection tracker of its own"))]
        }
        Elsewhere::OpenVswitchZones { limits: None } => {
            vec![fact("open_vswitch", "Open vSwitch is loaded; its zones' limits were not read".to_string())]
        }
        Elsewhere::OpenVswitchZones { limits: Some(limits) } => limits.iter().map(evidence_of_zone).collect(),
    }
}

fn evidence_of_zone(zone: &ZoneLimit) -> Evidence {
    let name = zone.zone.map_or("zones without a limit of their own".to_string(), |zone| format!("zone {zone}"));
    let text = match zone.limit {
        0 => format!("Open vSwitch: {name}: no limit"),
        limit => format!(
            "Open vSwitch: {name}: {} of {} entries ({})",
            grouped(zone.count.into()),
            grouped(limit.into()),
            percent(zone_utilization(zone))
        ),
    };
    number("zone_utilization_ratio", zone_utilization(zone), text)
}

fn remedy_elsewhere(elsewhere: &Elsewhere) -> Remedy {
    match elsewhere {
        Elsewhere::BpfMap { name, .. } if name.as_str().starts_with("cilium") => advice(
            "Ask Cilium: `cilium-dbg status --verbose` and the metric cilium_bpf_map_pressure, in its agent's pod.",
        ),
        Elsewhere::BpfMap { .. } => advice("Ask Calico: `calico-node -bpf conntrack dump`, in its pod."),
        Elsewhere::Process { .. } => advice("Ask the process itself, with its own tools."),
        Elsewhere::OpenVswitchZones { .. } => {
            advice("Ask Open vSwitch: `ovs-appctl dpctl/ct-get-limits` and `ovs-appctl dpctl/ct-stats-show`.")
        }
    }
}

fn cannot_see(snapshot: &Snapshot) -> Option<Finding> {
    if snapshot.unseen.is_empty() {
        return None;
    }
    let severity = snapshot.unseen.iter().map(|unseen| severity_unseen(snapshot, unseen)).max()?;
    let mut remedies = Vec::new();
    for unseen in &snapshot.unseen {
        let remedy = advice(format!("Needed: {}.", unseen.needs));
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    Some(Finding {
        id: FindingId::CannotSee,
        severity,
        confidence: Confidence::Certain,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: title_unseen(snapshot),
        evidence: gaps(&snapshot.unseen),
        meaning: "What is said above holds for what could be read, and for nothing else.".to_string(),
        remedies,
    })
}

fn title_unseen(snapshot: &Snapshot) -> String {
    let all = missing(&snapshot.unseen);
    let is_grave = |gap: &&Unseen| severity_unseen(snapshot, gap) > Severity::Info;
    let mut grave = snapshot.unseen.iter().filter(is_grave).peekable();
    if grave.peek().is_none() {
        format!("not read, without changing the verdict: {all}")
    } else if grave.all(|gap| gap.reading == Reading::KubernetesAsked) {
        "Kubernetes was to be asked, and did not tell all".to_string()
    } else {
        format!("what could not be read may hide that packets are lost: {all}")
    }
}

/// What is missing, in a few words.
fn missing(unseen: &[Unseen]) -> String {
    let mut kinds: Vec<_> = unseen.iter().map(|gap| key_unseen(gap.reading).replace('_', " ")).collect();
    kinds.sort();
    kinds.dedup();
    kinds.join(", ")
}

/// One piece of evidence for all gaps of a kind that have the same cause.
fn gaps(unseen: &[Unseen]) -> Vec<Evidence> {
    const NAMED: usize = 3;
    let same = |a: &Unseen, b: &Unseen| (a.reading, &a.tried, &a.answered) == (b.reading, &b.tried, &b.answered);
    let mut kinds: Vec<Vec<&Unseen>> = Vec::new();
    for gap in unseen {
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| same(first, gap))) {
            Some(kind) => kind.push(gap),
            None => kinds.push(vec![gap]),
        }
    }
    let evidence = kinds.into_iter().filter_map(|kind| {
        let first = kind.first()?;
        let names: Vec<_> = kind.iter().filter_map(|gap| gap.namespace.as_ref()).map(ToString::to_string).collect();
        let place = match names.len() {
            0 => String::new(),
            few if few <= NAMED => format!(" ({})", names.join(", ")),
            many => format!(" ({} and {} more)", names[..NAMED].join(", "), many - NAMED),
        };
        let text = format!("{}{place}: {}", first.tried, first.answered);
        Some(number(key_unseen(first.reading), kind.len() as f64, text))
    });
    evidence.collect()
}

/// Whether harm could hide behind what was not read.
fn severity_unseen(snapshot: &Snapshot, unseen: &Unseen) -> Severity {
    match unseen.reading {
        Reading::Occupancy
        | Reading::Capacity
        | Reading::Counters
        | Reading::Namespaces
        | Reading::Namespace
        | Reading::OtherTrackers
        | Reading::KubernetesAsked => Severity::Unknown,
        Reading::Entries if hides_a_cause(snapshot, unseen) => Severity::Unknown,
        // The log tells of the last minutes what the counters tell of now.
        Reading::Buckets
        | Reading::Timeouts
        | Reading::Entries
        | Reading::KernelLog
        | Reading::Slab
        | Reading::Memory
        | Reading::Settings
        | Reading::Lasting
        | Reading::Writers
        | Reading::Ruleset
        | Reading::Programs
        | Reading::Kubernetes => Severity::Info,
    }
}

/// Whether a table whose entries were not read holds enough of them for a cause to be there that will fill it.
fn hides_a_cause(snapshot: &Snapshot, unseen: &Unseen) -> bool {
    let mut namespaces = snapshot.namespaces.iter();
    let ns = namespaces.find(|ns| Some(&ns.namespace.name) == unseen.namespace.as_ref());
    ns.and_then(NamespaceSnapshot::utilization).is_none_or(|utilization| utilization >= NEARLY_EMPTY)
}

fn key_unseen(reading: Reading) -> &'static str {
    match reading {
        Reading::Occupancy => "occupancy",
        Reading::Capacity => "capacity",
        Reading::Buckets => "buckets",
        Reading::Counters => "counters",
        Reading::Timeouts => "timeouts",
        Reading::Entries => "entries",
        Reading::Namespaces => "namespaces",
        Reading::Namespace => "namespace",
        Reading::KernelLog => "kernel_log",
        Reading::Slab => "slab",
        Reading::Memory => "memory",
        Reading::OtherTrackers => "other_trackers",
        Reading::Settings => "settings",
        Reading::Lasting => "lasting",
        Reading::Writers => "writers",
        Reading::Ruleset => "ruleset",
        Reading::Programs => "programs",
        Reading::Kubernetes | Reading::KubernetesAsked => "kubernetes",
    }
}
