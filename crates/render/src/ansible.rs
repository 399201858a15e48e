//! Tasks for Ansible: `ansible.posix.sysctl`, and `ansible.builtin.copy` for what loads the module.

use plimsoll_model::OWN_SYSCTL_FILE;

use crate::change::{Reasoned, Target};
use crate::in_time;
use crate::quote::{comment, indented, yaml};
use crate::rendered::Rendered;
use crate::sysctl_d::of_files;

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let settings = of_files(changes, target, &mut rendered);
    if settings.is_empty() {
        return rendered;
    }
    let mut text = String::from("---\n");
    text.push_str(&comment("", "Needs the collection ansible.posix, and root (become)."));
    let helpers = in_time(target);
    for file in helpers.files {
        text.push_str(&copied(file.path.unwrap_or_default(), &file.text));
    }
    if !helpers.left_out.iter().any(|left_out| left_out.what == "nf_conntrack") {
        text.push_str("- name: \"nf_conntrack is loaded now\"\n  ansible.builtin.command:\n    argv: [modprobe, nf_conntrack]\n  changed_when: false\n");
    }
    for setting in settings {
        text.push_str(&comment("", setting.why));
        text.push_str(&format!(
            "- name: {}\n  ansible.posix.sysctl:\n    name: {}\n    value: \"{}\"\n    sysctl_file: {OWN_SYSCTL_FILE}\n    \
             sysctl_set: true\n    state: present\n    reload: false\n",
            yaml(&format!("{} is {}", setting.sysctl, setting.to)),
            setting.sysctl,
            setting.to
        ));
    }
    rendered.snippet(text)
}

fn copied(path: &str, contents: &str) -> String {
    format!(
        "- name: {}\n  ansible.builtin.copy:\n    dest: {path}\n    mode: \"0644\"\n    content: |\n{}",
        yaml(&format!("{path} is there")),
        indented("      ", contents)
    )
}
