//! The program, loaded.

use aya::programs::{ProgramFd, ProgramInfo, Xdp, loaded_programs};
use aya::{Ebpf, EbpfError, EbpfLoader, include_bytes_aligned};

use crate::config::Room;
use crate::error::{Error, is_kind};
use crate::maps::{BUCKETS, LISTS, Maps, SOURCES};

/// What `scripts/bpf` made of `bpf/filter.bpf.c`.
static OBJECT: &[u8] = include_bytes_aligned!("../bpf/filter.o");

/// Its function, by which it is known again: the kernel keeps 15 bytes.
pub(crate) const NAME: &str = "plimsoll_xdp";

/// The program in the kernel, attached to nothing.
#[derive(Debug)]
pub(crate) struct Loaded {
    ebpf: Ebpf,
    pub(crate) maps: Maps,
}

impl Loaded {
    /// Loads it, disarmed.
    pub(crate) fn load(room: Room) -> Result<Self, Error> {
        Self::try_load(room).map_err(Error::bpf("load the XDP program"))
    }

    fn try_load(room: Room) -> Result<Self, EbpfError> {
        // No type of the kernel's is used, so its own description of them is not read.
        let mut loader = EbpfLoader::new();
        loader.btf(None).map_max_entries(BUCKETS, room.sources.get()).map_max_entries(SOURCES, room.hits.get());
        for list in LISTS {
            loader.map_max_entries(list, room.listed.get());
        }
        let mut ebpf = loader.load(OBJECT)?;
        if let Some(program) = ebpf.program_mut(NAME) {
            <&mut Xdp>::try_from(program)?.load()?;
        }
        let maps = Maps::loaded(&mut ebpf)?;
        Ok(Self { ebpf, maps })
    }

    pub(crate) fn program(&self) -> Result<&Xdp, EbpfError> {
        let program = self.ebpf.program(NAME).ok_or(aya::programs::ProgramError::NotLoaded)?;
        Ok(program.try_into()?)
    }

    pub(crate) fn file(&self) -> Result<ProgramFd, Error> {
        let file = || Ok(self.program()?.fd()?.try_clone().map_err(aya::maps::MapError::from)?);
        file().map_err(Error::bpf::<EbpfError>("open the XDP program"))
    }
}

/// A program of the kernel's, by its id; `None` if it is gone.
pub(crate) fn by_id(id: u32) -> Result<Option<ProgramInfo>, Error> {
    for program in loaded_programs() {
        match program {
            Ok(program) if program.id() == id => return Ok(Some(program)),
            Ok(_) => {}
            // Unloaded between being named and being opened.
            Err(error) if is_kind(&error, std::io::ErrorKind::NotFound) => {}
            Err(error) => return Err(Error::bpf("look at the programs of the kernel")(error)),
        }
    }
    Ok(None)
}
