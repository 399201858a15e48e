//! What a namespace is called.

use std::collections::BTreeMap;

use plimsoll_model::NamedBy;

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
    /// Where it is mounted, if elsewhere.
    pub(crate) mount: Option<Vec<u8>>,
}

impl Names {
    /// The best name: given, `host`, `this` (its own, where that of process 1 may not be seen), the container's short
    /// id, Docker's name for it, where it is mounted, or the tag.
    pub(crate) fn best(self, tag: &str, tag_is: NamedBy) -> (Vec<u8>, NamedBy) {
        let short = |id: Vec<u8>| id.into_iter().take(12).collect();
        let names = [
            (self.given, NamedBy::Given),
            (self.is_host.then(|| b"host".to_vec()), NamedBy::Host),
            (self.is_own.then(|| b"this".to_vec()), NamedBy::This),
            (self.container.map(short), NamedBy::Container),
            (self.sandbox, NamedBy::Docker),
            (self.mount, NamedBy::Mount),
        ];
        let best = names.into_iter().find_map(|(name, named_by)| Some((name?, named_by)));
        best.unwrap_or_else(|| (format!("net:[{tag}]").into_bytes(), tag_is))
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
        let name = |names: Names| {
            let (name, named_by) = names.best("5", NamedBy::Inode);
            (String::from_utf8(name).unwrap(), named_by)
        };
        let is = |name: &str, named_by| (name.to_owned(), named_by);
        let some = |name: &str| Some(name.as_bytes().to_vec());
        let mount = || Names { mount: some("/srv/net"), ..Names::default() };
        let sandbox = || Names { sandbox: some("ingress_sbox"), ..mount() };
        let container = || Names { container: some("0123456789abcdef"), ..sandbox() };
        let own = || Names { is_own: true, ..container() };
        let host = || Names { is_host: true, ..own() };
        assert_eq!(name(Names::default()), is("net:[5]", NamedBy::Inode));
        assert_eq!(name(mount()), is("/srv/net", NamedBy::Mount));
        assert_eq!(name(sandbox()), is("ingress_sbox", NamedBy::Docker));
        assert_eq!(name(container()), is("0123456789ab", NamedBy::Container));
        assert_eq!(name(own()), is("this", NamedBy::This));
        assert_eq!(name(host()), is("host", NamedBy::Host));
        assert_eq!(name(Names { given: some("blue"), ..host() }), is("blue", NamedBy::Given));
    }
}
