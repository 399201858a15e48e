//! Which ipsets hold addresses and ports alone.

use std::collections::HashSet;

/// The names of sets of which it is known that they hold nothing but addresses and ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressSets<'a>(HashSet<&'a str>);

impl<'a> AddressSets<'a> {
    /// From what `ipset list -terse` writes: of each set a line `Name: `, and one `Type: ` as `hash:ip,port` (ipset(8)).
    pub(crate) fn of(listed: &'a str) -> Self {
        let mut name = None;
        let mut names = HashSet::new();
        for line in listed.lines() {
            if let Some(is) = line.strip_prefix("Name: ") {
                name = Some(is);
            } else if let Some(kind) = line.strip_prefix("Type: ") {
                names.extend(name.take().filter(|_| holds_addresses(kind)));
            }
        }
        Self(names)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Others hold hardware addresses, devices, marks, or other sets.
fn holds_addresses(kind: &str) -> bool {
    kind.split_once(':').is_some_and(|(_, parts)| parts.split(',').all(|part| matches!(part, "ip" | "net" | "port")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_addresses_are_told_from_others() {
        let kinds =
            ["hash:ip", "hash:net,port,net", "bitmap:port", "hash:mac", "bitmap:ip,mac", "hash:net,iface", "list:set"];
        let listed =
            kinds.map(|kind| format!("Name: of {kind}\nType: {kind}\nRevision: 1\nHeader: family inet\n\n")).concat();
        let sets = AddressSets::of(&listed);
        assert_eq!(kinds.map(|kind| sets.has(&format!("of {kind}"))), [true, true, true, false, false, false, false]);
        assert!(!sets.has("another"));
        assert!(!AddressSets::of("Type: hash:ip\nName: cut").has("cut"));
    }
}
