//! A POSIX shell script that makes the changes one after another, says each, and undoes them when it is asked to.

use plimsoll_model::{Reach, Sysctl};

use crate::change::{Dialect, Place, Reasoned, Setting, Target, bypasses, settings};
use crate::nft::{Table, expressible, tables};
use crate::quote::{comment, shell};
use crate::rendered::Rendered;

pub(crate) fn render(changes: &[Reasoned], target: &Target) -> Rendered {
    let mut rendered = Rendered::default();
    let settings = within_reach(changes, target, &mut rendered);
    let policies = expressible(changes, Dialect::Nft, &mut rendered);
    let tables = tables(&policies, changes);
    if settings.is_empty() && tables.is_empty() {
        return rendered;
    }
    let reasons: Vec<_> =
        policies.iter().map(|policy| policy.why).chain(bypasses(changes).map(|bypass| bypass.why)).collect();
    let mut text = head(target);
    text.push_str(FUNCTIONS);
    for Table { name, text: rules, .. } in &tables {
        text.push_str(&format!("\nadd_{name}() {{\n    nft -f - <<'END'\n{rules}END\n}}\n"));
    }
    text.push_str("\ncase ${1:-apply} in\napply)\n");
    text.push_str(&apply(&settings, &tables, &reasons));
    text.push_str("    ;;\nrevert)\n");
    text.push_str(&revert(&settings, &tables));
    text.push_str("    ;;\n*)\n    echo \"usage: sh $0 [apply | revert]\" >&2\n    exit 2\n    ;;\nesac\n");
    rendered.snippet(text)
}

/// A limit of the host's cannot be written in another namespace (EACCES).
fn within_reach<'a>(changes: &'a [Reasoned], target: &Target, rendered: &mut Rendered) -> Vec<Setting<'a>> {
    let mut within = Vec::new();
    for setting in settings(changes) {
        if target.place != Place::Host && setting.sysctl.reach() == Reach::Host {
            rendered.leave_out(
                setting.sysctl,
                "it holds for the whole host, and can be set in the host's own namespace only",
            );
        } else {
            within.push(setting);
        }
    }
    within
}

fn head(target: &Target) -> String {
    let mut text = String::from("#!/bin/sh\n");
    let run = match &target.place {
        Place::Host => "sh FILE".to_string(),
        Place::Other(name) => format!("ip netns exec {} sh FILE", shell(name.as_str())),
    };
    for line in [
        format!(
            "Changes connection tracking, by `{run}`, as root. Nothing is changed unless everything is as it was when the plan \
                 was made."
        ),
        format!("`{run} revert` puts back what was there, except where somebody has set another value since."),
        "What it sets is gone after a boot.".to_string(),
    ] {
        text.push_str(&comment("", &line));
    }
    text
}

fn apply(settings: &[Setting<'_>], tables: &[Table], reasons: &[&str]) -> String {
    let mut text = String::new();
    for setting in settings {
        text.push_str(&format!("    expect {}\n", arguments(setting)));
    }
    if !tables.is_empty() {
        text.push_str("    command -v nft >/dev/null || { echo \"nft is not here: install nftables\" >&2; exit 1; }\n");
    }
    for setting in settings {
        text.push_str(&format!("\n{}    change {}\n", comment("    ", setting.why), arguments(setting)));
    }
    if !tables.is_empty() {
        text.push('\n');
        for why in reasons {
            text.push_str(&comment("    ", why));
        }
    }
    for Table { name, holds, .. } in tables {
        text.push_str(&format!("    echo \"table inet {name}: {holds}\"\n    add_{name}\n"));
    }
    text
}

/// In the opposite order.
fn revert(settings: &[Setting<'_>], tables: &[Table]) -> String {
    let mut text = String::from("    left=0\n");
    for Table { name, .. } in tables.iter().rev() {
        text.push_str(&format!(
            "    if nft list table inet {name} >/dev/null 2>&1; then\n        echo \"table inet {name} goes\"\n        \
             nft delete table inet {name}\n    fi\n"
        ));
    }
    for setting in settings.iter().rev() {
        // Back below what is in the table, new flows would be refused.
        let lowers_capacity =
            setting.sysctl == Sysctl::CAPACITY && setting.from != 0 && (setting.to == 0 || setting.from < setting.to);
        let restore = if lowers_capacity { "restore_capacity" } else { "restore" };
        text.push_str(&format!("    {restore} {}\n", arguments(setting)));
    }
    text.push_str("    exit \"$left\"\n");
    text
}

fn arguments(setting: &Setting<'_>) -> String {
    format!("{} {} {}", setting.sysctl.path(), setting.from, setting.to)
}

const FUNCTIONS: &str = r#"set -eu

value() {
    cat "/proc/sys/$1"
}

# expect NAME FROM TO: stops unless the value is one of the two.
expect() {
    now=$(value "$1")
    case $now in
    "$2" | "$3") ;;
    *)
        echo "$1 is $now; it was $2 when this plan was made. Make a new plan." >&2
        exit 1
        ;;
    esac
}

# change NAME FROM TO
change() {
    if [ "$(value "$1")" = "$3" ]; then
        echo "$1 is $3 already"
        return
    fi
    echo "$1: $2 -> $3"
    echo "$3" >"/proc/sys/$1"
    now=$(value "$1")
    if [ "$now" != "$3" ]; then
        echo "$1 is $now, although $3 was written. To undo what was done: sh $0 revert" >&2
        exit 1
    fi
}

# restore NAME FROM TO: a value that is not the plan's is left as it is.
restore() {
    now=$(value "$1")
    case $now in
    "$2") echo "$1 is $2" ;;
    "$3")
        echo "$1: $3 -> $2"
        echo "$2" >"/proc/sys/$1"
        ;;
    *)
        echo "$1 is $now, which is not this plan's: left as it is" >&2
        left=1
        ;;
    esac
}

# The entries of the fullest namespace that has a process: the limit holds for each. Every line has a namespace's count first,
# in hexadecimal.
most_entries() {
    most=$(value net/netfilter/nf_conntrack_count)
    for stat in /proc/[0-9]*/net/stat/nf_conntrack; do
        entries=$(sed -n '2{s/ .*//;p;q;}' "$stat" 2>/dev/null) || continue
        entries=$((0x${entries:-0}))
        [ "$entries" -le "$most" ] || most=$entries
    done
    echo "$most"
}

# restore_capacity NAME FROM TO: never to less than 1.1 times the entries of the fullest namespace.
restore_capacity() {
    entries=$(most_entries)
    if [ "$2" -lt $((entries * 11 / 10)) ]; then
        echo "$1 stays as it is: back at $2 it would refuse new flows, with $entries entries. Run this again later." >&2
        left=1
        return
    fi
    restore "$@"
}
"#;
