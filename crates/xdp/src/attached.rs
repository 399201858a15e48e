//! The program on an interface.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use aya::programs::{ProgramFd, ProgramInfo};
use plimsoll_ctnetlink::{Link, XdpMode, XdpProgram, attach_xdp, detach_xdp, links};
use plimsoll_model::Untrusted;

use crate::clock;
use crate::config::{Action, Config, Rates};
use crate::counts::Counts;
use crate::error::Error;
use crate::found::{Found, is_ours, other_version};
use crate::hit::{Hit, Unnoted};
use crate::maps::Maps;
use crate::program::{self, Loaded};

/// Plimsoll's program, attached to an interface of the calling thread's network namespace.
///
/// It stays attached when this is dropped, and when the process ends; it does nothing once its time is over.
#[derive(Debug)]
pub struct Attached {
    link: Link,
    mode: XdpMode,
    program: ProgramFd,
    maps: Maps,
    not_native: Option<plimsoll_ctnetlink::Error>,
}

/// By which ways a program may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the driver, or behind it where the driver does not take it, or is veth: with a program that queues 256 packets
    /// (`VETH_RING_SIZE` in `drivers/net/veth.c`) and loses the rest, where without one whoever sends does the receiver's work.
    Best,
    /// In the driver. Many drivers set up their queues anew for it, and the link is down for a moment.
    Native,
    /// Behind the driver, which notices nothing of it.
    Generic,
}

impl Way {
    fn modes(self, link: &Link) -> &'static [XdpMode] {
        let is_veth = link.kind.as_ref().is_some_and(|kind| kind.as_str() == "veth");
        match self {
            Self::Best if is_veth => &[XdpMode::Generic],
            Self::Best => &[XdpMode::Native, XdpMode::Generic],
            Self::Native => &[XdpMode::Native],
            Self::Generic => &[XdpMode::Generic],
        }
    }
}

/// What an attached program does, and what it has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The interface.
    pub interface: Untrusted,
    /// Where it runs.
    pub mode: XdpMode,
    /// Until when it does anything, as [`Config::until`].
    pub until: Duration,
    /// What it does with what it would drop.
    pub action: Action,
    /// Whose it is, as [`Config::owner`].
    pub owner: u32,
    /// The rates of new TCP connections.
    pub tcp: Option<Rates>,
    /// The rates of UDP datagrams.
    pub udp: Option<Rates>,
    /// What became of packets, since it was attached.
    pub counts: Counts,
}

impl Attached {
    /// Attaches the program to an interface.
    ///
    /// # Errors
    /// Where any XDP program is attached already: none is replaced. Where no way is open, with the kernel's answers. It takes
    /// root, and `CAP_NET_ADMIN` over the namespace.
    pub fn attach(interface: &str, way: Way, config: &Config) -> Result<Self, Error> {
        Self::attach_to(link(interface)?, way, config)
    }

    /// Attaches the program to the interface of a number, if it is called so still: another one may have its name by now.
    ///
    /// # Errors
    /// As [`attach`](Self::attach); and where no interface has both, that number and that name.
    pub fn attach_at(index: i32, interface: &str, way: Way, config: &Config) -> Result<Self, Error> {
        let link = link(interface)?;
        if link.index != index {
            return Err(Error::Another { interface: link.name, index, found: link.index });
        }
        Self::attach_to(link, way, config)
    }

    fn attach_to(link: Link, way: Way, config: &Config) -> Result<Self, Error> {
        clock::ensure_kernels_own()?;
        ensure_vacant(&link)?;
        let mut loaded = Loaded::load(config.room)?;
        loaded.maps.write(config)?;
        let program = loaded.file()?;
        let (mode, not_native) = attach_by(way, &link, &program)?;
        Ok(Self { link, mode, program, maps: loaded.maps, not_native })
    }

    /// Makes sure that an interface is there and has no XDP program. Whether its driver takes one, only attaching shows. Changes
    /// nothing.
    pub fn ensure_vacant(interface: &str) -> Result<(), Error> {
        ensure_vacant(&link(interface)?)
    }

    /// The program on an interface, whoever attached it; `None` where there is none of Plimsoll's.
    pub fn find(interface: &str) -> Result<Option<Self>, Error> {
        Self::on(link(interface)?)
    }

    /// The program on every interface of the namespace that has it.
    pub fn all() -> Result<Vec<Self>, Error> {
        let links = links().map_err(Error::netlink(&"the network namespace".into()))?;
        links.into_iter().filter_map(|link| Self::on(link).transpose()).collect()
    }

