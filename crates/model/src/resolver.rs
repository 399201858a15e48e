//! How a program's look-ups of names become queries.

/// What a program's resolver is told (resolv.conf(5)), as far as it multiplies queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// A name with fewer dots is looked up in the search domains first.
    pub ndots: u8,
    /// Domains that are searched.
    pub search: u8,
}

impl Resolver {
    /// How many names are asked for to look up one, at most: in each search domain, and as it is. Only names within a domain have no
    /// dot, so one that `ndots` 1 has searched for is looked up once where it is.
    pub const fn names_asked(self) -> u32 {
        if self.ndots > 1 { self.search as u32 + 1 } else { 1 }
    }
}
