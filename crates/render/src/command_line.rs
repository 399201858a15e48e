//! The kernel's command line (kernel-parameters.txt): the only place for the hash size where the module is built in. modprobe(8)
//! reads it for modules as well, after modprobe.d.

use plimsoll_model::ModuleState;

use crate::change::{Reasoned, Target};
use crate::modprobe_d::{and_capacity, effect_on_capacity, hashsize};
use crate::quote::comment;
use crate::rendered::Rendered;

const GRUB: &str = "/etc/default/grub.d/90-plimsoll.cfg";

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let Some(hashsize) = hashsize(changes, target, &mut rendered) else { return rendered };
    let word = format!("nf_conntrack.hashsize={}", hashsize.size.buckets);
    let mut reasons = comment("", hashsize.why);
    if target.module != ModuleState::BuiltIn {
        reasons.push_str(&comment(
            "",
            "nf_conntrack is a module here, so a file of modprobe.d would do as well; modprobe takes this one.",
        ));
    }
    reasons.push_str(&comment("", &effect_on_capacity(hashsize.size)));
    let both = rendered.file(GRUB, grub(&reasons, &word)).snippet(systemd_boot(&reasons, &word));
    and_capacity(both, changes, target)
}

/// Debian's and Ubuntu's grub-mkconfig reads the folder after `/etc/default/grub`; Red Hat's entries are written by grubby(8).
fn grub(reasons: &str, word: &str) -> String {
    let how = comment("", "GRUB: then run update-grub (Debian, Ubuntu). Elsewhere, instead of this file:");
    let grubby = comment("", &format!("grubby --update-kernel=ALL --args={word}"));
    format!("{reasons}{how}{grubby}GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {word}\"\n")
}

/// `/etc/kernel/cmdline` is the whole command line of entries to come (kernel-install(8)); entries that are there already have
/// theirs in a line `options`.
fn systemd_boot(reasons: &str, word: &str) -> String {
    let how = comment(
        "",
        "systemd-boot: commands that add the word for kernels to come, and write the running one's entry anew.",
    );
    let entry = comment(
        "",
        "Or in the entry itself, /boot/loader/entries/NAME.conf (or /efi/…), at the end of its line `options`.",
    );
    format!(
        "{reasons}{how}{entry}\
         if [ ! -e /etc/kernel/cmdline ]; then\n    \
             tr ' ' '\\n' </proc/cmdline | grep -v -e '^BOOT_IMAGE=' -e '^initrd=' | tr '\\n' ' ' >/etc/kernel/cmdline\n\
         fi\n\
         grep -qw {word} /etc/kernel/cmdline || sed -i '1s/$/ {word}/' /etc/kernel/cmdline\n\
         kernel-install add \"$(uname -r)\" \"/lib/modules/$(uname -r)/vmlinuz\"\n"
    )
}
