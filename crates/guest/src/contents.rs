//! What is in a guest: programs with their libraries, modules, files, and the script that is its first process.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::{Error, First, Guest, systemd};

/// The first process, which becomes what `/first` says.
const INIT: &str = include_str!("init.sh");

/// What runs the script. What is recorded goes to a serial line of its own, on which the kernel writes nothing.
const PLAY: &str = include_str!("play.sh");

/// Where programs lie on a host; a caller's PATH may lack those that are for root.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Everything, as the kernel takes it.
pub(crate) fn initramfs(guest: &Guest, kernel: &Kernel, script: &str) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::default();
    for folder in ["/dev", "/proc", "/sys", "/tmp", "/run"] {
        archive.add_folder(Path::new(folder));
    }
    archive.add(Path::new("/init"), INIT.as_bytes());
    archive.add(Path::new("/play"), PLAY.as_bytes());
    archive.add(Path::new("/script"), script.as_bytes());
    archive.add(Path::new("/first"), guest.first.command().as_bytes());
    if guest.first == First::Systemd {
        systemd::add(&mut archive)?;
    }
    add_program(&mut archive, Path::new("busybox"))?;
    for program in &guest.programs {
        add_program(&mut archive, program)?;
    }
    for file in kernel.lists()? {
        archive.add(&file.path, &file.contents);
    }
    for module in &guest.modules {
        for file in kernel.module(module)? {
            archive.add(&file.path, &file.contents);
        }
    }
    for (path, contents) in &guest.files {
        archive.add(path, contents);
    }
    Ok(archive.finish())
}

/// Finds a program by its path or, as a shell does, by its name.
pub(crate) fn find(program: &Path) -> Result<PathBuf, Error> {
    let candidates: Vec<_> = if program.components().count() > 1 {
        vec![program.to_path_buf()]
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(PROGRAM_FOLDERS.map(PathBuf::from));
        folders.map(|folder| folder.join(program)).collect()
    };
    candidates
        .into_iter()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Error::no_program(&program.to_string_lossy()))
}

/// What a program writes to standard output.
pub(crate) fn output_of(program: &str, arguments: &[&OsStr]) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(find(Path::new(program))?);
    command.args(arguments);
    let failed = |answer: String| Error::Program { command: format!("{command:?}"), answer };
    let output = Command::new(command.get_program())
        .args(command.get_args())
        .output()
        .map_err(|answer| failed(answer.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(output.stdout)
}

/// Adds a program below `/bin`, with its libraries.
pub(crate) fn add_program(archive: &mut Archive, program: &Path) -> Result<(), Error> {
    let source = find(program)?;
    let name = source.file_name().unwrap_or_default();
    add_program_as(archive, &source, &Path::new("/bin").join(name))
}

/// Adds a program of this host's by another path, with its libraries.
pub(crate) fn add_program_as(archive: &mut Archive, program: &Path, path: &Path) -> Result<(), Error> {
    let source = find(program)?;
    archive.add(path, &read(&source)?);
    for library in libraries(&source)? {
        archive.add(&library, &read(&library)?);
    }
    Ok(())
}

/// The shared libraries that a program needs, its loader among them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_static = |answer: &str| answer.contains("not a dynamic executable");
    match output_of("ldd", &[program.as_os_str()]) {
        // `libc.so.6 => /lib/…/libc.so.6 (0x…)`, or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
        Ok(listed) => Ok(String::from_utf8_lossy(&listed)
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .map(PathBuf::from)
            .collect()),
        Err(Error::Program { answer, .. }) if is_static(&answer) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::file(path))
}
