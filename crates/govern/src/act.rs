//! What was done, for a log and for metrics.

use std::fmt;

use plimsoll_model::{Sysctl, Untrusted};
use serde::{Serialize, Serializer};

use crate::scale::Scale;
use crate::trim::Trimmed;

/// Something that was done, or noticed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Act {
    /// When, by the wall clock, in seconds since 1970.
    pub at_unix_secs: u64,
    /// What.
    pub what: What,
    /// Why, in a sentence.
    pub reason: String,
    /// What came of it.
    pub effect: Effect,
}

/// What kind of act it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// Timeouts became shorter.
    Shrink,
    /// Timeouts became longer, or what they were.
    Restore,
    /// Entries were trimmed.
    Trim,
    /// A timeout is somebody else's, and is left alone from now on.
    Leave,
    /// Somebody else has undone what was set.
    GiveWay,
    /// Something could not be done. It is told once, however often it is tried.
    Fail,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Shrink, Self::Restore, Self::Trim, Self::Leave, Self::GiveWay, Self::Fail];

    /// Its name, for metrics too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shrink => "shrink",
            Self::Restore => "restore",
            Self::Trim => "trim",
            Self::Leave => "leave",
            Self::GiveWay => "give_way",
            Self::Fail => "fail",
        }
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Timeouts are set.
    Set {
        /// The application that tells of it in the journals.
        application: u32,
        /// From which scale.
        from: Scale,
        /// To which.
        to: Scale,
        /// How many seconds each is now, of those that are governed.
        secs: Vec<(Sysctl, u32)>,
    },
    /// What was set is undone.
    Restored {
        /// The application.
        application: u32,
        /// What is not undone yet; its watchdog goes on trying.
        remaining: Vec<String>,
    },
    /// Entries were trimmed.
    Trimmed(Trimmed),
    /// A timeout is left as it was found.
    Left {
        /// Which.
        sysctl: Sysctl,
        /// What was found, in seconds.
        found_secs: u32,
    },
    /// Nothing, or not all.
    Failed {
        /// What was answered.
        answer: String,
    },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what.name(), self.reason, self.effect)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { application, from, to, secs } => {
                write!(f, "timeouts go from {from} of themselves to {to} (application {application})")?;
                secs.iter().try_for_each(|(sysctl, secs)| write!(f, ", {} = {secs}", sysctl.name()))
            }
            Self::Restored { application, remaining } if remaining.is_empty() => {
                write!(f, "timeouts are what they were (application {application})")
            }
            Self::Restored { application, remaining } => {
                write!(f, "application {application} is not wholly undone, and tried again: {}", remaining.join("; "))
            }
            Self::Trimmed(Trimmed { before, deleted, expiring, cpu_ms }) => write!(
                f,
                "of {} entries {deleted} were deleted and {expiring} have ten seconds left; it took {cpu_ms} ms of a processor",
                before.0
            ),
            Self::Left { sysctl, found_secs } => {
                write!(f, "{sysctl} stays {found_secs}, and is left alone from now on")
            }
            Self::Failed { answer } => write!(f, "{}", Untrusted::from(answer.as_str())),
        }
    }
}
