//! modules-load.d(5): systemd-sysctl.service comes after systemd-modules-load.service.

use plimsoll_model::{ModuleState, Sysctl};

use crate::change::{Place, Reasoned, Target};
use crate::quote::comment;
use crate::rendered::Rendered;

const PATH: &str = "/etc/modules-load.d/90-plimsoll.conf";

pub(crate) fn render(_changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    if let Some(why) = not_needed(target) {
        rendered.leave_out("nf_conntrack", why);
        return rendered;
    }
    let why = "Loads connection tracking before files of sysctl.d are read: until then its names do not exist, and settings for \
               them are passed over.";
    rendered.file(PATH, comment("", why) + "nf_conntrack\n")
}

/// Why nothing has to see to it that the module is there, if so.
pub(crate) fn not_needed(target: &Target) -> Option<&'static str> {
    match (&target.place, target.module) {
        (Place::Other(_), _) => Some("files set nothing in this namespace, whenever the module is loaded"),
        (Place::Host, ModuleState::BuiltIn) => Some("it is built into this kernel: its names exist from the beginning"),
        (Place::Host, _) => None,
    }
}

/// The folder of names that appear with the module, as `systemd-sysctl --prefix` takes it, and the limit's older name.
pub(crate) fn prefixes() -> String {
    let folder = Sysctl::CAPACITY.path();
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("--prefix=/{folder} --prefix=/net/nf_conntrack_max")
}
