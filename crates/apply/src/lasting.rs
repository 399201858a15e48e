//! The files that make a confirmed application last.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use plimsoll_host::HostFs;
use plimsoll_model::{Edit, Limits, ModuleState, OWN_SYSCTL_FILE, Reach, Sysctl, Untrusted};
use plimsoll_render::{Place, Target};

use crate::Error;
use crate::confirm::Superseded;
use crate::files::{self, Content, NewFile, Root};
use crate::own_rules::{Armed, OwnRules, RulesName, making};
use crate::plan::Change;
use crate::record::{FileEdit, NamespaceKind, Where};

/// Rules for single services. `include "/etc/plimsoll/rules.nft"` in nftables' own file loads them at boot.
pub const RULES_FILE: &str = "/etc/plimsoll/rules.nft";

/// What has to be done to files so that an application lasts, and why some of it will not.
#[derive(Debug, Default)]
pub struct LastingFiles {
    /// What a confirmation does to files.
    pub edits: Vec<FileEdit>,
    /// Why some of it will not last.
    pub not_lasting: Vec<String>,
}

/// What is to last.
pub(crate) struct ToLast<'a> {
    pub(crate) id: u32,
    pub(crate) namespace: &'a Where,
    pub(crate) changes: &'a [Change],
    /// What somebody else has changed since.
    pub(crate) superseded: &'a Superseded,
}

/// The files for an application.
pub(crate) fn lasting_files(root: &Root, to_last: &ToLast<'_>) -> LastingFiles {
    let ToLast { id, namespace, changes, superseded } = to_last;
    let mut lasting = LastingFiles::default();
    if let Err(error) = HostFs::new().files_are_the_hosts() {
        lasting.not_lasting.push(error.to_string());
        return lasting;
    }
    let (of_files, others): (Vec<&Edit>, Vec<&Edit>) =
        changes.iter().map(|change| &change.edit).partition(|edit| is_of_files(edit, namespace.kind));
    if !others.is_empty() {
        lasting.not_lasting.push(format!(
            "files under /etc are for the host's own network namespace, and what is set in {} is gone with it; whoever makes it has \
             to set this too",
            Untrusted::from_escaped(namespace.name.clone())
        ));
    }
    let settings = sysctls(root, &of_files, &superseded.sysctls);
    // Files of settings that are read before the module is there set nothing.
    let in_time = if matches!(settings, Ok(Some(_))) { read_in_time() } else { Vec::new() };
    let all = [settings, rules(root, &of_files, *id, &superseded.rules)]
        .into_iter()
        .chain(in_time.into_iter().map(|file| Ok(Some(file))));
    for file in all {
        match file.and_then(|file| file.map(|file| files::edit(root, &file)).transpose()) {
            Ok(edit) => lasting.edits.extend(edit),
            Err(error) => lasting.not_lasting.push(error.to_string()),
        }
    }
    lasting
}

/// What sees to it that the file of settings is read when its names exist.
fn read_in_time() -> Vec<NewFile> {
    let target = Target {
        // Where it cannot be told, both files do no harm.
        module: HostFs::new().module_state().unwrap_or(ModuleState::Unknown),
        place: Place::Host,
        limits: Limits::default(),
        tuned_profile: None,
    };
    let files = plimsoll_render::in_time(&target).files.into_iter();
    files.filter_map(|file| Some(NewFile { path: file.path?.into(), contents: file.text })).collect()
}

/// Whether files set it at boot: the host's limits, from wherever they were set, and all of the host's namespace.
fn is_of_files(edit: &Edit, namespace: NamespaceKind) -> bool {
    let reach = match edit {
        Edit::Sysctl { sysctl, .. } => sysctl.reach(),
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => Reach::Namespace,
    };
    reach == Reach::Host || namespace == NamespaceKind::Host
}

/// The settings of the file as it is, and these over them.
fn sysctls(root: &Root, edits: &[&Edit], superseded: &[Sysctl]) -> Result<Option<NewFile>, Error> {
    let mut settings: BTreeMap<Sysctl, u32> = below(root, OWN_SYSCTL_FILE)?.lines().filter_map(setting).collect();
    let edits = edits.iter().filter_map(|edit| match edit {
        Edit::Sysctl { sysctl, to, .. } if !superseded.contains(sysctl) => Some((*sysctl, *to)),
        _ => None,
    });
    let edits: BTreeMap<Sysctl, u32> = edits.collect();
    if edits.is_empty() {
        return Ok(None);
    }
    settings.extend(edits);
    let mut contents =
        String::from("# `plimsoll history` says who set what, when and why; `plimsoll rollback` takes it back.\n");
    for (sysctl, value) in settings {
        // Writing to a string does not fail.
        let _ = writeln!(contents, "{sysctl} = {value}");
    }
    Ok(Some(NewFile { path: OWN_SYSCTL_FILE.into(), contents }))
}

/// A line of a file of our own.
fn setting(line: &str) -> Option<(Sysctl, u32)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn rules(root: &Root, edits: &[&Edit], id: u32, superseded: &[RulesName]) -> Result<Option<NewFile>, Error> {
    let mut made = String::new();
    for rules in edits.iter().filter_map(|edit| OwnRules::of(edit)) {
        let name = rules.name(id);
        if !superseded.contains(&name) {
            made += &making(rules, &name, Armed::ForGood);
        }
    }
    if made.is_empty() {
        return Ok(None);
    }
    let contents = below(root, RULES_FILE)? + &made;
    Ok(Some(NewFile { path: RULES_FILE.into(), contents }))
}

/// What is below the marker of a file of ours; nothing where there is none.
fn below(root: &Root, path: &str) -> Result<String, Error> {
    match files::content(root, Path::new(path))? {
        Content::Ours(text) => Ok(files::below_marker(&text).to_string()),
        // Somebody else's is refused when it is to be edited.
        Content::Absent | Content::Theirs => Ok(String::new()),
    }
}
