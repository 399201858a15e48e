//! sysctl.d(5).

use plimsoll_model::{ModuleState, OWN_SYSCTL_FILE, Reach, Sysctl};

use crate::change::{Place, Reasoned, Setting, Target, settings};
use crate::quote::comment;
use crate::rendered::Rendered;

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let settings = of_files(changes, target, &mut rendered);
    if settings.is_empty() {
        return rendered;
    }
    let mut text = comment("", "Settings of connection tracking. Take effect at boot, and by `sysctl --system`.");
    if target.module != ModuleState::BuiltIn {
        let late = "These names do not exist until nf_conntrack is loaded: it needs a file of modules-load.d, or a udev \
                    rule, beside this one.";
        text.push_str(&comment("", late));
    }
    for setting in settings {
        text.push_str(&format!("\n{}{}", comment("", setting.why), setting.line()));
    }
    rendered.file(OWN_SYSCTL_FILE, text)
}

/// The settings that files can make: those of the namespace that the host boots with. Others are left out, and policies.
pub(crate) fn of_files<'a>(changes: &'a [Reasoned], target: &Target, rendered: &mut Rendered) -> Vec<Setting<'a>> {
    rendered.leave_out_rules(changes);
    let all = settings(changes);
    let Place::Other(name) = &target.place else { return all.collect() };
    for setting in all {
        if setting.sysctl.reach() == Reach::Host {
            let why =
                "it holds for the whole host, and files set it there: plan for the host's own namespace (--netns host)";
            rendered.leave_out(setting.sysctl, why);
            continue;
        }
        let why = format!(
            "files set it in the host's own namespace only, and {name} begins with what the kernel has compiled in; set it \
             where that namespace is made (docker run --sysctl, a pod's securityContext.sysctls)"
        );
        rendered.leave_out(setting.sysctl, why);
    }
    Vec::new()
}

/// The value that a sysctl is to have, or has.
pub(crate) fn capacity_after(changes: &[Reasoned], target: &Target) -> Option<u32> {
    let planned = settings(changes).filter(|setting| setting.sysctl == Sysctl::CAPACITY).last();
    planned.map(|setting| setting.to).or(target.limits.capacity.map(|capacity| capacity.0))
}
