//! modprobe.d(5): the one option of the module that a plan may change is the size of its hash.

use plimsoll_model::{ModuleState, Sysctl, TableSize};

use crate::change::{Place, Reasoned, Target, settings, sysctl_line};
use crate::quote::comment;
use crate::rendered::Rendered;
use crate::sysctl_d::capacity_after;

const PATH: &str = "/etc/modprobe.d/90-plimsoll.conf";

/// Not the file that has all settings, which it would replace. That one is read later ('-' sorts before '.') and wins.
const LIMIT_PATH: &str = "/etc/sysctl.d/90-plimsoll-limit.conf";

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let hashsize = hashsize(changes, target, &mut rendered);
    if target.module == ModuleState::BuiltIn {
        if hashsize.is_some() {
            rendered.leave_out(
                Sysctl::BUCKETS,
                "nf_conntrack is built into this kernel, which ignores modprobe.d: use the command line",
            );
        }
        return rendered;
    }
    let Some(hashsize) = hashsize else { return rendered };
    let mut text = comment("", hashsize.why);
    text.push_str(&comment("", &effect_on_capacity(hashsize.size)));
    text.push_str(&format!("options nf_conntrack hashsize={}\n", hashsize.size.buckets));
    and_capacity(rendered.file(PATH, text), changes, target)
}

/// What a hash size makes of the limit as well.
pub(crate) fn effect_on_capacity(size: TableSize) -> String {
    format!(
        "hashsize also sets nf_conntrack_max, to eight times as much: {}. So the limit has to be set afterwards, by sysctl.d; \
         setting the limit leaves the hash alone.",
        size.capacity
    )
}

/// The hash size that a plan asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashsize<'a> {
    pub(crate) size: TableSize,
    pub(crate) why: &'a str,
}

/// The hash size, if the plan has one; whatever else it has is left out.
pub(crate) fn hashsize<'a>(changes: &'a [Reasoned], target: &Target, rendered: &mut Rendered) -> Option<Hashsize<'a>> {
    let mut found = None;
    for setting in settings(changes) {
        if setting.sysctl != Sysctl::BUCKETS {
            rendered.leave_out(setting.sysctl, "it is no option of the module: use sysctl.d");
        } else if target.place != Place::Host {
            rendered.leave_out(setting.sysctl, "there is one hash for all namespaces: set it on the host");
        } else {
            found = TableSize::by_hashsize(setting.to).map(|size| Hashsize { size, why: setting.why });
            if found.is_none() {
                rendered.leave_out(setting.sysctl, "a hash size of this many buckets would make the limit overflow");
            }
        }
    }
    rendered.leave_out_rules(changes);
    found
}

/// Adds a file with the limit as it should be, which the hash size would otherwise change.
pub(crate) fn and_capacity(mut rendered: Rendered, changes: &[Reasoned], target: &Target) -> Rendered {
    let name = Sysctl::CAPACITY.to_string();
    rendered.left_out.retain(|left_out| left_out.what != name);
    let Some(capacity) = capacity_after(changes, target) else {
        rendered.leave_out(name, "what it is now could not be read: set it in sysctl.d, or hashsize decides it");
        return rendered;
    };
    let why = "Read after the module is loaded, this puts the limit back that its hash size has changed.";
    rendered.file(LIMIT_PATH, comment("", why) + &sysctl_line(Sysctl::CAPACITY, capacity))
}
