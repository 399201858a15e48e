//! Capabilities: capabilities(7).

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set,
    set_capabilities,
};

use crate::error::Error;
use crate::report::Held;

/// Whether programs that are started can get no others back. As root they would, from the bounding set.
#[derive(Clone, Copy)]
pub(crate) enum Bounding {
    Dropped,
    /// It takes `CAP_SETPCAP`.
    Left,
}

/// Takes from the bounding set what is not kept.
pub(crate) fn bound(keep: CapabilitySet) -> Bounding {
    let surplus = all().filter(|one| !keep.contains(*one));
    // Beyond the last that the kernel knows it answers with an error, and there is nothing to drop.
    let in_set = surplus.filter(|one| capability_is_in_bounding_set(*one).unwrap_or(false));
    let left = in_set.filter(|one| remove_capability_from_bounding_set(*one).is_err()).count();
    if left == 0 { Bounding::Dropped } else { Bounding::Left }
}

/// Gives up what is not kept.
pub(crate) fn keep(keep: CapabilitySet, bounding: Bounding) -> Result<Held, Error> {
    let system = |action| move |answer| Error::System { action, answer };
    let had = capabilities(None).map_err(system("read this process's capabilities"))?.permitted;
    let kept = had & keep;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(system("give up capabilities"))?;
    let missing = keep - had;
    Ok(match bounding {
        _ if !missing.is_empty() => Held::Partly(format!("it never had {}", names(missing))),
        Bounding::Dropped => Held::Wholly,
        Bounding::Left => Held::Partly(
            "the bounding set needs CAP_SETPCAP; no_new_privs keeps programs that it starts from using it".to_owned(),
        ),
    })
}

fn all() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number))
}

fn names(set: CapabilitySet) -> String {
    let names: Vec<String> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(", ")
}
