//! Which files a running process has read, by its command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Bounded, Error, Program};

/// What is known of a process.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine<'a> {
    /// Its arguments, with its name first: `/proc/PID/cmdline`, taken apart at its zero bytes.
    pub arguments: &'a [&'a str],
    /// Its working folder, as the process sees it: `/proc/PID/cwd`, without its root.
    pub folder: &'a Path,
}

/// A program that passes requests on, and the files with which it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// What it is.
    pub program: Program,
    /// Its files, in their order, as the process sees them.
    pub files: Vec<PathBuf>,
}

/// Why a process does not tell its files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    /// It is none of these programs.
    #[error("this is neither NGINX nor HAProxy nor Envoy")]
    AnotherProgram,
    /// A worker of NGINX has no arguments.
    #[error("this is a worker of NGINX, which has no arguments: ask its parent")]
    Worker,
    /// No file is named, and none is where it is looked for.
    #[error("{}: no file is named on its command line, and there is none where it is looked for; name the file", program.name())]
    NoFile {
        /// What it is.
        program: Program,
    },
    /// Envoy was given some of its configuration as an argument.
    #[error(
        "some of its configuration is on its command line (--config-yaml), which is not read; /config_dump tells all of it"
    )]
    OnCommandLine,
    /// The folders that are named on its command line have more than is read.
    #[error(transparent)]
    TooMuch(#[from] Error),
}

/// The files with which a process was started. `files` tells what is there: below the process's root, if it has one of its own.
///
/// # Errors
/// If it is another program, or if its command line does not tell.
pub fn configuration_of(process: CommandLine<'_>, files: &mut Bounded<'_>) -> Result<Running, NotTold> {
    let title = process.arguments.first().copied().unwrap_or_default();
    if let Some(rest) = title.strip_prefix("nginx: ") {
        // The title is all in one argument, with spaces between what were arguments.
        let Some(command) = rest.strip_prefix("master process ") else { return Err(NotTold::Worker) };
        let arguments: Vec<&str> = command.split(' ').collect();
        return nginx(&CommandLine { arguments: &arguments, ..process }, files);
    }
    match Path::new(title).file_name().and_then(|name| name.to_str()) {
        Some("nginx" | "openresty") => nginx(&process, files),
        Some("haproxy") => haproxy(&process, files),
        Some("envoy") => envoy(&process),
        _ => Err(NotTold::AnotherProgram),
    }
}

/// Where NGINX looks by default: that is compiled in. Distributions and nginx.org's packages, its own, `OpenResty`'s, Homebrew's and FreeBSD's.
const NGINX_DEFAULTS: [&str; 5] = [
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
    "/opt/nginx/conf/nginx.conf",
    "/usr/local/etc/nginx/nginx.conf",
];

fn nginx(process: &CommandLine<'_>, files: &Bounded<'_>) -> Result<Running, NotTold> {
    let prefix = value(process.arguments, "p").map(|prefix| process.folder.join(prefix));
    let running = |file| Ok(Running { program: Program::Nginx, files: vec![file] });
    let is_there = |file: &PathBuf| files.has(file);
    match (value(process.arguments, "c").map(Path::new), prefix) {
        (Some(file), _) if file.is_absolute() => running(file.to_path_buf()),
        (Some(file), Some(prefix)) => running(prefix.join(file)),
        // Relative to the prefix that is compiled in.
        (Some(file), None) => {
            let prefixes = ["/usr/share/nginx", "/etc/nginx", "/usr/local/nginx", "/usr/local/openresty/nginx"];
            let found = prefixes.iter().map(|prefix| Path::new(prefix).join(file)).find(is_there);
            found.map_or(Err(NotTold::NoFile { program: Program::Nginx }), running)
        }
        // The default below a prefix is `conf/nginx.conf`, unless an absolute one is compiled in.
        (None, prefix) => {
            let below = prefix.map(|prefix| prefix.join("conf/nginx.conf"));
            let found = below.into_iter().chain(NGINX_DEFAULTS.map(PathBuf::from)).find(is_there);
            found.map_or(Err(NotTold::NoFile { program: Program::Nginx }), running)
        }
    }
}

/// The value of an option of one letter, joined to it or behind it; the last one holds.
fn value<'a>(arguments: &[&'a str], letter: &str) -> Option<&'a str> {
    let mut found = None;
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.strip_prefix('-') else { continue };
        // Letters without a value may stand before: -tc FILE.
        let flags = rest.trim_start_matches(['?', 'h', 'v', 'V', 't', 'T', 'q']);
        let Some(option) = flags.chars().next().filter(char::is_ascii_alphabetic) else { continue };
        let joined = flags.get(1..).unwrap_or_default();
        let given = if joined.is_empty() { arguments.next().copied() } else { Some(joined) };
        if letter.starts_with(option) {
            found = given.or(found);
        }
    }
    found
}

fn haproxy(process: &CommandLine<'_>, files: &mut Bounded<'_>) -> Result<Running, NotTold> {
    let mut given = Vec::new();
    let mut folder = process.folder.to_path_buf();
    let mut arguments = process.arguments.iter().skip(1).copied();
    while let Some(argument) = arguments.next() {
        match argument {
            "--" => given.extend(arguments.by_ref()),
            "-f" => given.extend(arguments.next()),
            "-C" => folder = arguments.next().map_or(folder.clone(), |to| folder.join(to)),
            // Each with a value of its own; `-sf`, `-st` take process numbers, which are no options either.
            "-p" | "-L" | "-n" | "-N" | "-m" | "-S" | "-x" => drop(arguments.next()),
            _ => {}
        }
    }
    let mut all = Vec::new();
    for path in given.into_iter().map(|path| folder.join(path)) {
        match files.names(&path)? {
            // Of a folder, the files that end so, in the order of their bytes.
            Ok(names) => {
                let is_meant = |name: &OsString| {
                    name.to_str().is_some_and(|name| name.strip_suffix(".cfg").is_some() && !name.starts_with('.'))
                };
                all.extend(names.into_iter().filter(is_meant).map(|name| path.join(name)));
            }
            Err(_) => all.push(path),
        }
    }
    if all.is_empty() {
        return Err(NotTold::NoFile { program: Program::Haproxy });
    }
    Ok(Running { program: Program::Haproxy, files: all })
}

fn envoy(process: &CommandLine<'_>) -> Result<Running, NotTold> {
    let mut arguments = process.arguments.iter().skip(1).copied();
    let mut file = None;
    while let Some(argument) = arguments.next() {
        match argument {
            // It is laid over the file.
            "--config-yaml" => return Err(NotTold::OnCommandLine),
            _ if argument.starts_with("--config-yaml=") => return Err(NotTold::OnCommandLine),
            "-c" | "--config-path" => file = arguments.next().or(file),
            _ => file = argument.strip_prefix("--config-path=").or(argument.strip_prefix("-c=")).or(file),
        }
    }
    let file = file.ok_or(NotTold::NoFile { program: Program::Envoy })?;
    Ok(Running { program: Program::Envoy, files: vec![process.folder.join(file)] })
}