    /// Where it runs.
    pub const fn mode(&self) -> XdpMode {
        self.mode
    }

    /// Why it does not run in the driver, if this process tried.
    pub const fn not_native(&self) -> Option<&plimsoll_ctnetlink::Error> {
        self.not_native.as_ref()
    }

    /// What it does and has done. Changes nothing.
    pub fn status(&self) -> Result<Status, Error> {
        let failed = Error::bpf("read what the XDP program has done");
        let in_force = self.maps.in_force().map_err(&failed)?;
        Ok(Status {
            interface: self.link.name.clone(),
            mode: self.mode,
            until: in_force.until,
            action: in_force.action,
            owner: in_force.owner,
            tcp: in_force.tcp,
            udp: in_force.udp,
            counts: self.maps.counts().map_err(&failed)?,
        })
    }

    /// Those whose packets it has dropped, in shadow nobody's. Changes nothing.
    pub fn hits(&self) -> Result<Vec<Hit>, Error> {
        self.maps.hits().map_err(Error::bpf("read whose packets the XDP program has dropped"))
    }

    /// The packets that it has dropped of those for whom there was no room ([`Room::hits`](crate::Room::hits)). Changes nothing.
    pub fn unnoted(&self) -> Result<Unnoted, Error> {
        self.maps
            .unnoted()
            .map_err(Error::bpf("read how many packets the XDP program has dropped of whom it has not noted"))
    }

    /// Forgets what was noted of sources, so that there is room for others. What is dropped of one of them meanwhile may go too.
    pub fn forget(&mut self, sources: impl IntoIterator<Item = IpAddr>) -> Result<(), Error> {
        let forgotten = sources.into_iter().try_for_each(|source| self.maps.forget(source));
        forgotten.map_err(Error::bpf("remove what the XDP program has noted"))
    }

    /// Puts another configuration in force; [`Config::room`] stays what it was when the program was attached, and what was counted
    /// stays counted. Nothing is dropped while that goes on.
    pub fn update(&mut self, config: &Config) -> Result<(), Error> {
        clock::ensure_kernels_own()?;
        self.maps.write(config)
    }

    /// Detaches just this program, and returns what it did until then. With the last file on it, it leaves nothing.
    pub fn detach(self) -> Result<Status, Error> {
        detach_xdp(self.link.index, self.program.as_fd(), self.mode).map_err(Error::netlink(&self.link.name))?;
        self.status()
    }

    /// With its maps, which are all looked at.
    pub(crate) fn opened(found: Found) -> Result<Self, Error> {
        let Found { link, mode, info, program, .. } = found;
        let maps = Maps::of(&info).map_err(other_version(&link))?;
        Ok(Self { link, mode, program, maps, not_native: None })
    }

    fn on(link: Link) -> Result<Option<Self>, Error> {
        Found::on(link)?.map(Self::opened).transpose()
    }
}

fn link(interface: &str) -> Result<Link, Error> {
    let name = Untrusted::from(interface);
    let links = links().map_err(Error::netlink(&name))?;
    links.into_iter().find(|link| link.name == name).ok_or(Error::NoInterface { interface: name })
}

/// Makes sure that an interface has no program.
fn ensure_vacant(link: &Link) -> Result<(), Error> {
    match link.xdp.first() {
        Some(&occupant) => Err(occupied(link, occupant)?),
        None => Ok(()),
    }
}

/// The error that an attached program is.
fn occupied(link: &Link, XdpProgram { mode, id }: XdpProgram) -> Result<Error, Error> {
    let interface = link.name.clone();
    let program = program::by_id(id)?;
    if program.as_ref().is_some_and(is_ours) {
        return Ok(Error::Attached { interface });
    }
    let name = Untrusted::from_bytes(program.as_ref().map_or(b"of no name", ProgramInfo::name));
    Ok(Error::Occupied { interface, name, id, mode })
}

/// Where the program was attached, and why not in the driver if that was tried.
fn attach_by(
    way: Way,
    link: &Link,
    program: &ProgramFd,
) -> Result<(XdpMode, Option<plimsoll_ctnetlink::Error>), Error> {
    let mut answers = Vec::new();
    for &mode in way.modes(link) {
        match attach_xdp(link.index, program.as_fd(), mode) {
            Ok(()) => return Ok((mode, answers.pop().map(|(_, answer)| answer))),
            // The other way asks for the same right.
            Err(answer) if answer.is_permission() => return Err(Error::netlink(&link.name)(answer)),
            Err(answer) => answers.push((mode, answer)),
        }
    }
    Err(Error::Refused { interface: link.name.clone(), answers })
}
