//! How many processors are at work.

use crate::{Error, HostFs};

impl HostFs {
    /// Processors that are online: ranges and numbers with commas between (`Documentation/admin-guide/cputopology.rst`).
    pub(crate) fn online_processors(&self) -> Result<u32, Error> {
        let text = self.read("/sys/devices/system/cpu/online")?;
        let list = std::str::from_utf8(text.bytes().trim_ascii()).unwrap_or_default();
        list.split(',')
            .try_fold(0_u32, |sum, range| sum.checked_add(length(range)?))
            .filter(|sum| *sum > 0)
            .ok_or_else(|| text.error("is not a list of processors"))
    }
}

fn length(range: &str) -> Option<u32> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    #[test]
    fn ranges_and_numbers_are_counted() {
        let count = |text: &str| {
            let tree = Tree::new();
            tree.write("sys/devices/system/cpu/online", text);
            tree.host().online_processors().ok()
        };
        assert_eq!((count("0\n"), count("0-3\n"), count("0-1,4,8-15\n")), (Some(1), Some(4), Some(11)));
        for hostile in ["", "\n", "x", "3-1", "0-4294967295", "0-4294967294,1", "1-", "\u{ff}"] {
            assert_eq!(count(hostile), None, "{hostile:?}");
        }
    }
}
