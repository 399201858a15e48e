//! The kernel's own settings, in the namespaces that changes go to.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_host::{HostFs, NetFiles, boottime_now};
use plimsoll_model::{Edit, Occupancy, Reach, Sysctl, XdpStage};

use crate::Error;
use crate::nft;
use crate::own_rules::{Armed, OwnRules, RulesName, making, rearming};
use crate::place::{Place, fullest};
use crate::record::Undone;
use crate::settings::Settings;
use crate::stage;
use crate::window::Reading;

/// The settings in force.
#[derive(Debug)]
pub struct Live {
    /// The namespace; `None` where it is no more.
    place: Option<Place>,
    /// Where the host's limits are set; `None` where it is out of reach.
    initial: Option<Place>,
}

impl Live {
    /// Those of a namespace, and the host's.
    pub fn at(place: Place) -> Self {
        Self { initial: Place::initial(), place: Some(place) }
    }

    /// The host's alone: the namespace is no more.
    pub(crate) fn of_the_host() -> Self {
        Self { initial: Place::initial(), place: None }
    }

    /// The namespace.
    pub fn place(&self) -> Result<&Place, Error> {
        self.place.as_ref().ok_or_else(|| Error::Refused("the network namespace is no more".to_string()))
    }

    /// The namespace, for good.
    pub(crate) fn into_place(self) -> Result<Place, Error> {
        self.place.ok_or_else(|| Error::Refused("the network namespace is no more".to_string()))
    }

    /// Makes sure that an edit may be made, without making it.
    pub fn may_edit(&self, edit: &Edit, application: u32) -> Result<(), Error> {
        match edit {
            Edit::Sysctl { sysctl, .. } => {
                let may =
                    self.for_sysctl(*sysctl)?.visit(|| OpenOptions::new().write(true).open(file(*sysctl)).map(drop))?;
                may.map_err(|answer| self.not_writable(edit, answer))
            }
            Edit::Policy(policy) => self.may_make(OwnRules::Policy(policy), application),
            Edit::Bypass(bypass) => self.may_make(OwnRules::Bypass(bypass), application),
            Edit::Shield(shield) => {
                let commands = plimsoll_shield::loading(shield, application, Duration::ZERO);
                self.place()?.visit(|| nft::check(&commands))?
            }
            // The kernel is asked when it is made, and what it refuses keeps nothing else from being made.
            Edit::XdpStage(_) => Ok(()),
        }
    }

    fn may_make(&self, rules: OwnRules<'_>, application: u32) -> Result<(), Error> {
        let commands = making(rules, &rules.name(application), Armed::ForGood);
        self.place()?.visit(|| nft::check(&commands))?
    }

    /// Reads what shows whether a change does harm. What cannot be read is left out of it.
    pub fn reading(&self) -> Result<Reading, Error> {
        let host = HostFs::new();
        let machine = host.host().read;
        self.place()?.visit(|| Reading {
            at: boottime_now(),
            // Some distribution kernels have no such file, and tell the same over netlink.
            counters: match host.statistics(NetFiles::OfThread) {
                Ok(statistics) => Some(statistics.counters),
                Err(_) => plimsoll_ctnetlink::cpu_statistics().ok(),
            },
            tcp: host.tcp_counts(NetFiles::OfThread).ok(),
            packets: host.packets(NetFiles::OfThread).ok(),
            available_bytes: machine.available_bytes,
            ram_bytes: machine.ram_bytes,
        })
    }

