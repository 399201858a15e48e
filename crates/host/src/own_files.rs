//! Whether the files under the root are those of the machine that boots.

use std::os::unix::fs::MetadataExt;

use crate::{Error, HostFs};

/// The inode of the first pid namespace, the same on every kernel (`PROC_PID_INIT_INO` in `include/linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

impl HostFs {
    /// An error where `/etc` is not what the machine's own process 1 reads: in a container, in a chroot, or where that
    /// may not be looked at.
    pub fn files_are_the_hosts(&self) -> Result<(), Error> {
        let foreign = |problem| Error::NotTheHosts { problem };
        if self.link("/proc/self/ns/pid")? != FIRST_PID_NAMESPACE {
            return Err(foreign("Plimsoll runs in a pid namespace of a container's"));
        }
        if self.link("/proc/self/ns/mnt")? != self.mount_namespace_of_boot()? && !self.folders_are_those_of_boot() {
            return Err(foreign("Plimsoll runs in a mount namespace of a container's"));
        }
        if !self.root_is_that_of_boot()? {
            return Err(foreign("Plimsoll runs under another root folder (chroot)"));
        }
        Ok(())
    }

    /// That of process 1. Where it has rights that Plimsoll lacks it may not be looked at; then that of process 2, the
    /// kernel's own (`kthreadd`), which never leaves the first mount namespace.
    fn mount_namespace_of_boot(&self) -> Result<String, Error> {
        self.link("/proc/1/ns/mnt").or_else(|error| {
            let by_kernel = || self.link("/proc/2/ns/mnt").ok();
            error.is_not_permitted().then(by_kernel).flatten().ok_or(error)
        })
    }

    /// Whether the folders that settings are read from are process 1's, seen through another mount namespace: a service that
    /// systemd confines (`ProtectSystem=`, `PrivateTmp=`) has one, in which the folders are the same.
    fn folders_are_those_of_boot(&self) -> bool {
        const FOLDERS: [&str; 4] = ["/", "/etc", "/run", "/usr"];
        let identity = |path: &str| self.metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        FOLDERS.iter().all(|folder| {
            let own = identity(folder);
            own.is_some() && own == identity(&format!("/proc/1/root{folder}"))
        })
    }

    /// Whether Plimsoll's root is process 1's; where that may not be looked at, whether it is a mount's top, which a
    /// folder made for chroot(2) is not.
    fn root_is_that_of_boot(&self) -> Result<bool, Error> {
        let own = self.metadata("/")?;
        match self.metadata("/proc/1/root") {
            Ok(boot) => Ok((boot.dev(), boot.ino()) == (own.dev(), own.ino())),
            Err(error) if error.is_not_permitted() => {
                let mounts = self.read("/proc/self/mountinfo")?;
                Ok(mounts.lines().any(|line| line.words().nth(4) == Some(b"/")))
            }
            Err(error) => Err(error),
        }
    }

    /// Where a link leads, as it is written.
    fn link(&self, absolute: &str) -> Result<String, Error> {
        let path = self.path(absolute);
        match path.read_link() {
            Ok(target) => Ok(target.to_string_lossy().into_owned()),
            Err(source) => Err(Error::System { action: "look at", path, source }),
        }
    }
}
