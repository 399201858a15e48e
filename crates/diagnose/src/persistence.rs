//! `settings-not-persistent`: what the next boot makes of the limits and timeouts in force.

use plimsoll_model::{
    Becomes, Buckets, Confidence, Edit, Effect, Evidence, Finding, FindingId, Lasting, ModuleState, NamedBy,
    NamespaceSnapshot, Order, Presence, Remedy, SettingInFile, Severity, SizeRule, Snapshot, Sysctl, TableSize,
    Timeout, Writer,
};

use crate::evidence::{advice, command, fact, number};
use crate::overwrite::{in_words, overwritten};
use crate::words::grouped;

pub(crate) fn findings(snapshot: &Snapshot) -> Option<Finding> {
    let boot = Boot::of(snapshot)?;
    let differences: Vec<_> = boot
        .settings(snapshot)
        .into_iter()
        .filter(|setting| setting.may_differ() && !boot.is_set_later(setting))
        .collect();
    let first = differences.first()?;
    let most_entries = snapshot.namespaces.iter().filter_map(|ns| ns.occupancy).map(|occupancy| occupancy.0).max();
    let capacity = differences.iter().find(|setting| setting.kind == Kind::Capacity);
    let overflows =
        capacity.and_then(Setting::at_most).zip(most_entries).is_some_and(|(limit, entries)| limit < entries);
    let surely = differences.iter().any(Setting::surely_differs);
    Some(Finding {
        id: FindingId::SettingsNotPersistent,
        severity: if overflows { Severity::Warning } else { Severity::Info },
        confidence: if surely { Confidence::Likely } else { Confidence::Possible },
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: match (overflows, surely) {
            (true, _) => format!("the next boot sets a limit below the {} entries that are there", grouped(most_entries?.into())),
            (false, true) => format!("{} of the settings in force are not what the next boot sets: {}", differences.len(), first.name),
            (false, false) => format!("{} of the settings in force may not survive a boot: {}", differences.len(), first.name),
        },
        evidence: differences.iter().map(Setting::evidence).chain(boot.set_later(&differences)).collect(),
        meaning: "Values set by hand are gone after a boot. A file of sysctl.d does not make them last by itself: the names do \
                  not exist until nf_conntrack is loaded, and the file may be read before; a module that is built in ignores \
                  modprobe.d; kube-proxy, tuned and others write their own values later."
            .to_string(),
        remedies: boot.remedies(&differences),
    })
}

/// What decides about the settings after a boot.
struct Boot<'a> {
    lasting: &'a Lasting,
    module: ModuleState,
    ram_bytes: Option<u64>,
    writers: &'a [Writer],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Capacity,
    Buckets,
    Timeout,
}

/// A setting in force, and what the next boot may make of it.
struct Setting<'a> {
    kind: Kind,
    /// The sysctl's, without `net.netfilter.`.
    name: &'static str,
    now: u32,
    /// The file that sets it, and to what.
    file: Option<(&'a SettingInFile, u32)>,
    /// Whether the file is read when the name exists.
    file_is_in_time: bool,
    /// What it is without the file: more than one value where that depends on the kernel, none where it cannot be told.
    otherwise: Vec<u32>,
}

impl<'a> Boot<'a> {
    /// `None` where it cannot be told.
    fn of(snapshot: &'a Snapshot) -> Option<Self> {
        match snapshot.module {
            ModuleState::BuiltIn | ModuleState::Loaded => {}
            ModuleState::Absent | ModuleState::Unknown => return None,
        }
        Some(Self {
            lasting: snapshot.lasting.as_ref()?,
            module: snapshot.module,
            ram_bytes: snapshot.host.ram_bytes,
            writers: &snapshot.writers,
        })
    }

