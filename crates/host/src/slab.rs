//! The slab cache that entries are made of.

use plimsoll_model::Slab;

use crate::columns::Columns;
use crate::text::Text;
use crate::{Error, HostFs};

impl HostFs {
    /// Size and number of the objects of cache `nf_conntrack`, from `/proc/slabinfo` or, where that is not to be had or
    /// does not list it, from `/sys/kernel/slab`; both are root's alone. It is never merged with another cache
    /// (`SLAB_TYPESAFE_BY_RCU` forbids it: `mm/slab_common.c`). Old kernels have a cache for each namespace,
    /// `nf_conntrack_<hexadecimal>`: those are summed.
    pub fn slab(&self) -> Result<Slab, Error> {
        let from_proc = self.read("/proc/slabinfo").and_then(|text| from_slabinfo(&text));
        match from_proc {
            Ok(Some(slab)) => Ok(slab),
            Ok(None) => self.slab_from_sysfs(),
            Err(error) => self.slab_from_sysfs().map_err(|_| error),
        }
    }

    /// `slab_size` is what an object takes, padding included, as `objsize` of slabinfo is.
    fn slab_from_sysfs(&self) -> Result<Slab, Error> {
        let object_bytes = self.read("/sys/kernel/slab/nf_conntrack/slab_size")?.number()?;
        let objects = self.read("/sys/kernel/slab/nf_conntrack/objects")?;
        // The total, followed by the share of each NUMA node: "520 N0=320 N1=200".
        let total = objects.lines().next().and_then(|line| Some((line, line.words().next()?)));
        let (line, word) = total.ok_or_else(|| objects.error("is empty"))?;
        Ok(Slab { object_bytes, objects_in_use: line.number(word)? })
    }
}

fn from_slabinfo(text: &Text) -> Result<Option<Slab>, Error> {
    let mut lines = text.lines();
    let header = lines.find(|line| line.bytes().starts_with(b"# name "));
    let header = header.ok_or_else(|| text.error("has no line that begins with # name"))?;
    let columns = Columns::new(header.words().skip(1));
    let mut sum: Option<Slab> = None;
    for line in lines.filter(|line| line.words().next().is_some_and(holds_entries)) {
        let row = columns.row(line)?;
        let (object_bytes, objects) = (row.number("<objsize>")?, row.number("<active_objs>")?);
        let before = sum.map_or(0, |slab| slab.objects_in_use);
        let objects_in_use = before.checked_add(objects).ok_or_else(|| text.error("counts too many objects"))?;
        // The caches of all namespaces are made alike.
        sum = Some(Slab { object_bytes, objects_in_use });
    }
    Ok(sum)
}

/// `nf_conntrack_expect` is the expectations' own.
fn holds_entries(cache: &[u8]) -> bool {
    match cache.strip_prefix(b"nf_conntrack") {
        Some([]) => true,
        Some([b'_', number @ ..]) => !number.is_empty() && number.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    const INFO: &str = "proc/slabinfo";
    const HEADER: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize>\n";

    #[test]
    fn the_cache_is_found_by_name_and_its_columns_too() {
        let slab = fixture("kernel-6.18").slab().unwrap();
        assert_eq!(slab, Slab { object_bytes: 256, objects_in_use: 96 });
        let tree = Tree::new();
        tree.write(INFO, "# name <objsize> : <active_objs>\nnf_conntrack 320 : 12\n");
        assert_eq!(tree.host().slab().unwrap(), Slab { object_bytes: 320, objects_in_use: 12 });
    }

    #[test]
    fn caches_of_old_kernels_are_summed_and_the_expectations_cache_is_left_out() {
        let tree = Tree::new();
        let caches = "nf_conntrack_expect 7 7 240\nnf_conntrack_1 10 16 320\nnf_conntrack_ffff880037b2c000 5 16 320\n";
        tree.write(INFO, format!("{HEADER}{caches}"));
        assert_eq!(tree.host().slab().unwrap(), Slab { object_bytes: 320, objects_in_use: 15 });
    }

    #[test]
    fn sysfs_stands_in_for_slabinfo() {
        let tree = Tree::new();
        tree.write("sys/kernel/slab/nf_conntrack/slab_size", "256\n");
        tree.write("sys/kernel/slab/nf_conntrack/objects", "520 N0=320 N1=200\n");
        let slab = Slab { object_bytes: 256, objects_in_use: 520 };
        assert_eq!(tree.host().slab().unwrap(), slab);
        tree.write(INFO, HEADER);
        assert_eq!(tree.host().slab().unwrap(), slab);
    }

    #[test]
    fn hostile_content_is_an_error() {
        let tree = Tree::new();
        assert!(tree.host().slab().unwrap_err().is_absent());
        let two = "nf_conntrack_1 18446744073709551615 1 1\nnf_conntrack_2 1 1 1\n";
        for hostile in ["", "nf_conntrack 1 2 3\n", &format!("{HEADER}nf_conntrack 1 2\n"), &format!("{HEADER}{two}")] {
            tree.write(INFO, hostile);
            assert!(tree.host().slab().is_err(), "{hostile:?}");
        }
        tree.write(INFO, HEADER);
        tree.write("sys/kernel/slab/nf_conntrack/slab_size", "256\n");
        tree.write("sys/kernel/slab/nf_conntrack/objects", " \n");
        assert!(tree.host().slab().is_err());
    }
}
