//! Whether packets are passed on.

use std::ffi::OsString;
use std::io;

use crate::host_fs::read_file;
use crate::{Error, HostFs};

/// Where each device has its settings, and all together.
const DEVICES: &str = "/proc/sys/net/ipv4/conf";

impl HostFs {
    /// Whether the calling thread's namespace forwards IPv4 that comes by any of its devices: each has a setting of its own
    /// (`IN_DEV_FORWARD` in `inetdevice.h`).
    pub fn forwards_ipv4(&self) -> Result<bool, Error> {
        let path = self.path(DEVICES);
        let list = || path.read_dir()?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<OsString>>>();
        let names = list().map_err(|source| Error::System { action: "list", path: path.clone(), source })?;
        for name in names {
            match read_file(path.join(name).join("forwarding")).and_then(|text| text.number::<u32>()) {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                // The device is gone.
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    #[test]
    fn one_device_that_forwards_is_enough() {
        let tree = Tree::new();
        assert!(tree.host().forwards_ipv4().is_err());
        for device in ["all", "default", "eth0", "eth1"] {
            tree.write(&format!("proc/sys/net/ipv4/conf/{device}/forwarding"), "0\n");
        }
        assert!(!tree.host().forwards_ipv4().unwrap());
        tree.write("proc/sys/net/ipv4/conf/eth1/forwarding", "1\n");
        assert!(tree.host().forwards_ipv4().unwrap());
    }
}
