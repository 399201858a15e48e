//! tuned: what the plugins `sysctl` and `net` of the active profile set (tuned.conf(5); `plugin_sysctl.py` and `plugin_net.py` in its
//! `tuned/plugins`). Its own profiles `openshift` and `atomic-host` set the limit and the buckets to 1,048,576.

use std::collections::BTreeMap;

use plimsoll_model::{Effect, Order, Presence, Sysctl, Untrusted, Writer, WriterKind, Written};

use super::sysctl;
use crate::ini::{Entry, entries, is_on, last_of};
use crate::system_process::SystemProcess;
use crate::text::Text;
use crate::{Error, HostFs, Partial};

const MAIN: &str = "/etc/tuned/tuned-main.conf";
const ACTIVE: [&str; 2] = ["/etc/tuned/active_profile", "/etc/tuned/post_loaded_profile"];

/// Where profiles lie: the first that has one of a name wins. Recent versions have them in `profiles`, and look where they were
/// before as well.
const FOLDERS: [&str; 4] = ["/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned"];

/// More profiles than anybody stacks.
const MOST_PROFILES: usize = 50;

/// `None` where it neither runs nor has an active profile; with what its profiles leave unclear.
pub(super) fn writer(host: &HostFs, process: Option<&SystemProcess>) -> Result<Partial<Option<Writer>>, Error> {
    let active = host.active_profiles()?;
    let presence = match process {
        Some(process) => Presence::Running { pid: process.pid },
        None if active.iter().all(Option::is_none) => return Ok(Partial::default()),
        None => Presence::Installed { file: ACTIVE[0].into() },
    };
    let order = host.order_of_tuned()?;
    let mut profiles = Profiles { host, found: BTreeMap::new(), unclear: Vec::new(), read: 0 };
    for names in active.iter().flatten() {
        profiles.add_all(names.as_bytes())?;
    }
    let sets = profiles.found.into_iter();
    let effects =
        sets.map(|(sysctl, (value, from))| Effect::Sets { sysctl, value, from, order: order_of(sysctl, order) });
    let writer = Writer { kind: WriterKind::Tuned, presence, effects: effects.collect() };
    Ok(Partial { read: Some(writer), errors: profiles.unclear })
}

/// What is set as the module's parameter is set by no file again.
fn order_of(sysctl: Sysctl, order: Order) -> Order {
    if sysctl == Sysctl::BUCKETS { Order::Last } else { order }
}

impl HostFs {
    /// tuned's active profile, several of them with spaces between; `None` where there is none.
    pub fn tuned_profile(&self) -> Result<Option<Untrusted>, Error> {
        let [active, _] = self.active_profiles()?;
        Ok(active.map(|names| Untrusted::from(names.as_str())))
    }

    fn active_profiles(&self) -> Result<[Option<String>; 2], Error> {
        let mut names = [None, None];
        for (names, file) in names.iter_mut().zip(ACTIVE) {
            let text = self.read_if_there(file)?;
            let text = text.map(|text| String::from_utf8_lossy(text.bytes().trim_ascii()).into_owned());
            *names = text.filter(|text| !text.is_empty());
        }
        Ok(names)
    }

    /// `reapply_sysctl` is on by default (`CFG_DEF_REAPPLY_SYSCTL`).
    fn order_of_tuned(&self) -> Result<Order, Error> {
        let main = self.read_if_there(MAIN)?;
        let reapplies = main.as_ref().and_then(|text| last_of(text, b"reapply_sysctl")).is_none_or(is_on);
        Ok(if reapplies { Order::ThenFilesOfEtc } else { Order::Last })
    }
}

/// Profiles as they are read, the included before the including, which wins.
struct Profiles<'a> {
    host: &'a HostFs,
    /// What each sysctl is set to, and by which file.
    found: BTreeMap<Sysctl, (Written, Untrusted)>,
    /// Included profiles that cannot be told.
    unclear: Vec<Error>,
    read: usize,
}

impl Profiles<'_> {
    /// Names with spaces or commas between.
    fn add_all(&mut self, names: &[u8]) -> Result<(), Error> {
        for name in names.split(|byte| byte.is_ascii_whitespace() || *byte == b',') {
            if let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_name(name)) {
                self.add(name)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str) -> Result<(), Error> {
        for folder in FOLDERS {
            let path = format!("{folder}/{name}/tuned.conf");
            let Some(text) = self.host.read_if_there(&path)? else { continue };
            self.read += 1;
            if self.read > MOST_PROFILES {
                return Err(text.error("includes more profiles than anybody has"));
            }
            return self.add_file(&path, &text);
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, text: &Text) -> Result<(), Error> {
        let all = entries(text);
        for entry in all.iter().filter(|entry| entry.section == b"main" && entry.key == b"include") {
            // A variable or a function, which tuned works out.
            if entry.value.contains(&b'$') {
                self.unclear.push(text.error("includes a profile whose name tuned works out"));
            } else {
                self.add_all(entry.value)?;
            }
        }
        if all.iter().any(|entry| plugin(entry, &all) == b"sysctl" && entry.key == b"replace" && is_on(entry.value)) {
            self.found.clear();
        }
        for entry in &all {
            if let Some(sysctl) = set_by(entry, &all) {
                self.found.insert(sysctl, (written(entry.value), Untrusted::from(path)));
            }
        }
        Ok(())
    }
}

/// A folder's name, and no way out of it.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != ".." && name != "."
}

/// The sysctl that a setting sets: the plugin `net` sets the module's parameter for buckets.
fn set_by(entry: &Entry<'_>, all: &[Entry<'_>]) -> Option<Sysctl> {
    match plugin(entry, all) {
        b"sysctl" => sysctl(entry.key),
        b"net" if entry.key == b"nf_conntrack_hashsize" => Some(Sysctl::BUCKETS),
        _ => None,
    }
}

/// A section is its plugin's by its name, or by the type that it gives.
fn plugin<'a>(entry: &Entry<'a>, all: &[Entry<'a>]) -> &'a [u8] {
    let kind = all.iter().find(|other| other.section == entry.section && other.key == b"type");
    kind.map_or(entry.section, |kind| kind.value)
}

/// `>5` only raises, `<5` only lowers (`_process_assignment_modifiers`); variables and functions are not worked out.
fn written(value: &[u8]) -> Written {
    let number = |text: &[u8]| std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok();
    let rule = match value.split_first() {
        Some((b'>', rest)) => number(rest).map(|value| Written::AtLeast { value }),
        Some((b'<', rest)) => number(rest).map(|value| Written::AtMost { value }),
        _ => number(value).map(|value| Written::Exactly { value }),
    };
    rule.unwrap_or_else(|| Written::Unclear { text: Untrusted::from_bytes(value) })
}
