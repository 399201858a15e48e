//! Keeping what was applied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_model::Sysctl;

use crate::Error;
use crate::application::{Application, Lasting, Phase, Progress};
use crate::author::Author;
use crate::error::shown;
use crate::files::{self, Root, Written};
use crate::ground::Footing;
use crate::journal::{self, Journal, Observer, now_ms};
use crate::lasting::{ToLast, lasting_files};
use crate::live::Live;
use crate::own_rules::{Armed, RulesName};
use crate::record::Event;
use crate::recovery::is_ahead;
use crate::revert::Revert;
use crate::rules_in_force::refuse_what_is_not_safe;
use crate::settings::Settings;
use crate::state_dir::{PATIENCE, StateDir};

/// Whether what is kept is to be there after a reboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// By files under a root.
    Files(Root),
    /// Not.
    RuntimeOnly,
}

/// What a confirmation came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The application.
    pub application: Application,
    /// What watching has not shown yet.
    pub unproven: Vec<Unproven>,
    /// What somebody else has changed since.
    pub superseded: Superseded,
    /// The files that were written.
    pub written: Vec<PathBuf>,
    /// Why others were not, if any were not.
    pub not_lasting: Vec<String>,
}

/// What somebody else has changed since it was applied: it is left as it is, and is in no file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Settings that have another value.
    pub sysctls: Vec<Sysctl>,
    /// Rules that were removed, as a firewall does that loads all its rules anew.
    pub rules: Vec<RulesName>,
}

/// A timeout whose harm shows only later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// Which.
    pub sysctl: Sysctl,
    /// How long it has been in force, in seconds.
    pub in_force_secs: u64,
    /// How long it must have been in force to have shown harm: twice its value, in seconds. An entry is armed with it by its
    /// flow's next packet, and dies so long after; what dies too early is missed when the flow speaks again.
    pub needed_secs: u64,
}

/// Keeps the application that awaits it, or completes one whose files could not be written.
pub fn confirm(
    state_dir: &Path,
    persistence: &Persistence,
    by: Author,
    observer: Observer<'_>,
) -> Result<Confirmed, Error> {
    let folder = StateDir::open(state_dir)?.ok_or_else(|| nothing(None))?;
    let _lock = folder.lock(PATIENCE)?;
    let (id, application) = awaiting(&folder)?;
    let mut journal = Journal::resume(&folder, id, observer)?;
    let mut confirmed = Confirmed {
        unproven: unproven(&application),
        application,
        superseded: Superseded::default(),
        written: Vec::new(),
        not_lasting: Vec::new(),
    };
    if let Phase::Awaiting { deadline_ms } = confirmed.application.phase {
        keep(&mut journal, &mut confirmed, deadline_ms, persistence, by)?;
    }
    match persistence {
        Persistence::Files(root) => {
            let files = write_files(&mut journal, root)?;
            confirmed.written = files.written;
            confirmed.not_lasting.extend(files.not_lasting);
        }
        // Neither now nor at the next attempt, if there were files to be written.
        Persistence::RuntimeOnly => journal.append(Event::Persisted)?,
    }
    confirmed.application = journal.application().clone();
    Ok(confirmed)
}

/// The last application that awaits a confirmation, or its files. Older ones are not read: nothing is begun while one awaits, and a
/// journal that makes no sense is no reason to have another one undone.
fn awaiting(folder: &StateDir) -> Result<(u32, Application), Error> {
    let mut last = None;
    for id in folder.ids()?.into_iter().rev() {
        let application = journal::read(folder, id)?;
        // Nobody confirms a shield; what was applied beside it may be older.
        if application.is_shield() && application.phase != Phase::Ended {
            continue;
        }
        if matches!(application.phase, Phase::Awaiting { .. } | Phase::Confirmed(Lasting::ToBeWritten)) {
            return Ok((id, application));
        }
        last = last.or(Some(application));
    }
    Err(nothing(last.as_ref()))
}

/// Why nothing is confirmed: the last application may have been undone before anybody came.
fn nothing(last: Option<&Application>) -> Error {
    let undone = last.filter(|last| matches!(last.phase, Phase::Undoing | Phase::Ended));
    let why = undone.and_then(|last| Some((last.begun.id, last.undone_because.last()?)));
    let why = why.map_or_else(String::new, |(id, because)| format!(" (application {id} was undone: {because})"));
    Error::Refused(format!("nothing awaits confirmation{why}; `plimsoll history` shows what was done"))
}

