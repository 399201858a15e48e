//! The records of a journal. `docs/apply.md` describes them for other programs.

use std::fmt;
use std::path::PathBuf;

use plimsoll_model::Sysctl;
use serde::{Deserialize, Serialize};

use crate::author::Author;
use crate::guard::Worse;
use crate::plan::Change;
use crate::revert::Revert;
use crate::untracked::Untracked;
use crate::window::Window;

/// The form of a journal.
pub const SCHEMA: &str = "plimsoll.journal/1";

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, by the wall clock, in seconds since 1970: for people. Nothing is decided by it.
    pub unix_secs: u64,
    /// When, by `CLOCK_BOOTTIME`, in milliseconds.
    pub boottime_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What a record tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Event {
    /// An application begins. Nothing is written yet.
    Begun(Box<Begun>),
    /// A timer of systemd's was asked for, which undoes though every process be killed.
    Scheduled {
        /// Why there is none, if there is none.
        refused: Option<String>,
    },
    /// A change is about to be written. From here on it may have been.
    Writing {
        /// Which, from 0.
        change: usize,
    },
    /// It was written, and read again.
    Written {
        /// Which.
        change: usize,
    },
    /// It was watched, and nothing became worse than the guard allows.
    Soaked {
        /// Which.
        change: usize,
        /// What was counted meanwhile.
        window: Window,
        /// Of a service that is not tracked any more: what was seen of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        untracked: Option<Box<Untracked>>,
    },
    /// A governor is about to move values that it governs. From here on each is what it was, or what it becomes.
    Moving {
        /// What becomes of which.
        moves: Vec<Move>,
    },
    /// They are moved, and were read again; but for those that were found to be somebody else's.
    Moved,
    /// All changes are in force, and undone unless they are confirmed.
    Applied {
        /// Until when, by `CLOCK_BOOTTIME`, in milliseconds.
        deadline_ms: u64,
    },
    /// A shield drops from now on, as long as it hits no more of those who mean well.
    Enforced {
        /// Which share of them, at most.
        max_collateral: f64,
    },
    /// It counts, and drops no more.
    InShadow {
        /// What it had hit, where it was taken back for that.
        why: Option<String>,
    },
    /// They stay. The files are about to be written.
    Confirmed {
        /// By whom.
        by: Author,
        /// The files that make them last.
        files: Vec<FileEdit>,
    },
    /// The files are written.
    Persisted,
    /// They are about to be undone.
    Undoing {
        /// Why.
        because: Because,
    },
    /// A change was undone, or it is known why not.
    Undone {
        /// Which.
        change: usize,
        /// What came of it.
        result: Undone,
    },
    /// A file was restored, or it is known why not.
    FileRestored {
        /// Which.
        path: PathBuf,
        /// What came of it.
        result: Undone,
    },
    /// Nothing of it is left to be done.
    Ended,
}

/// A value that is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which change, from 0.
    pub change: usize,
    /// What its sysctl becomes.
    pub to: u32,
}

/// How an application goes on once it has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Its changes are made once, and then confirmed or undone.
    #[default]
    Once,
    /// A process moves its sysctls to and fro for as long as it lives; whatever ends it, all are undone.
    Governed,
    /// It is a shield: its table is there until its deadline, and its sysctls are written, and undone, with each turn between shadow and
    /// enforcement. Nobody confirms it.
    Shield,
}

impl Kind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
    fn is_once(&self) -> bool {
        *self == Self::Once
    }
}

/// What an application is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// `plimsoll.journal/1`.
    pub schema: String,
    /// Its number.
    pub id: u32,
    /// How it goes on.
    #[serde(default, skip_serializing_if = "Kind::is_once")]
    pub kind: Kind,
    /// The boot in which it is made: in another one nothing that it set is in force.
    pub boot_id: String,
    /// By whom.
    pub by: Author,
    /// The network namespace.
    pub namespace: Where,
    /// The changes, in the order in which they are made. Of a governed application each names the least that its sysctl may
    /// become.
    pub changes: Vec<Change>,
    /// What undoes each.
    pub reverts: Vec<Revert>,
    /// How long each change is watched, in milliseconds.
    pub soak_ms: u64,
    /// How long the changes stay without a confirmation, in milliseconds.
    pub confirm_within_ms: u64,
    /// When it has to be applied or undone, by `CLOCK_BOOTTIME`, in milliseconds: an applier that is not done by then is
    /// stuck.
    pub last_deadline_ms: u64,
    /// The user's own check, a command of sh(1).
    pub probe: Option<String>,
    /// What was counted before the first change.
    pub baseline: Option<Window>,
}