    /// Runs a closure in the namespace.
    pub(crate) fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        self.place()?.visit(work)
    }

    fn for_sysctl(&self, sysctl: Sysctl) -> Result<&Place, Error> {
        match sysctl.reach() {
            Reach::Namespace => self.place(),
            Reach::Host => self.initial.as_ref().ok_or_else(|| Error::NotWritable {
                sysctl,
                answer: io::Error::from(io::ErrorKind::PermissionDenied),
                help: " (there is one value for all network namespaces, which only the host's own can set, and that is out of \
                       reach from here: run this on the host, outside of containers)"
                    .to_string(),
            }),
        }
    }

    fn not_writable(&self, edit: &Edit, answer: io::Error) -> Error {
        let Edit::Sysctl { sysctl, to, .. } = edit else {
            return Error::Refused(answer.to_string());
        };
        let help = match answer.kind() {
            io::ErrorKind::ReadOnlyFilesystem => format!(
                ": /proc/sys is mounted read-only, as containers have it, and units of systemd's without \
                 ProtectKernelTunables=no. On the host: `{}`",
                self.command_for_the_host(*sysctl, *to)
            ),
            io::ErrorKind::PermissionDenied => {
                ": it takes root (CAP_NET_ADMIN in the namespace's user namespace)".to_string()
            }
            io::ErrorKind::NotFound => ": this kernel has not got it, or nf_conntrack is not loaded".to_string(),
            _ => String::new(),
        };
        Error::NotWritable { sysctl: *sysctl, answer, help }
    }

    /// What does the same from the host. There a container's namespace has another name, but the same inode.
    fn command_for_the_host(&self, sysctl: Sysctl, to: u32) -> String {
        match sysctl.reach() {
            Reach::Host => format!("plimsoll apply --set {sysctl}={to}"),
            Reach::Namespace => {
                let inode = self.place.as_ref().map_or_else(String::new, |place| place.at().inode.to_string());
                format!("plimsoll apply --netns {inode} --set {sysctl}={to}")
            }
        }
    }
}

impl Settings for Live {
    fn holds(&self, reach: Reach) -> bool {
        match reach {
            Reach::Host => true,
            Reach::Namespace => self.place.is_some(),
        }
    }

    fn read(&self, sysctl: Sysctl) -> Result<u32, Error> {
        value_in_force(self.for_sysctl(sysctl)?, sysctl)
    }

    fn write(&self, sysctl: Sysctl, value: u32) -> Result<(), Error> {
        let write = || OpenOptions::new().write(true).open(file(sysctl))?.write_all(value.to_string().as_bytes());
        self.for_sysctl(sysctl)?.visit(write)?.map_err(|answer| Error::Write { sysctl, value, answer })
    }

    fn fullest(&self) -> Result<Occupancy, Error> {
        fullest()
    }

    fn rules(&self) -> Result<Vec<RulesName>, Error> {
        self.place()?.visit(nft::rules)?
    }

    fn make(&self, rules: OwnRules<'_>, name: &RulesName, armed: Armed) -> Result<(), Error> {
        let commands = making(rules, name, armed);
        self.place()?.visit(|| nft::check(&commands).and_then(|()| nft::load(&commands)))?
    }

    fn rearm(&self, name: &RulesName, armed: Armed) -> Result<(), Error> {
        self.place()?.visit(|| nft::load(&rearming(name, armed)))?
    }

    fn remove(&self, name: &RulesName) -> Result<(), Error> {
        self.place()?.visit(|| nft::remove(name))?
    }

    fn shield(&self) -> Result<Option<u32>, Error> {
        self.place()?.visit(nft::shield)?
    }

    fn remove_shield(&self) -> Result<(), Error> {
        self.place()?.visit(|| nft::load(&plimsoll_shield::removing()))?
    }

    fn detach(&self, stage: &XdpStage, application: u32) -> Result<Undone, Error> {
        self.place()?.visit(|| stage::detach(stage, application))?
    }
}

/// A sysctl's value in a namespace.
pub fn value_in_force(place: &Place, sysctl: Sysctl) -> Result<u32, Error> {
    // The host's limits are shown in every namespace.
    Ok(place.visit(|| HostFs::new().sysctl(sysctl))??)
}

fn file(sysctl: Sysctl) -> PathBuf {
    PathBuf::from("/proc/sys").join(sysctl.path())
}
