//! tuned.conf(5): a profile that includes the active one. Its plugin `sysctl` writes when the profile starts.

use crate::change::{Reasoned, Target};
use crate::quote::comment;
use crate::rendered::Rendered;
use crate::sysctl_d::of_files;

/// Recent versions look for profiles in `/etc/tuned/profiles` first, and here still.
const PATH: &str = "/etc/tuned/plimsoll/tuned.conf";

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let settings = of_files(changes, target, &mut rendered);
    if settings.is_empty() {
        return rendered;
    }
    let mut text = String::new();
    for line in [
        "tuned-adm profile plimsoll makes it the active one.",
        "With reapply_sysctl=1 in /etc/tuned/tuned-main.conf, as it is by default, tuned reads /etc/sysctl.d and /run/sysctl.d after \
         its profile: what they set wins.",
    ] {
        text.push_str(&comment("", line));
    }
    text.push_str("[main]\nsummary=Connection tracking as planned\n");
    text.push_str(&include(target));
    text.push_str("\n[sysctl]\n");
    for setting in settings {
        text.push_str(&format!("{}{}={}\n", comment("", setting.why), setting.sysctl, setting.to));
    }
    rendered.file(PATH, text)
}

/// A name with anything unusual in it is not written where tuned would read it.
fn include(target: &Target) -> String {
    let is_plain = |name: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && name.split_whitespace().all(|word| word.chars().all(plain))
    };
    match target.tuned_profile.as_ref().map(plimsoll_model::Untrusted::as_str).filter(is_plain) {
        // Several are active at once where they are given together; `include` takes them with commas.
        Some(name) => format!("include={}\n", name.split_whitespace().collect::<Vec<_>>().join(",")),
        None => {
            comment("", "include=NAME, the profile that is active now (tuned-adm active), so that it stays in effect")
        }
    }
}
