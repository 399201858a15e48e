//! The program on an interface, of whatever version: whose it is, and how it is detached.

use std::os::fd::AsFd;
use std::time::Duration;

use aya::maps::MapError;
use aya::programs::{ProgramError, ProgramFd, ProgramInfo, loaded_programs};
use plimsoll_ctnetlink::{Link, XdpMode, XdpProgram, detach_xdp, links};
use plimsoll_model::Untrusted;

use crate::attached::Attached;
use crate::error::{Error, is_kind};
use crate::maps::{InForce, config_of};
use crate::program;

/// A program of Plimsoll's that is attached to an interface of the calling thread's network namespace. Another version may have attached it:
/// nothing but its configuration was read.
#[derive(Debug)]
pub struct Found {
    pub(crate) link: Link,
    pub(crate) mode: XdpMode,
    pub(crate) info: ProgramInfo,
    pub(crate) program: ProgramFd,
    in_force: InForce,
}

/// What there is of Plimsoll's at the number of an interface.
#[derive(Debug)]
pub enum At {
    /// A program.
    Found(Box<Found>),
    /// The interface, with none.
    Vacant,
    /// No such interface: it was deleted, or is in another network namespace by now.
    NoInterface,
}

impl Found {
    /// The program on the interface of a number, which it keeps when it is renamed.
    pub fn at(index: i32) -> Result<At, Error> {
        let links = links().map_err(Error::netlink(&Untrusted::from(format!("interface {index}").as_str())))?;
        let Some(link) = links.into_iter().find(|link| link.index == index) else { return Ok(At::NoInterface) };
        Ok(Self::on(link)?.map_or(At::Vacant, |found| At::Found(Box::new(found))))
    }

    /// Whose it is, as [`Config::owner`](crate::Config::owner).
    pub const fn owner(&self) -> u32 {
        self.in_force.owner
    }

    /// Opens the rest of it.
    ///
    /// # Errors
    /// Where another version has attached it.
    pub fn open(self) -> Result<Attached, Error> {
        Attached::opened(self)
    }

    /// Detaches just this program. With the last file on it, it leaves nothing.
    pub fn detach(self) -> Result<(), Error> {
        detach_xdp(self.link.index, self.program.as_fd(), self.mode).map_err(Error::netlink(&self.link.name))
    }

    pub(crate) fn on(link: Link) -> Result<Option<Self>, Error> {
        for &XdpProgram { mode, id } in &link.xdp {
            if let Some(info) = program::by_id(id)?.filter(is_ours) {
                let program = info.fd().map_err(Error::bpf("open the XDP program"))?;
                let in_force = config_of(&info).map_err(other_version(&link))?;
                return Ok(Some(Self { link, mode, info, program, in_force }));
            }
        }
        Ok(None)
    }
}

/// Until when a program of an owner drops anything that is loaded and on no interface of this network namespace: an interface takes its program
/// along into another one. `None` where there is none.
pub fn elsewhere(owner: u32) -> Result<Option<Duration>, Error> {
    let links = links().map_err(Error::netlink(&"the network namespace".into()))?;
    let here: Vec<u32> = links.iter().flat_map(|link| &link.xdp).map(|program| program.id).collect();
    let mut latest = None;
    for program in loaded_programs() {
        let info = match program {
            Ok(info) if is_ours(&info) && !here.contains(&info.id()) => info,
            Ok(_) => continue,
            // Unloaded between being named and being opened.
            Err(error) if is_kind(&error, std::io::ErrorKind::NotFound) => continue,
            Err(error) => return Err(Error::bpf("look at the programs of the kernel")(error)),
        };
        // One that is unloaded meanwhile, or that makes no sense, is not known to be the owner's.
        if let Ok(in_force) = config_of(&info)
            && in_force.owner == owner
        {
            latest = latest.max(Some(in_force.until));
        }
    }
    Ok(latest)
}

pub(crate) fn is_ours(program: &ProgramInfo) -> bool {
    program.name() == program::NAME.as_bytes()
}

/// Maps that are missing or of another size are another version's; whatever else it is stays what it is.
pub(crate) fn other_version(link: &Link) -> impl Fn(ProgramError) -> Error {
    let interface = link.name.clone();
    move |error| match error {
        ProgramError::MapError(
            differs @ (MapError::InvalidName { .. }
            | MapError::InvalidKeySize { .. }
            | MapError::InvalidValueSize { .. }
            | MapError::InvalidMapType { .. }),
        ) => Error::OtherVersion { interface: interface.clone(), differs: differs.to_string() },
        error => Error::bpf("open the XDP program's maps")(error),
    }
}
