//! Who else sets what tracking does.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Sysctl, Untrusted};

/// Somebody besides the files that the machine boots with ([`crate::Lasting`]) who sets what tracking does, or undoes what
/// others set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Writer {
    /// Who.
    pub kind: WriterKind,
    /// Whether it is at work.
    #[serde(flatten)]
    pub presence: Presence,
    /// What it does.
    pub effects: Vec<Effect>,
}

/// Programs that are known to write, or to have the module loaded or unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriterKind {
    /// kube-proxy; also within k3s.
    KubeProxy,
    /// tuned.
    Tuned,
    /// ufw.
    Ufw,
    /// firewalld.
    Firewalld,
    /// Docker.
    Docker,
    /// The unit that loads `/etc/nftables.conf`.
    Nftables,
}

/// Whether a writer is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "presence", rename_all = "snake_case")]
pub enum Presence {
    /// A process of it runs.
    Running {
        /// Its process id.
        pid: u32,
    },
    /// It runs at boot and ends, and is switched on.
    Enabled {
        /// The file that says so.
        file: Untrusted,
    },
    /// Its files are there; it does not run now.
    Installed {
        /// One of them.
        file: Untrusted,
    },
}

/// What a writer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// It sets a sysctl each time it starts.
    Sets {
        /// Which.
        sysctl: Sysctl,
        /// To what.
        value: Written,
        /// Where it has that from: a file, a flag, or its defaults.
        from: Untrusted,
        /// Whether files of sysctl.d have a say after it.
        order: Order,
    },
    /// Its rules need `nf_conntrack`, which is loaded then: perhaps after files of sysctl.d were read.
    LoadsModule,
    /// It unloads `nf_conntrack` when it stops: all that was set is gone.
    UnloadsModule {
        /// The file that tells it to.
        from: Untrusted,
    },
    /// It removes all rules of nftables when it is started or reloaded.
    FlushesRules {
        /// The file that tells it to.
        from: Untrusted,
    },
}

/// What comes after a writer's own values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nothing: it is the last to write.
    Last,
    /// It reads the files of `/etc/sysctl.d` and `/run/sysctl.d` again, which win.
    ThenFilesOfEtc,
}

/// What a writer makes of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Written {
    /// This, whatever it was.
    Exactly {
        /// The value.
        value: u32,
    },
    /// This, if it was less.
    AtLeast {
        /// The value.
        value: u32,
    },
    /// This, if it was more.
    AtMost {
        /// The value.
        value: u32,
    },
    /// One of two, by the writer's version.
    ByVersion {
        /// What recent versions set, whatever it was.
        newest: u32,
        /// What older ones set, some of them only if it was less.
        older: u32,
    },
    /// It cannot be told.
    Unclear {
        /// What is written.
        text: Untrusted,
    },
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "becomes", rename_all = "snake_case")]
pub enum Becomes {
    /// Surely another.
    Surely {
        /// Which.
        value: u32,
    },
    /// Perhaps another.
    Perhaps {
        /// Which; `None` where it cannot be told.
        value: Option<u32>,
    },
}

impl Written {
    /// What it makes of a value; `None` where that stays.
    pub fn becomes(&self, was: u32) -> Option<Becomes> {
        let surely = |value: u32, differs: bool| differs.then_some(Becomes::Surely { value });
        match *self {
            Self::Exactly { value } => surely(value, value != was),
            Self::AtLeast { value } => surely(value, was < value),
            Self::AtMost { value } => surely(value, was > value),
            Self::ByVersion { newest, older } if was != newest && was < older => surely(newest, true),
            Self::ByVersion { newest, .. } if was != newest => Some(Becomes::Perhaps { value: Some(newest) }),
            Self::ByVersion { older, .. } if was != older => Some(Becomes::Perhaps { value: Some(older) }),
            Self::ByVersion { .. } => None,
            Self::Unclear { .. } => Some(Becomes::Perhaps { value: None }),
        }
    }
}

impl WriterKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KubeProxy => "kube-proxy",
            Self::Tuned => "tuned",
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Docker => "Docker",
            Self::Nftables => "nftables.service",
        }
    }
}

impl fmt::Display for WriterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// By its name, and what shows it: `kube-proxy (process 12)`.
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.presence {
            Presence::Running { pid } => write!(f, "{} (process {pid})", self.kind),
            Presence::Enabled { file } => write!(f, "{} (switched on in {file})", self.kind),
            Presence::Installed { file } => write!(f, "{} (installed, by {file}; not running)", self.kind),
        }
    }
}

/// A value that will not stay what it is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overwrite {
    /// What is overwritten.
    pub what: Overwritten,
    /// By whom: a writer with what shows it, or a file.
    pub by: Untrusted,
    /// Where it has the value from, where `by` does not say so.
    pub from: Option<Untrusted>,
    /// What the value becomes; rules are gone.
    #[serde(flatten)]
    pub becomes: Option<Becomes>,
    /// When.
    pub when: When,
}

/// What somebody overwrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwritten {
    /// A sysctl.
    Sysctl(Sysctl),
    /// Rules of nftables.
    Rules,
}

impl fmt::Display for Overwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(sysctl) => sysctl.fmt(f),
            Self::Rules => f.pad("the rules"),
        }
    }
}

impl Serialize for Overwritten {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sysctl(sysctl) => sysctl.serialize(serializer),
            Self::Rules => serializer.serialize_str("rules"),
        }
    }
}

/// When somebody overwrites a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At the next boot.
    Boot,
    /// Each time it starts, at boot among them.
    Start,
    /// Should it be started.
    IfStarted,
    /// When it stops.
    Stop,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Boot => "at the next boot",
            Self::Start => "each time it starts, which at boot is after files of sysctl.d are read",
            Self::IfStarted => "should it be started",
            Self::Stop => "when it stops",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_becomes_of_a_value() {
        let surely = |value| Some(Becomes::Surely { value });
        let perhaps = |value| Some(Becomes::Perhaps { value });
        assert_eq!(Written::Exactly { value: 5 }.becomes(4), surely(5));
        assert_eq!(Written::Exactly { value: 5 }.becomes(5), None);
        assert_eq!(
            (Written::AtLeast { value: 5 }.becomes(4), Written::AtLeast { value: 5 }.becomes(6)),
            (surely(5), None)
        );
        assert_eq!(
            (Written::AtMost { value: 5 }.becomes(6), Written::AtMost { value: 5 }.becomes(4)),
            (surely(5), None)
        );
        let by_version = Written::ByVersion { newest: 10, older: 20 };
        assert_eq!(by_version.becomes(5), surely(10));
        assert_eq!(by_version.becomes(15), surely(10));
        assert_eq!(by_version.becomes(10), perhaps(Some(20)));
        assert_eq!(by_version.becomes(30), perhaps(Some(10)));
        let same = Written::ByVersion { newest: 10, older: 10 };
        assert_eq!((same.becomes(10), same.becomes(5), same.becomes(30)), (None, surely(10), perhaps(Some(10))));
        assert_eq!(Written::Unclear { text: "x".into() }.becomes(1), perhaps(None));
    }
}
