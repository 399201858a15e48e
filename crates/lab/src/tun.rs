//! TUN and TAP devices: what is written to one comes into the namespace as a packet, or as a frame; what the namespace sends by
//! it can be read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::{Error, LabNamespace};

/// The device file.
const PATH: &str = "/dev/net/tun";

/// A TUN device, gone when dropped.
#[derive(Debug)]
pub(crate) struct Tun {
    file: File,
}

impl Tun {
    /// Makes a device of this name in a namespace.
    pub(crate) fn create(namespace: &LabNamespace, name: &str) -> Result<Self, Error> {
        Self::carrying(IFF_TUN, namespace, name)
    }

    fn carrying(carries: u16, namespace: &LabNamespace, name: &str) -> Result<Self, Error> {
        let failed = |answer: io::Error| Error::Tun {
            name: name.to_string(),
            needs: match answer.kind() {
                io::ErrorKind::NotFound => {
                    "; it takes the kernel's module tun, in a container also --device /dev/net/tun"
                }
                io::ErrorKind::PermissionDenied => {
                    "; it takes CAP_NET_ADMIN, in a container also --device /dev/net/tun"
                }
                _ => "",
            },
            answer: answer.to_string(),
        };
        // The device is made in the namespace of the thread that opens the file.
        namespace.enter(|| open(name, carries))?.map(|file| Self { file }).map_err(failed)
    }

    /// Has the namespace receive a packet. All that forwarding does with it has been done on return.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write(packet).map(drop)
    }

    /// A packet that the namespace sent; `None` where there is none.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(buffer.get(..length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A TAP device, gone when dropped: an Ethernet card of which this process is the wire.
#[derive(Debug)]
pub struct Tap {
    device: Tun,
}

impl Tap {
    /// Makes a device of this name in a namespace, which is down.
    pub fn create(namespace: &LabNamespace, name: &str) -> Result<Self, Error> {
        Tun::carrying(IFF_TAP, namespace, name).map(|device| Self { device })
    }

    /// Has the namespace receive a frame. What it does with it is done on return.
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        self.device.send(frame).map_err(|answer| Error::Send { answer: answer.to_string() })
    }
}

fn open(name: &str, carries: u16) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(PATH)?;
    attach(&file, name, carries)?;
    Ok(file)
}

/// `struct ifreq` of `linux/if.h`, with its union read as `ifr_flags`.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

// linux/if_tun.h.
const IFF_TUN: u16 = 0x0001;
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const TUNSETIFF: Opcode = opcode::write::<std::ffi::c_int>(b'T', 202);

#[allow(unsafe_code)]
fn attach(file: &File, name: &str, carries: u16) -> io::Result<()> {
    let mut request = InterfaceRequest { name: [0; 16], flags: carries | IFF_NO_PI, rest: [0; 22] };
    // The last byte stays 0.
    request.name.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, 40 bytes on every architecture with 64 bits and 32 with 32
    // bits (`__tun_chr_ioctl` in drivers/net/tun.c). `InterfaceRequest` has 40, initialised, and any content of it is
    // valid; `file` outlives the call.
    unsafe { ioctl(file, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) }?;
    Ok(())
}