/// A network namespace, so that it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Where {
    /// Its name, for people.
    pub name: String,
    /// Its inode, by which it is found.
    pub inode: u64,
    /// Whether it is the host's.
    pub kind: NamespaceKind,
}

/// Whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// That of the host, which files under `/etc` are for.
    Host,
    /// Another one. It is gone after a reboot, and so is what is set in it.
    Other,
}

/// A file that makes settings last, as it was and as it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEdit {
    /// Which.
    pub path: PathBuf,
    /// What was in it; `None` where it was not there.
    pub before: Option<String>,
    /// What is in it afterwards.
    pub after: String,
}

/// Why changes are undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Because {
    /// Something became worse.
    Worse(Worse),
    /// Nobody confirmed in time.
    NotConfirmed,
    /// Of a shield: its time was over.
    Expired,
    /// Somebody asked for it.
    Asked,
    /// Whoever applied or guarded them was told to stop.
    Interrupted,
    /// Whoever applied them ended before it was done, or did not get on.
    ApplierLost,
    /// A change could not be made.
    Failed {
        /// What was answered.
        answer: String,
    },
    /// Of a governed application: what it was made for is over.
    Eased,
    /// Of a governed application: somebody else is about to apply or undo something, and what is governed is not to be in their
    /// way.
    GaveWay,
    /// Of a governed application: the process that governed has ended without undoing.
    GovernorLost,
    /// Of a governed application: its journal is long enough, and another one goes on with it.
    Continued,
}

/// What came of undoing something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Undone {
    /// It is as it was before.
    Restored,
    /// It was so already.
    NothingToDo,
    /// It never was: the kernel refused it, and the rest goes on without it.
    NotMade {
        /// What was answered.
        answer: String,
    },
    /// Somebody else has changed it since: it was left.
    Superseded {
        /// What was found.
        found: String,
    },
    /// What it was set in is no more: the boot, or the namespace.
    Gone,
    /// It cannot be done now without harm.
    Held {
        /// Why not.
        reason: String,
    },
    /// It could not be done.
    Failed {
        /// What was answered.
        answer: String,
    },
}

impl Undone {
    /// Whether nothing is left to be done.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Held { .. } | Self::Failed { .. })
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse(worse) => worse.fmt(f),
            Self::NotConfirmed => f.write_str("nobody confirmed in time"),
            Self::Expired => f.write_str("its time was over"),
            Self::Asked => f.write_str("rollback was asked for"),
            Self::Interrupted => f.write_str("the process that watched was told to stop"),
            Self::ApplierLost => f.write_str("the process that applied them ended, or hung, before it was done"),
            Self::Failed { answer } => write!(f, "a change could not be made: {answer}"),
            Self::Eased => f.write_str("the table has room again"),
            Self::GaveWay => f.write_str("the governor gave way to somebody who was about to apply or undo something"),
            Self::GovernorLost => f.write_str("the process that governed ended without undoing it"),
            Self::Continued => f.write_str("another application goes on with it"),
        }
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored => f.write_str("restored"),
            Self::NothingToDo => f.write_str("was as before already"),
            Self::NotMade { answer } => write!(f, "was never made: {answer}"),
            Self::Superseded { found } => {
                write!(f, "superseded: somebody has changed it since ({found}), so it is left")
            }
            Self::Gone => f.write_str("gone with the boot or the namespace that it was set in"),
            Self::Held { reason } => write!(f, "HELD: {reason}"),
            Self::Failed { answer } => write!(f, "FAILED: {answer}"),
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl { sysctl, ours, back } => write!(f, "{sysctl} = {back}, if it is still {ours}"),
            Self::Rules(name) => write!(f, "remove the rules {name} from table {}", crate::own_rules::TABLE),
            Self::Shield { application } => {
                write!(f, "remove the table {}, if it is that of application {application}", plimsoll_shield::TABLE)
            }
            Self::XdpStage { stage, application } => {
                write!(f, "detach XDP from {}, if it is that of application {application}", stage.interface)
            }
        }
    }
}

impl Revert {
    /// The sysctl that it writes, if it writes one.
    pub const fn sysctl(&self) -> Option<Sysctl> {
        match self {
            Self::Sysctl { sysctl, .. } => Some(*sysctl),
            Self::Rules(_) | Self::Shield { .. } | Self::XdpStage { .. } => None,
        }
    }
}
