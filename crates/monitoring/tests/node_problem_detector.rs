//! The plugin for node-problem-detector, with a `plimsoll` that answers as it is told; and the monitor that runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plimsoll_monitoring::Kind;
use serde_json::Value;
use support::{file, folder, objects, succeeds, text};

/// The plugin's exit code and what it writes, with nothing on the PATH but what is in a folder.
fn plugin(arguments: &[&str], path: &Path) -> (Option<i32>, String) {
    let output = Command::new("/bin/sh")
        .arg(file(Kind::NodeProblemDetectorPlugin))
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A folder with a `plimsoll` that writes its arguments and ends with a code.
fn with_plimsoll(code: i32) -> std::path::PathBuf {
    let folder = folder(&format!("plugin-{code}"));
    let program = folder.join("plimsoll");
    fs::write(&program, format!("#!/bin/sh\necho \"SAID $*\"\nexit {code}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn codes_are_those_of_node_problem_detector() {
    const SAID: &str = "SAID check --quiet --color never --timeout 10\n";
    // What plimsoll answers, and what the plugin answers where a warning, or only what is critical, is a problem.
    for (code, warning, critical) in [(0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 2, 2)] {
        let path = with_plimsoll(code);
        assert_eq!(plugin(&["warning"], &path), (Some(warning), SAID.to_string()), "{code}");
        assert_eq!(plugin(&["critical"], &path), (Some(critical), SAID.to_string()), "{code}");
    }
}

#[test]
fn what_goes_wrong_is_not_known_and_is_said() {
    let (code, said) = plugin(&["critical"], &with_plimsoll(139));
    assert_eq!(code, Some(2));
    assert!(said.starts_with("plimsoll check ended with 139: SAID"), "{said}");

    let (code, said) = plugin(&["critical"], &folder("plugin-without"));
    assert_eq!(code, Some(2));
    assert!(said.starts_with("plimsoll check ended with 127: ") && said.contains("plimsoll"), "{said}");

    for arguments in [&[][..], &["both"][..]] {
        let (code, said) = plugin(arguments, &with_plimsoll(0));
        assert_eq!((code, said.as_str()), (Some(2), "usage: plimsoll-check warning|critical\n"));
    }
}

#[test]
fn shellcheck_finds_nothing() {
    succeeds("shellcheck", &[&file(Kind::NodeProblemDetectorPlugin).display().to_string()], Path::new("/"));
    let mode = fs::metadata(file(Kind::NodeProblemDetectorPlugin)).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "it cannot be run");
}

#[test]
fn the_monitor_runs_the_plugin_and_knows_its_conditions() {
    let monitor: Value = serde_json::from_str(Kind::NodeProblemDetector.text()).unwrap();
    assert_eq!(text(&monitor, "plugin"), "custom");
    let longest = secs(text(monitor.get("pluginConfig").unwrap(), "timeout"));
    let conditions: Vec<_> = objects(&monitor, "conditions").iter().map(|condition| text(condition, "type")).collect();
    let rules = objects(&monitor, "rules");
    assert_eq!(rules.len(), 2);
    for rule in rules {
        assert_eq!(text(rule, "type"), "permanent");
        assert!(conditions.contains(&text(rule, "condition")), "{rule}");
        assert!(secs(text(rule, "timeout")) <= longest, "{rule}");
        assert!(text(rule, "path").ends_with("/plimsoll-check"), "{rule}");
        let arguments: Vec<_> = objects(rule, "args").iter().map(|argument| argument.as_str().unwrap()).collect();
        assert_eq!(plugin(&arguments, &with_plimsoll(0)).0, Some(0), "{rule}");
    }
}

fn secs(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())
}
