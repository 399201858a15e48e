//! Which boot of the machine this is.

use std::fmt;

use crate::{Error, HostFs};

/// A number that is drawn anew at each boot (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootId(String);

impl HostFs {
    /// This boot's.
    pub fn boot_id(&self) -> Result<BootId, Error> {
        let text = self.read("/proc/sys/kernel/random/boot_id")?;
        let is_uuid = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
        match std::str::from_utf8(text.bytes()) {
            Ok(id) if !id.is_empty() && id.bytes().all(|byte| is_uuid(&byte)) => Ok(BootId(id.to_owned())),
            _ => Err(text.error("is no UUID")),
        }
    }
}

impl BootId {
    /// As the kernel writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    #[test]
    fn only_a_uuid_is_a_boot() {
        let tree = Tree::new();
        let file = "proc/sys/kernel/random/boot_id";
        tree.write(file, "0a1b2c3d-0000-4000-8000-00000000000f\n");
        assert_eq!(tree.host().boot_id().unwrap().as_str(), "0a1b2c3d-0000-4000-8000-00000000000f");
        for hostile in ["", "\n", "\u{1b}[2J\n", "a b\n"] {
            tree.write(file, hostile);
            assert!(tree.host().boot_id().is_err(), "{hostile:?}");
        }
    }
}
