//! The machine: its name, kernel and memory.

use plimsoll_model::{Host, Untrusted};

use crate::text::Text;
use crate::{Error, HostFs, Partial};

impl HostFs {
    /// Name, kernel release and RAM, as far as they may be read.
    pub fn host(&self) -> Partial<Host> {
        let mut errors = Vec::new();
        let memory = kept(self.read("/proc/meminfo"), &mut errors);
        let mut bytes_of = |name| kept(memory_bytes(memory.as_ref()?, name), &mut errors);
        let (ram_bytes, available_bytes) = (bytes_of("MemTotal:"), bytes_of("MemAvailable:"));
        let mut text_of = |path| kept(self.read(path), &mut errors).map(|text| Untrusted::from_bytes(text.bytes()));
        let (name, kernel) = (text_of("/proc/sys/kernel/hostname"), text_of("/proc/sys/kernel/osrelease"));
        Partial { read: Host { name, kernel, ram_bytes, available_bytes }, errors }
    }
}

fn kept<T>(result: Result<T, Error>, errors: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

/// `/proc/meminfo` has a name, a number and "kB", which is 1024 bytes, a line (`fs/proc/meminfo.c`).
fn memory_bytes(text: &Text, name: &'static str) -> Result<u64, Error> {
    let line = text.lines().find(|line| line.words().next() == Some(name.as_bytes()));
    let line = line.ok_or_else(|| text.error("lacks MemTotal or MemAvailable"))?;
    let [_, number, b"kB"] = line.words().collect::<Vec<_>>()[..] else {
        return Err(line.error(line.bytes(), "is not a number of kB"));
    };
    line.number::<u64>(number)?.checked_mul(1024).ok_or_else(|| line.error(number, "is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    #[test]
    fn a_machine_is_read() {
        let Partial { read, errors } = fixture("kernel-6.18").host();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(read.name, Some(Untrusted::from("vm")));
        assert_eq!(read.kernel, Some(Untrusted::from("6.18.44-fc-v669")));
        assert_eq!(read.ram_bytes, Some(24_684_084 * 1024));
        assert_eq!(read.available_bytes, Some(24_360_252 * 1024));
    }

    #[test]
    fn each_thing_that_is_missing_is_one_error() {
        let tree = Tree::new();
        let Partial { read, errors } = tree.host().host();
        assert_eq!(read, Host::default());
        assert_eq!(errors.len(), 3, "meminfo once, hostname, osrelease");

        tree.write("proc/meminfo", "MemTotal: 18446744073709551615 kB\nMemAvailable: 12\n");
        tree.write("proc/sys/kernel/hostname", b"a\xff\x1b\n");
        tree.write("proc/sys/kernel/osrelease", "6.1\n");
        let Partial { read, errors } = tree.host().host();
        assert_eq!(read.name.unwrap().as_str(), "a\\xff\\u{1b}");
        assert_eq!((read.ram_bytes, read.available_bytes), (None, None));
        assert_eq!(errors.len(), 2);
    }
}