fn keep(
    journal: &mut Journal<'_>,
    confirmed: &mut Confirmed,
    deadline_ms: u64,
    persistence: &Persistence,
    by: Author,
) -> Result<(), Error> {
    let begun = confirmed.application.begun.clone();
    let late = || {
        Error::Refused(format!(
            "too late: application {} was to be confirmed earlier, and its watchdog undoes it; `plimsoll rollback {}` does so if that \
             does not live",
            begun.id, begun.id
        ))
    };
    if !is_ahead(&begun, deadline_ms)? {
        return Err(late());
    }
    let footing = Footing::of(&begun)?;
    let live = footing.live().ok_or_else(|| {
        Error::Refused(format!(
            "the network namespace {} is no more, and what was set in it neither",
            begun.namespace.name.escape_default()
        ))
    })?;
    refuse_what_is_not_safe(&begun.changes, live.place()?)?;
    confirmed.superseded = superseded(&begun.reverts, live)?;
    let files = match persistence {
        Persistence::RuntimeOnly => Vec::new(),
        Persistence::Files(root) => {
            let (id, namespace, changes) = (begun.id, &begun.namespace, &begun.changes);
            let lasting = lasting_files(root, &ToLast { id, namespace, changes, superseded: &confirmed.superseded });
            confirmed.not_lasting.extend(lasting.not_lasting);
            lasting.edits
        }
    };
    // First what would stop matching by itself. Killed after it, the application is unconfirmed still, and undone.
    for revert in &begun.reverts {
        match revert {
            Revert::Rules(name) if !confirmed.superseded.rules.contains(name) => {
                live.rearm(name, Armed::ForGood)?;
            }
            Revert::Rules(_) | Revert::Sysctl { .. } | Revert::Shield { .. } | Revert::XdpStage { .. } => {}
        }
    }
    // Time has passed; a deadline is one.
    if !is_ahead(&begun, deadline_ms)? {
        return Err(late());
    }
    journal.append(Event::Confirmed { by, files })
}

fn superseded(reverts: &[Revert], live: &Live) -> Result<Superseded, Error> {
    let mut others = Superseded::default();
    // Of several edits of one sysctl only the last is in force.
    let mut last = BTreeMap::new();
    for revert in reverts {
        match revert {
            Revert::Sysctl { sysctl, ours, .. } => {
                last.insert(*sysctl, *ours);
            }
            Revert::Rules(name) if live.rules()?.contains(name) => {}
            Revert::Rules(name) => others.rules.push(name.clone()),
            Revert::Shield { .. } | Revert::XdpStage { .. } => {}
        }
    }
    for (sysctl, ours) in last {
        if live.read(sysctl)? != ours {
            others.sysctls.push(sysctl);
        }
    }
    Ok(others)
}

/// Writes the files of a confirmed application, as far as they are not written, and says why some are not: somebody has changed
/// one meanwhile, and it is left; or the system refuses, and the next attempt goes on.
pub(crate) fn write_files(journal: &mut Journal<'_>, root: &Root) -> Result<Files, Error> {
    let mut files = Files::default();
    if journal.application().phase != Phase::Confirmed(Lasting::ToBeWritten) {
        return Ok(files);
    }
    let mut refused = Vec::new();
    for (edit, _) in &journal.application().files {
        match files::write(root, edit) {
            Ok(Written::Done) => files.written.push(edit.path.clone()),
            Ok(Written::Theirs) => files
                .not_lasting
                .push(format!("somebody has changed {} meanwhile; it is left as it is", shown(&edit.path))),
            Err(error) => refused.push(format!("{error}; `plimsoll confirm` tries again")),
        }
    }
    if refused.is_empty() {
        journal.append(Event::Persisted)?;
    }
    files.not_lasting.extend(refused);
    Ok(files)
}

/// What came of writing files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    written: Vec<PathBuf>,
    /// Why others are not written.
    not_lasting: Vec<String>,
}

/// What watching has not shown yet: harm of a timeout shows when flows that were silent for so long go on.
pub fn unproven(application: &Application) -> Vec<Unproven> {
    let now_ms = now_ms();
    let reverts = application.begun.reverts.iter().zip(&application.changes);
    let pending = reverts.filter_map(|(revert, progress)| {
        let (Revert::Sysctl { sysctl, ours, .. }, Progress::Written { at_ms }) = (revert, progress) else {
            return None;
        };
        sysctl.timeout()?;
        let needed_secs = 2 * u64::from(*ours);
        let in_force_secs = now_ms.saturating_sub(*at_ms) / 1000;
        (in_force_secs < needed_secs).then_some(Unproven { sysctl: *sysctl, in_force_secs, needed_secs })
    });
    pending.collect()
}
