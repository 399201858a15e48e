//! A unified diff of today against the plan.

use plimsoll_model::Sysctl;

use crate::change::{Reasoned, policies, settings, sysctl_line};
use crate::nft::tables;

/// Today's values as a file of sysctl.d: what the diff is against.
pub fn today(values: &[(Sysctl, u32)]) -> String {
    values.iter().map(|(sysctl, value)| sysctl_line(*sysctl, *value)).collect()
}

/// What a plan makes of today's values, as a unified diff of a file of settings, and of a new one with rules. Both `patch` and
/// `git apply` take it. Empty where the plan changes nothing.
///
/// A value that is not among today's is taken from the plan, which knows what it was.
pub fn diff(changes: &[Reasoned], values: &[(Sysctl, u32)]) -> String {
    let all: Vec<_> = policies(changes).collect();
    let rules: String = tables(&all, changes).into_iter().map(|table| table.text).collect();
    let rules = if rules.is_empty() { rules } else { new_file("plimsoll.nft", &rules) };
    of_settings(changes, values) + &rules
}

fn of_settings(changes: &[Reasoned], values: &[(Sysctl, u32)]) -> String {
    let mut lines: Vec<_> = values.iter().map(|(sysctl, value)| (*sysctl, *value, *value)).collect();
    for setting in settings(changes) {
        match lines.iter_mut().find(|(sysctl, ..)| *sysctl == setting.sysctl) {
            Some((_, _, to)) => *to = setting.to,
            None => lines.push((setting.sysctl, setting.from, setting.to)),
        }
    }
    if lines.iter().all(|(_, from, to)| from == to) {
        return String::new();
    }
    let count = lines.len();
    let mut text = format!("--- a/sysctl.conf\n+++ b/sysctl.conf\n@@ -1,{count} +1,{count} @@\n");
    for (sysctl, from, to) in lines {
        if from == to {
            text.push_str(&format!(" {}", sysctl_line(sysctl, from)));
        } else {
            text.push_str(&format!("-{}+{}", sysctl_line(sysctl, from), sysctl_line(sysctl, to)));
        }
    }
    text
}

fn new_file(name: &str, contents: &str) -> String {
    let added: Vec<_> = contents.lines().map(|line| format!("+{line}\n")).collect();
    format!("--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{} @@\n{}", added.len(), added.concat())
}
