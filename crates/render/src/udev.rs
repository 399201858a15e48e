//! udev(7): the event of a module that is loaded, as sysctl.d(5) advises for names that appear with one.

use crate::change::{Reasoned, Target};
use crate::modules_load_d::{not_needed, prefixes};
use crate::quote::comment;
use crate::rendered::Rendered;

const PATH: &str = "/etc/udev/rules.d/90-plimsoll.rules";

pub(crate) fn render(_changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    if let Some(why) = not_needed(target) {
        rendered.leave_out("nf_conntrack", why);
        return rendered;
    }
    // `module: delay kobject uevent until after module init call`, 5.11.
    let why = "Reads files of sysctl.d again when nf_conntrack is loaded, however late (a firewall or a container runtime may be \
               the first to need it), and after it has been unloaded. Kernels before 5.11 send the event before the names are there: \
               there a file of modules-load.d is the surer way.";
    let rule = format!(
        "ACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nf_conntrack\", RUN+=\"/usr/lib/systemd/systemd-sysctl {}\"\n",
        prefixes()
    );
    rendered.file(PATH, comment("", why) + &rule)
}
