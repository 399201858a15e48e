//! `kube-proxy-owns-setting`: a file sets a value that kube-proxy replaces whenever it starts.
//!
//! `settings-not-persistent` is silent about it, since a boot ends with just the value that is in force; and it is no drift, as nobody applied it.

use plimsoll_model::{
    Becomes, Confidence, Effect, Evidence, Finding, FindingId, NamespaceSnapshot, Presence, SettingInFile, Severity,
    Snapshot, Sysctl, Untrusted, Writer, WriterKind,
};

use crate::drift::in_force;
use crate::evidence::{advice, command, fact, number};
use crate::thresholds::FILLING;
use crate::words::grouped;

pub(crate) fn findings(snapshot: &Snapshot) -> Option<Finding> {
    let owned = Owned::all(snapshot);
    let first = owned.first()?;
    let is_small = owned.iter().any(Owned::lowers_the_limit);
    let is_filling =
        snapshot.namespaces.iter().filter_map(NamespaceSnapshot::utilization).any(|utilization| utilization >= FILLING);
    let (name, now, meant) = (first.sysctl.name(), grouped(first.now.into()), grouped(first.meant.into()));
    Some(Finding {
        id: FindingId::KubeProxyOwnsSetting,
        severity: if is_small && is_filling { Severity::Warning } else { Severity::Info },
        confidence: Confidence::Likely,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: match owned.len() {
            1 => format!("kube-proxy sets {name} to {now}, and {meant} of {} is lost", first.file.file),
            more => format!("kube-proxy sets {more} values that files set otherwise: {name} to {now}, not {meant}"),
        },
        evidence: owned.iter().map(Owned::evidence).chain(config_map(snapshot)).collect(),
        meaning: "kube-proxy writes these values whenever it starts, after all files were read. Whoever set them by a file has not got what the \
                  file says, and setting them by hand lasts until its next start."
            .to_string(),
        remedies: vec![
            command(
                "Set them in kube-proxy's own configuration: have it written from a plan, and start kube-proxy anew.",
                "plimsoll plan --format kube-proxy",
            ),
            advice(
                "Or tell it to leave them alone: `maxPerCore: 0` for the limit and the buckets, `0s` for a timeout, below `conntrack:`. Then files \
                 count.",
            ),
            advice("Take out of the files what is not meant any more: they say something that does not hold."),
        ],
    })
}

/// What Kubernetes says that kube-proxy is told, where it was asked.
fn config_map(snapshot: &Snapshot) -> Option<Evidence> {
    let mut around = snapshot.namespaces.iter().filter_map(|ns| ns.surroundings.as_ref());
    let told = around.find_map(|around| around.cluster.kube_proxy.as_ref())?;
    Some(fact("kube_proxy_config_map", format!("the ConfigMap kube-system/kube-proxy says: {told}")))
}

/// A value that kube-proxy has put in the place of a file's.
struct Owned<'a> {
    sysctl: Sysctl,
    now: u32,
    meant: u32,
    file: &'a SettingInFile,
    from: &'a Untrusted,
    writer: &'a Writer,
}

impl<'a> Owned<'a> {
    fn all(snapshot: &'a Snapshot) -> Vec<Self> {
        let Some(lasting) = &snapshot.lasting else { return Vec::new() };
        let runs = |writer: &&Writer| {
            writer.kind == WriterKind::KubeProxy && matches!(writer.presence, Presence::Running { .. })
        };
        let values = in_force(snapshot);
        let mut owned = Vec::new();
        for writer in snapshot.writers.iter().filter(runs) {
            for effect in &writer.effects {
                let Effect::Sets { sysctl, value, from, .. } = effect else { continue };
                let Some((_, now)) = values.iter().find(|(of, _)| of == sysctl) else { continue };
                let Some(file) = lasting.last(*sysctl) else { continue };
                let Ok(written) = file.value.as_str().parse::<u32>() else { continue };
                let meant = sysctl.as_read(written);
                // That just this value is in force tells who has set it.
                let is_its = matches!(
                    value.becomes(meant),
                    Some(Becomes::Surely { value } | Becomes::Perhaps { value: Some(value) }) if value == *now
                );
                if is_its && meant != *now {
                    owned.push(Self { sysctl: *sysctl, now: *now, meant, file, from, writer });
                }
            }
        }
        owned
    }

    /// Zero is no limit.
    fn lowers_the_limit(&self) -> bool {
        self.sysctl == Sysctl::CAPACITY && self.now != 0 && (self.meant == 0 || self.now < self.meant)
    }

    fn evidence(&self) -> Evidence {
        let Self { sysctl, now, meant, file, from, writer } = self;
        number(
            "owned_value",
            f64::from(*now),
            format!(
                "{} is {}, by {writer} ({from}); {} sets {}",
                sysctl.name(),
                grouped((*now).into()),
                file.file,
                grouped((*meant).into())
            ),
        )
    }
}
