//! What becomes of a value once it is set: who else sets it, and when.

use plimsoll_model::{
    Becomes, Edit, Effect, Lasting, OWN_SYSCTL_FILE, Order, Overwrite, Overwritten, Presence, SettingInFile, Sysctl,
    Untrusted, When, Writer, Written,
};

use crate::words::grouped;

/// Everybody who will not leave what an edit sets as it is.
///
/// Where a value is made to last, a file of ours sets it at boot ([`OWN_SYSCTL_FILE`]); so a file counts that is read after that
/// one. What the next boot has without it is the finding `settings-not-persistent`.
pub fn overwritten(edit: &Edit, writers: &[Writer], lasting: &Lasting) -> Vec<Overwrite> {
    match edit {
        Edit::Sysctl { sysctl, to, .. } => {
            let by_writers = writers.iter().flat_map(|writer| of_sysctl(writer, *sysctl, *to));
            by_later_file(*sysctl, *to, lasting).into_iter().chain(by_writers).collect()
        }
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => {
            writers.iter().flat_map(of_rules).collect()
        }
    }
}

/// An overwrite as a sentence.
pub fn in_words(overwrite: &Overwrite) -> String {
    let Overwrite { what, by, from, becomes, when } = overwrite;
    let from = from.as_ref().map_or_else(String::new, |from| format!(" (by {from})"));
    let value = |value: u32| grouped(value.into());
    match becomes {
        Some(Becomes::Surely { value: to }) => format!("{by}{from} sets {what} to {} {when}", value(*to)),
        Some(Becomes::Perhaps { value: Some(to) }) => format!("{by}{from} may set {what} to {} {when}", value(*to)),
        Some(Becomes::Perhaps { value: None }) => format!("{by}{from} may set {what}, to what cannot be told, {when}"),
        None if *when == When::Stop => format!("{by}{from} unloads nf_conntrack {when}: {what} is gone"),
        None => format!("{by}{from} removes {what} {when}"),
    }
}

/// Of files, the last one counts.
fn by_later_file(sysctl: Sysctl, to: u32, lasting: &Lasting) -> Option<Overwrite> {
    let last = lasting.last(sysctl).filter(|last| is_read_after_ours(last))?;
    let becomes = match last.value.as_str().parse() {
        Ok(value) => Written::Exactly { value },
        Err(_) => Written::Unclear { text: last.value.clone() },
    };
    Some(Overwrite {
        what: Overwritten::Sysctl(sysctl),
        by: last.file.clone(),
        from: owner(last.file.as_str()).map(Untrusted::from),
        becomes: Some(becomes.becomes(to)?),
        when: When::Boot,
    })
}

/// Files are read in the order of their names, whatever their folder (sysctl.d(5)); `/etc/sysctl.conf`, where it is read by
/// itself, comes last (sysctl(8)), and the command line first.
fn is_read_after_ours(setting: &SettingInFile) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    match setting.file.as_str() {
        "/etc/sysctl.conf" => true,
        "/proc/cmdline" => false,
        file => name(file) > name(OWN_SYSCTL_FILE),
    }
}

/// Whose some files are, that are written anew by others than the host's administrator.
fn owner(file: &str) -> Option<&'static str> {
    match file.rsplit('/').next()? {
        "60-gce-network-security.conf" => Some("Google's guest configuration"),
        "999-sysctl-aks.conf" => Some("AKS, which writes it when it makes the node"),
        _ => None,
    }
}

fn of_sysctl(writer: &Writer, sysctl: Sysctl, to: u32) -> Vec<Overwrite> {
    let overwrite = |effect: &Effect| match effect {
        Effect::Sets { sysctl: set, value, from, order } if *set == sysctl => {
            let (becomes, from) = in_order(value.becomes(to)?, from, *order);
            let (what, by) = (Overwritten::Sysctl(sysctl), named(writer));
            Some(Overwrite { what, by, from: Some(from), becomes: Some(becomes), when: starts(writer) })
        }
        Effect::UnloadsModule { from } => Some(Overwrite {
            what: Overwritten::Sysctl(sysctl),
            by: named(writer),
            from: Some(from.clone()),
            becomes: None,
            when: When::Stop,
        }),
        Effect::Sets { .. } | Effect::LoadsModule | Effect::FlushesRules { .. } => None,
    };
    writer.effects.iter().filter_map(overwrite).collect()
}

/// Ours is one of the files that are read again, once there is one.
fn in_order(becomes: Becomes, from: &Untrusted, order: Order) -> (Becomes, Untrusted) {
    match (becomes, order) {
        (becomes, Order::Last) => (becomes, from.clone()),
        (Becomes::Surely { value }, Order::ThenFilesOfEtc) => {
            (Becomes::Perhaps { value: Some(value) }, unless_ours(from))
        }
        (becomes, Order::ThenFilesOfEtc) => (becomes, unless_ours(from)),
    }
}

fn unless_ours(from: &Untrusted) -> Untrusted {
    Untrusted::from_escaped(format!("{from}, unless {OWN_SYSCTL_FILE} says otherwise"))
}

fn of_rules(writer: &Writer) -> Vec<Overwrite> {
    let overwrite = |effect: &Effect| match effect {
        Effect::FlushesRules { from } => Some(Overwrite {
            what: Overwritten::Rules,
            by: named(writer),
            from: Some(from.clone()),
            becomes: None,
            when: starts(writer),
        }),
        _ => None,
    };
    writer.effects.iter().filter_map(overwrite).collect()
}

fn starts(writer: &Writer) -> When {
    match writer.presence {
        Presence::Running { .. } | Presence::Enabled { .. } => When::Start,
        Presence::Installed { .. } => When::IfStarted,
    }
}

fn named(writer: &Writer) -> Untrusted {
    // What it shows is escaped already; escaping it again would show the escapes.
    Untrusted::from_escaped(writer.to_string())
}
