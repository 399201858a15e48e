//! Who else sets what tracking does: programs that run, or are installed, seen from their files and processes. None of them is
//! run or asked.

mod docker;
mod firewalld;
mod kube_proxy;
mod nftables;
mod tuned;
mod ufw;

use std::ops::Range;

use plimsoll_model::{Presence, Sysctl, Writer, WriterKind};

use crate::system_process::{SYSTEM_ACCOUNTS, SystemProcess};
use crate::text::Text;
use crate::{Error, HostFs, Partial};

/// Their commands.
const COMMANDS: [&str; 6] = ["kube-proxy", "k3s-server", "k3s-agent", "tuned", "firewalld", "dockerd"];

impl HostFs {
    /// Everyone who is known to set sysctls of tracking besides the files of [`HostFs::lasting`], or to load or unload the
    /// module. Programs that are none of those (containerd, Cilium's and Calico's agents, the clouds' agents) are not told of:
    /// what they set of conntrack they set by files of sysctl.d, or in tables of their own.
    ///
    /// Those that leave nothing but files are only told where the files are the host's own.
    pub fn writers(&self) -> Partial<Vec<Writer>> {
        self.writers_trusting(&SYSTEM_ACCOUNTS)
    }

    /// Believes the processes of some users.
    fn writers_trusting(&self, users: &Range<u32>) -> Partial<Vec<Writer>> {
        let processes = self.system_processes(&COMMANDS, users);
        let mut found = Partial { read: Vec::new(), errors: processes.errors };
        let running = Running(processes.read);
        for process in running.all(&["kube-proxy"]) {
            found.keep(kube_proxy::of_process(self, process.pid).map(Some));
        }
        found.read.extend(running.all(&["k3s-server", "k3s-agent"]).map(kube_proxy::of_k3s));
        found.read.extend(running.first("dockerd").map(docker::writer));
        match self.files_are_the_hosts() {
            Ok(()) => {
                found.keep_partly(tuned::writer(self, running.first("tuned")));
                found.keep(firewalld::writer(self, running.first("firewalld")));
                found.keep(ufw::writer(self));
                found.keep(nftables::writer(self));
            }
            Err(error) => found.errors.push(error),
        }
        found
    }

    /// A file that need not be there.
    fn read_if_there(&self, absolute: &str) -> Result<Option<Text>, Error> {
        match self.read(absolute) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Partial<Vec<Writer>> {
    fn keep_partly(&mut self, writer: Result<Partial<Option<Writer>>, Error>) {
        let partial = writer.map(|Partial { read, errors }| {
            self.errors.extend(errors);
            read
        });
        self.keep(partial);
    }

    fn keep(&mut self, writer: Result<Option<Writer>, Error>) {
        match writer {
            Ok(writer) => self.read.extend(writer),
            // A process that has ended meanwhile.
            Err(error) if error.is_absent() => {}
            Err(error) => self.errors.push(error),
        }
    }
}

/// Writers' processes.
struct Running(Vec<SystemProcess>);

impl Running {
    fn all<'a>(&'a self, commands: &'a [&str]) -> impl Iterator<Item = &'a SystemProcess> {
        self.0.iter().filter(|process| commands.contains(&process.command.as_str()))
    }

    fn first(&self, command: &str) -> Option<&SystemProcess> {
        self.0.iter().find(|process| process.command.as_str() == command)
    }
}

/// The sysctl of a name, if it is one of tracking's.
fn sysctl(name: &[u8]) -> Option<Sysctl> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

fn running(kind: WriterKind, pid: u32) -> Writer {
    Writer { kind, presence: Presence::Running { pid }, effects: Vec::new() }
}

#[cfg(test)]
mod tests;