    fn settings(&self, snapshot: &Snapshot) -> Vec<Setting<'a>> {
        let mut settings = Vec::new();
        if let Some(capacity) = snapshot.limits.capacity {
            let names = ["net.netfilter.nf_conntrack_max", "net.nf_conntrack_max"];
            let otherwise = self.sizes().into_iter().map(|size| size.capacity.0).collect();
            settings.extend(self.setting(Kind::Capacity, "nf_conntrack_max", &names, capacity.0, otherwise));
        }
        if let Some(buckets) = snapshot.limits.buckets {
            let otherwise = self.sizes().into_iter().map(|size| size.buckets.0).collect();
            let names = ["net.netfilter.nf_conntrack_buckets"];
            settings.extend(self.setting(Kind::Buckets, "nf_conntrack_buckets", &names, buckets.0, otherwise));
        }
        // Files set those of the first namespace; every other begins with those compiled in.
        let first = snapshot.namespaces.iter().find(|ns| ns.namespace.named_by == NamedBy::Host);
        settings.extend(first.into_iter().flat_map(|ns| self.timeouts(ns, &snapshot.governed)));
        settings
    }

    /// Those that a governor holds for a while are taken as they are meant to be.
    fn timeouts(&self, ns: &NamespaceSnapshot, governed: &[(Sysctl, u32)]) -> Vec<Setting<'a>> {
        let setting = |(timeout, secs): (Timeout, u32)| {
            let name = timeout.sysctl()?;
            let meant = governed.iter().find(|(sysctl, _)| sysctl.timeout() == Some(timeout));
            let secs = meant.map_or(secs, |(_, meant)| *meant);
            self.setting(Kind::Timeout, name, &[&format!("net.netfilter.{name}")], secs, compiled_in(timeout))
        };
        ns.timeouts.iter_secs().filter_map(setting).collect()
    }

    /// `None` where a file sets what is no number.
    fn setting(
        &self,
        kind: Kind,
        name: &'static str,
        in_files: &[&str],
        now: u32,
        mut otherwise: Vec<u32>,
    ) -> Option<Setting<'a>> {
        let set = self.lasting.sysctl.iter().rev().find(|setting| in_files.contains(&setting.name.as_str()));
        let file = match set {
            Some(setting) => Some((setting, foreseen(kind, setting)?)),
            None => None,
        };
        otherwise.dedup();
        let file_is_in_time = self.module == ModuleState::BuiltIn || self.lasting.loaded_by.is_some();
        Some(Setting { kind, name, now, file, file_is_in_time, otherwise })
    }

    /// The sizes that the kernel may choose when conntrack starts; none where that cannot be told.
    fn sizes(&self) -> Vec<TableSize> {
        match (&self.lasting.hashsize, self.ram_bytes) {
            (Some(hashsize), _) => of_hashsize(hashsize).into_iter().collect(),
            (None, Some(ram)) => by_default(ram),
            (None, None) => Vec::new(),
        }
    }

    /// Whether a program sets just this value at each boot, whatever files have set before.
    fn is_set_later(&self, setting: &Setting<'_>) -> bool {
        let is_at_boot = |writer: &&Writer| !matches!(writer.presence, Presence::Installed { .. });
        self.writers.iter().filter(is_at_boot).flat_map(|writer| &writer.effects).any(|effect| match effect {
            Effect::Sets { sysctl, value, order, .. }
                if sysctl.name() == setting.name && (*order == Order::Last || setting.file.is_none()) =>
            {
                // That the value in force is just this one tells which version writes.
                let ends_as_now = |before: &u32| match value.becomes(*before) {
                    None => *before == setting.now,
                    Some(Becomes::Surely { value } | Becomes::Perhaps { value: Some(value) }) => value == setting.now,
                    Some(Becomes::Perhaps { value: None }) => false,
                };
                let before = setting.foreseen();
                !before.is_empty() && before.iter().all(ends_as_now)
            }
            _ => false,
        })
    }

    /// Programs that will not leave the values in force as they are.
    fn set_later(&self, differences: &[Setting<'_>]) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for setting in differences {
            let Ok(sysctl) = setting.name.parse() else { continue };
            let edit = Edit::Sysctl { sysctl, from: setting.now, to: setting.now };
            let by_writers = overwritten(&edit, self.writers, &Lasting::default());
            evidence.extend(by_writers.iter().map(|overwrite| fact("overwritten_by", in_words(overwrite))));
        }
        evidence
    }

    fn remedies(&self, differences: &[Setting<'_>]) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        let unset: Vec<_> = differences.iter().filter(|setting| setting.file.is_none()).collect();
        if !unset.is_empty() {
            let lines: Vec<_> =
                unset.iter().map(|setting| format!("'net.netfilter.{} = {}'", setting.name, setting.now)).collect();
            remedies.push(command(
                "If what is in force is meant, write it down.",
                format!("printf '%s\\n' {} >> /etc/sysctl.d/90-nf_conntrack.conf", lines.join(" ")),
            ));
        }
        let mut files: Vec<_> =
            differences.iter().filter(|setting| setting.file_differs()).filter_map(|setting| setting.file).collect();
        files.dedup_by_key(|(setting, _)| &setting.file);
        for (setting, _) in files {
            remedies.push(advice(format!(
                "{} sets other values than those in force: change it there, or set what it says now.",
                setting.file
            )));
        }
        if self.module == ModuleState::Loaded && self.lasting.loaded_by.is_none() {
            remedies.push(command(
                "Load the module before files of sysctl.d are read; without that they may come too early.",
                "echo nf_conntrack > /etc/modules-load.d/nf_conntrack.conf",
            ));
        }
        let is_known = !self.set_later(differences).is_empty();
        remedies.push(advice(if is_known {
            "What a program sets when it starts, set in its configuration: it writes last."
        } else {
            "Where kube-proxy or tuned sets these values, set them in its configuration: it writes last."
        }));
        remedies
    }
}

