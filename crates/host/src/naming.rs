//! What a namespace is called.

use std::collections::BTreeMap;

/// What is known of a namespace that it could be called by; names are bytes as they came.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Under `/run/netns`.
    pub(crate) given: Option<Vec<u8>>,
    /// Whether it is the host's own.
    pub(crate) is_host: bool,
    /// Whether it is the one that Plimsoll runs in.
    pub(crate) is_own: bool,
    /// The id of its oldest process's container.
    pub(crate) container: Option<Vec<u8>>,
    /// Under `/run/docker/netns`.
    pub(crate) sandbox: Option<Vec<u8>>,
}

impl Names {
    /// The best name: given, `host`, `this` (its own, where that of process 1 may not be seen), the container's short
    /// id, Docker's name for it, or the tag.
    pub(crate) fn best(self, tag: &str) -> Vec<u8> {
        self.given
            .or_else(|| self.is_host.then(|| b"host".to_vec()))
            .or_else(|| self.is_own.then(|| b"this".to_vec()))
            .or_else(|| self.container.map(|id| id.into_iter().take(12).collect()))
            .or(self.sandbox)
            .unwrap_or_else(|| format!("net:[{tag}]").into_bytes())
    }
}

/// A namespace's name and what no two namespaces share: the inode, or a process.
#[derive(Debug)]
pub(crate) struct Tagged {
    pub(crate) tag: String,
    pub(crate) name: Vec<u8>,
}

/// Adds the tag to every name that more than one namespace has, until no two are the same. None keeps the bare name:
/// who is meant by it could not be told.
pub(crate) fn make_unique<'a>(names: impl Iterator<Item = &'a mut Tagged>) {
    let mut names: Vec<_> = names.collect();
    loop {
        let mut uses: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for Tagged { name, .. } in &names {
            *uses.entry(name.clone()).or_default() += 1;
        }
        let mut is_unique = true;
        for Tagged { tag, name } in &mut names {
            if uses.get(name).is_some_and(|uses| *uses > 1) {
                is_unique = false;
                name.extend(format!(" [{tag}]").bytes());
            }
        }
        if is_unique {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unique(names: &[(&str, &str)]) -> Vec<String> {
        let tagged = |(tag, name): &(&str, &str)| Tagged { tag: (*tag).to_owned(), name: name.as_bytes().to_vec() };
        let mut names: Vec<_> = names.iter().map(tagged).collect();
        make_unique(names.iter_mut());
        names.into_iter().map(|tagged| String::from_utf8(tagged.name).unwrap()).collect()
    }

    #[test]
    fn shared_names_get_their_tag_even_if_another_already_looks_like_that() {
        assert_eq!(unique(&[("1", "a"), ("2", "b")]), ["a", "b"]);
        let hosts = [("1", "host"), ("process 2", "host"), ("3", "b")];
        assert_eq!(unique(&hosts), ["host [1]", "host [process 2]", "b"]);
        assert_eq!(unique(&[("1", "x"), ("2", "x"), ("3", "x [1]")]), ["x [1] [1]", "x [2]", "x [1] [3]"]);
    }

    #[test]
    fn the_best_name_wins() {
        let name = |names: Names| String::from_utf8(names.best("5")).unwrap();
        let some = |name: &str| Some(name.as_bytes().to_vec());
        let sandbox = || Names { sandbox: some("ingress_sbox"), ..Names::default() };
        let container = || Names { container: some("0123456789abcdef"), ..sandbox() };
        let own = || Names { is_own: true, ..container() };
        let host = || Names { is_host: true, ..own() };
        assert_eq!(name(Names::default()), "net:[5]");
        assert_eq!(name(sandbox()), "ingress_sbox");
        assert_eq!(name(container()), "0123456789ab");
        assert_eq!(name(own()), "this");
        assert_eq!(name(host()), "host");
        assert_eq!(name(Names { given: some("blue"), ..host() }), "blue");
    }
}
