//! What is in a guest: programs with their libraries, modules, files, and the script that is its first process.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::{Error, Guest};

/// The first process. What is recorded goes to a serial line of its own, on which the kernel writes nothing.
const INIT: &str = include_str!("init.sh");

/// Where programs lie on a host; a caller's PATH may lack those that are for root.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Everything, as the kernel takes it.
pub(crate) fn initramfs(guest: &Guest, kernel: &Kernel, script: &str) -> Result<Vec<u8>, Error> {
    let mut archive = Archive::default();
    for folder in ["/dev", "/proc", "/sys", "/tmp", "/run"] {
        archive.add_folder(Path::new(folder));
    }
    archive.add(Path::new("/init"), INIT.as_bytes());
    archive.add(Path::new("/script"), script.as_bytes());
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

fn add_program(archive: &mut Archive, program: &Path) -> Result<(), Error> {
    let source = find(program)?;
    let name = source.file_name().unwrap_or_default();
    archive.add(&Path::new("/bin").join(name), &read(&source)?);
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

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::file(path))
}
