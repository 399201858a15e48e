//! Another kernel, booted in QEMU: for what cannot be tried inside a namespace (limits, buckets, modules, a reboot).
//!
//! The processor is emulated, so neither KVM nor any right is needed. The machine lives in an initramfs that is put
//! together for each run; nothing of it reaches the host but what its script recorded.

mod archive;
mod contents;
mod error;
mod kernel;
mod machine;
mod systemd;
mod transcript;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::error::Error;
use self::kernel::Kernel;
pub use self::kernel::Stock;
use self::machine::Machine;
pub use self::transcript::{Step, Transcript};

/// A machine to be booted: busybox, the stock kernel, and what is added here.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    programs: Vec<PathBuf>,
    modules: Vec<String>,
    files: Vec<(PathBuf, Vec<u8>)>,
    command_line: Vec<String>,
    stock: Stock,
    first: First,
}

/// What is a guest's first process while its script runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum First {
    /// What runs the script: there is nothing else.
    #[default]
    Script,
    Systemd,
}

impl First {
    const fn command(self) -> &'static str {
        match self {
            Self::Script => "/play",
            Self::Systemd => systemd::FIRST,
        }
    }
}

impl Guest {
    /// A machine with nothing but busybox in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a program of this host, by its path or its name, with the libraries it needs; it goes by its file's name.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        self.programs.push(program.as_ref().to_path_buf());
        self
    }

    /// Adds a kernel module and those that it needs. They are there to be loaded, by the script or by the kernel
    /// itself; none is loaded yet.
    #[must_use]
    pub fn module(mut self, name: &str) -> Self {
        self.modules.push(name.to_string());
        self
    }

    /// Boots another kernel than Debian 12's own.
    #[must_use]
    pub fn on(mut self, stock: Stock) -> Self {
        self.stock = stock;
        self
    }

    /// Has Debian's systemd, as this host has it installed, for its first process, with its journal and with the targets to which services
    /// belong: units that are added to `/etc/systemd/system` can be started. The script is a service, and root's.
    #[must_use]
    pub const fn systemd(mut self) -> Self {
        self.first = First::Systemd;
        self
    }

    /// Adds a file, by its absolute path in the guest.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.as_ref().to_path_buf(), contents.into()));
        self
    }

    /// Adds a word to the kernel's command line.
    #[must_use]
    pub fn command_line(mut self, word: &str) -> Self {
        self.command_line.push(word.to_string());
        self
    }

    /// The same machine at its next boot, with the files that the script of the last one kept. What it deleted is gone only if
    /// it was not added here.
    #[must_use]
    pub fn after(&self, boot: &Transcript) -> Self {
        let mut next = self.clone();
        // Of two files with one path, the first counts.
        next.files.splice(0..0, boot.kept.iter().cloned());
        next
    }

    /// Boots the machine, runs a shell script in it as root (`sh -eux`), and powers it off.
    ///
    /// The script says `step NAME COMMAND…` where what a command writes to standard output, and its exit code, are to
    /// be in the transcript, and `keep FOLDER…` where the next boot is to have the files below some folders ([`Guest::after`]).
    /// Everything else that is written goes to the machine's console, which an error shows.
    pub fn run(&self, script: &str, timeout: Duration) -> Result<Transcript, Error> {
        let kernel = Kernel::stock(self.stock)?;
        let initramfs = contents::initramfs(self, &kernel, script)?;
        let ended = Machine::boot(&kernel, &initramfs, &self.command_line)?.wait(timeout)?;
        Transcript::parse(&ended.recorded, &ended.console)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: Duration = Duration::from_mins(2);

    #[test]
    fn a_script_that_fails_shows_where() {
        let error = Guest::new().run("step well true\ncat /nowhere\nstep ill true", ENOUGH).unwrap_err();
        assert!(matches!(error, Error::Script { exit_code: 1, .. }), "{error}");
        assert!(error.to_string().contains("+ cat /nowhere"), "{error}");
    }

    #[test]
    fn a_kernel_that_panics_is_no_end_of_a_script() {
        let error = Guest::new().run("step well true\necho c >/proc/sysrq-trigger", ENOUGH).unwrap_err();
        assert!(matches!(error, Error::Transcript { .. }), "{error}");
        assert!(error.to_string().contains("Kernel panic"), "{error}");
    }

    #[test]
    fn the_next_boot_has_the_files_that_were_kept_and_its_own_command_line() {
        let guest = Guest::new().file("/etc/a", "old\n").file("/etc/b", "same\n");
        let script =
            "step read cat /etc/a /etc/b\nprintf 'new\\n\\0end 7\\n' >/etc/a\nkeep /etc\nstep line cat /proc/cmdline";
        let first = guest.run(script, ENOUGH).unwrap();
        assert_eq!(first.step("read").unwrap().output, "old\nsame\n");
        assert!(!first.step("line").unwrap().output.contains("word"));
        let second = guest.after(&first).command_line("a.word=1").run(script, ENOUGH).unwrap();
        assert_eq!(second.step("read").unwrap().output, "new\n\0end 7\nsame\n");
        assert!(second.step("line").unwrap().output.contains(" a.word=1"));
    }

    #[test]
    fn systemd_starts_a_unit_and_keeps_what_it_says() {
        let unit = "[Service]\nType=oneshot\nExecStart=/bin/echo words\n";
        let guest = Guest::new().systemd().file("/etc/systemd/system/speak.service", unit);
        let script = "step first cat /proc/1/comm\nstep start systemctl start speak.service
            step fails systemctl start nothing.service\nstep said journalctl --unit=speak --output=cat";
        let run = guest.run(script, ENOUGH).unwrap();
        assert_eq!(run.step("first").unwrap().output, "systemd\n");
        assert_eq!((run.step("start").unwrap().exit_code, run.step("fails").unwrap().exit_code), (0, 5));
        assert!(run.step("said").unwrap().output.lines().any(|line| line == "words"));
    }

    #[test]
    fn a_guest_that_takes_too_long_is_killed() {
        let error = Guest::new().run("sleep 1000", Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, Error::TimeUp { .. }), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_before_anything_is_booted() {
        let module = Guest::new().module("nf_nothing").run("", ENOUGH).unwrap_err();
        assert!(matches!(module, Error::NoModule { module } if module == "nf_nothing"));
        let program = Guest::new().program("no-such-program").run("", ENOUGH).unwrap_err();
        assert!(matches!(program, Error::NoProgram { program, .. } if program == "no-such-program"));
        assert!(Error::no_program("nft").to_string().ends_with("apt-get install nftables"));
    }
}
