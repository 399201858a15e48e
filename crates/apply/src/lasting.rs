//! The files that make a confirmed application last.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use plimsoll_host::HostFs;
use plimsoll_model::{Edit, Sysctl};

use crate::Error;
use crate::files::{self, Content, NewFile, Root};
use crate::policy::{Armed, PolicyName, making};
use crate::record::{Begun, FileEdit, NamespaceKind};

/// Sysctls, read at boot after the distribution's own files. Where the module loads later than that, or somebody writes them
/// again, it takes more: the finding `settings-not-persistent` says what.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-plimsoll.conf";

/// Policies of single services. `include "/etc/plimsoll/policies.nft"` in nftables' own file loads them at boot.
pub const POLICY_FILE: &str = "/etc/plimsoll/policies.nft";

/// What has to be done to the files for an application. An error where files would not make it last, or are not ours.
pub(crate) fn lasting_files(root: &Root, begun: &Begun, superseded: &[Sysctl]) -> Result<Vec<FileEdit>, Error> {
    if begun.namespace.kind != NamespaceKind::Host {
        return Err(Error::Refused(format!(
            "no file is written: files under /etc are for the host's own network namespace, and what is set in {} is gone with it; \
             whoever makes it has to set this too",
            begun.namespace.name.escape_default()
        )));
    }
    HostFs::new().files_are_the_hosts()?;
    let (sysctls, policies) = (sysctls(root, begun, superseded)?, policies(root, begun)?);
    [sysctls, policies].into_iter().flatten().map(|file| files::edit(root, &file)).collect()
}

/// The settings of the file as it is, and these over them.
fn sysctls(root: &Root, begun: &Begun, superseded: &[Sysctl]) -> Result<Option<NewFile>, Error> {
    let mut settings: BTreeMap<Sysctl, u32> = below(root, SYSCTL_FILE)?.lines().filter_map(setting).collect();
    let edits = begun.changes.iter().filter_map(|change| match &change.edit {
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
    Ok(Some(NewFile { path: SYSCTL_FILE.into(), contents }))
}

/// A line of a file of our own.
fn setting(line: &str) -> Option<(Sysctl, u32)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn policies(root: &Root, begun: &Begun) -> Result<Option<NewFile>, Error> {
    let mut made = String::new();
    for change in &begun.changes {
        if let Edit::Policy(policy) = &change.edit {
            made += &making(policy, &PolicyName::of(policy, begun.id), Armed::ForGood);
        }
    }
    if made.is_empty() {
        return Ok(None);
    }
    let contents = below(root, POLICY_FILE)? + &made;
    Ok(Some(NewFile { path: POLICY_FILE.into(), contents }))
}

/// What is below the marker of a file of ours; nothing where there is none.
fn below(root: &Root, path: &str) -> Result<String, Error> {
    match files::content(root, Path::new(path))? {
        Content::Ours(text) => Ok(files::below_marker(&text).to_string()),
        // Somebody else's is refused when it is to be edited.
        Content::Absent | Content::Theirs => Ok(String::new()),
    }
}