impl Setting<'_> {
    fn file_differs(&self) -> bool {
        self.file.is_some_and(|(_, value)| value != self.now)
    }

    fn is_as_otherwise(&self) -> bool {
        self.otherwise.is_empty() || self.otherwise.contains(&self.now)
    }

    fn surely_differs(&self) -> bool {
        match self.file {
            Some((_, value)) => value != self.now && (self.file_is_in_time || !self.otherwise.contains(&self.now)),
            None => !self.is_as_otherwise(),
        }
    }

    /// A file that is read too early leaves what the kernel chose.
    fn may_differ(&self) -> bool {
        match self.file {
            Some(_) if !self.file_is_in_time => self.file_differs() || !self.is_as_otherwise(),
            Some(_) => self.file_differs(),
            None => !self.is_as_otherwise(),
        }
    }

    /// Everything that the next boot may make of it.
    fn foreseen(&self) -> Vec<u32> {
        let otherwise = if self.file.is_some() && self.file_is_in_time { &[] } else { &self.otherwise[..] };
        self.file.iter().map(|(_, value)| *value).chain(otherwise.iter().copied()).collect()
    }

    /// The largest of it; 0 is no limit.
    fn at_most(&self) -> Option<u32> {
        self.foreseen().into_iter().map(|value| if value == 0 { u32::MAX } else { value }).max()
    }

    fn evidence(&self) -> Evidence {
        let otherwise = one_of(&self.otherwise);
        let then = match self.file {
            Some((setting, value)) if self.file_is_in_time || self.otherwise.is_empty() => {
                format!("{} sets {}", setting.file, grouped(value.into()))
            }
            Some((setting, value)) => format!(
                "{} sets {}, but nothing loads nf_conntrack before it is read: it may stay {otherwise}",
                setting.file,
                grouped(value.into())
            ),
            None => format!("no file sets it, so it will be {otherwise}"),
        };
        let key = match self.kind {
            Kind::Capacity => "capacity_at_boot_entries",
            Kind::Buckets => "buckets_at_boot",
            Kind::Timeout => "timeout_at_boot_secs",
        };
        let text = format!("{} is {}; {then}", self.name, grouped(self.now.into()));
        let first = self.foreseen().first().copied();
        Evidence { value: first.map(f64::from), ..number(key, 0.0, text) }
    }
}

/// A few values, in words.
fn one_of(values: &[u32]) -> String {
    let number = |value: &u32| grouped((*value).into());
    match (values, values.iter().min(), values.iter().max()) {
        ([a, b], ..) => format!("{} or {}", number(a), number(b)),
        (_, Some(least), Some(most)) if least < most => format!("between {} and {}", number(least), number(most)),
        (_, least, _) => least.map_or("what it is by default".to_string(), number),
    }
}

/// What a file's value becomes; `None` where it is no number.
fn foreseen(kind: Kind, setting: &SettingInFile) -> Option<u32> {
    let value: u32 = setting.value.as_str().parse().ok()?;
    match kind {
        Kind::Buckets => Buckets::in_whole_pages(value).map(|buckets| buckets.0),
        Kind::Capacity | Kind::Timeout => Some(value),
    }
}

/// What a timeout is where nobody sets it; none where kernels differ.
fn compiled_in(timeout: Timeout) -> Vec<u32> {
    match timeout {
        Timeout::Sctp(_) => Vec::new(),
        // 180 before 5.0.
        Timeout::UdpStream => vec![120, 180],
        _ => timeout.compiled_default_secs().into_iter().collect(),
    }
}

/// What a hash size makes that a file gives. `None` where it is no number.
fn of_hashsize(setting: &SettingInFile) -> Option<TableSize> {
    setting.value.as_str().parse().ok().and_then(TableSize::by_hashsize)
}

/// What the kernel chooses by RAM, whichever its rule: distributions carry changes back. The RAM that is counted when it
/// chooses is a little less, or more, than what is told later.
fn by_default(ram_bytes: u64) -> Vec<TableSize> {
    let about = [ram_bytes, ram_bytes - ram_bytes / 32, ram_bytes.saturating_add(ram_bytes / 32)];
    SizeRule::ALL.into_iter().flat_map(|rule| about.map(|ram_bytes| TableSize::by_ram(ram_bytes, rule))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rules_are_foreseen_and_a_border_is_seen_from_both_sides() {
        let mut sizes: Vec<_> = by_default(4 << 30).iter().map(|size| (size.buckets.0, size.capacity.0)).collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert_eq!(sizes, [(16_384, 65_536), (65_536, 65_536), (65_536, 262_144), (262_144, 262_144)]);
    }

    #[test]
    fn what_a_file_gives_as_hash_size_is_foreseen_if_it_is_a_number() {
        let size = |value: &str| {
            of_hashsize(&SettingInFile { name: "hashsize".into(), value: value.into(), file: "/x".into() })
        };
        assert_eq!(size("1000"), TableSize::by_hashsize(1000));
        for hostile in ["", "0", "-1", "1e9", "4294967295", "99999999999"] {
            assert_eq!(size(hostile), None, "{hostile}");
        }
    }
}
