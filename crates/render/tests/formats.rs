//! Every format, as it is approved (`tests/snapshots`; with `UPDATE_SNAPSHOTS` set they are written anew), and as the programs
//! take it that read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;
#[path = "../../twin/src/testing.rs"]
mod testing;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use plimsoll_model::{Edit, Limits, ModuleState, OWN_SYSCTL_FILE, Sysctl, TcpState, Timeout};
use plimsoll_render::{Format, Place, Rendered, Target, diff, lasting, render, today};
use support::{host, namespaced, plan, policies, setting, timeout};

/// Runs a program on a text.
fn fed(command: &mut Command, text: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn is_taken(command: &mut Command, text: &str) -> String {
    let output = fed(command, text);
    let told = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {told}\n{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a format cannot say.
fn left_out(rendered: &Rendered) -> Vec<&str> {
    rendered.left_out.iter().map(|left_out| left_out.what.as_str()).collect()
}

#[test]
fn formats_are_as_approved() {
    for format in Format::ALL {
        testing::is_as_in(&format!("{format}.txt"), &render(*format, &plan(), &host()).to_string());
    }
    testing::is_as_in("lasting.txt", &lasting(&plan(), &host()).to_string());
}

#[test]
fn a_name_is_read_back() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(*format));
    }
    assert!("nginx".parse::<Format>().unwrap_err().to_string().contains("sysctl.d, modprobe.d"));
}

#[test]
fn no_change_is_lost_in_silence() {
    let plan = plan();
    for format in Format::ALL {
        let rendered = render(*format, &plan, &host());
        let text: Vec<_> = rendered.files.iter().map(|file| file.text.as_str()).collect();
        let text = text.concat();
        for change in &plan {
            let is_reasoned = text.contains(&change.why[..10]);
            let (what, is_said) = match &change.edit {
                Edit::Sysctl { sysctl, to, .. } => {
                    (sysctl.to_string(), is_reasoned || text.contains(&format!("{sysctl} = {to}\n")))
                }
                Edit::Policy(policy) => {
                    (format!("timeouts of {} port {}", policy.protocol.name(), policy.port), is_reasoned)
                }
                Edit::Bypass(bypass) => (bypass.to_string(), is_reasoned),
                Edit::Shield(_) | Edit::XdpStage(_) => unreachable!("no plan holds one"),
            };
            let loads_only = matches!(format, Format::ModulesLoadD | Format::Udev);
            assert!(
                is_said != left_out(&rendered).contains(&what.as_str()) || loads_only,
                "{format}: {what}\n{rendered}"
            );
        }
    }
}

#[test]
fn scripts_are_shell_and_shellcheck_has_nothing_to_say() {
    let places = [host(), Target { place: Place::Other("it's $(a) namespace".into()), ..host() }];
    for target in &places {
        for changes in [plan(), namespaced(), policies()] {
            for format in [Format::Script, Format::Iptables] {
                for file in render(format, &changes, target).files {
                    is_taken(Command::new("sh").args(["-n", "/dev/stdin"]), &file.text);
                    is_taken(Command::new("shellcheck").args(["--shell=sh", "-"]), &file.text);
                }
            }
        }
    }
    let systemd_boot = &render(Format::CommandLine, &plan(), &host()).files[1].text;
    is_taken(Command::new("shellcheck").args(["--shell=sh", "-"]), systemd_boot);
}

/// Reads YAML, and writes what it read as JSON.
fn parsed(yaml: &str) -> String {
    let program = "import sys, json, yaml; print(json.dumps(yaml.safe_load(sys.stdin), sort_keys=True))";
    is_taken(Command::new("/usr/bin/python3").args(["-c", program]), yaml)
}

#[test]
fn yaml_says_what_it_should() {
    let text = |format| render(format, &plan(), &host()).to_string();
    let kube_proxy = parsed(&text(Format::KubeProxy));
    for said in [
        r#""kind": "KubeProxyConfiguration""#,
        r#""maxPerCore": 1, "min": 524288"#,
        r#""tcpBeLiberal": true"#,
        r#""tcpEstablishedTimeout": "3600s""#,
        r#""udpStreamTimeout": "60s""#,
    ] {
        assert!(kube_proxy.contains(said), "{kube_proxy}");
    }
    let ansible = parsed(&text(Format::Ansible));
    assert!(ansible.contains(r#""name": "net.netfilter.nf_conntrack_max", "reload": false, "state": "present", "sysctl_file": "/etc/sysctl.d/90-plimsoll.conf", "sysctl_set": true, "value": "524288""#), "{ansible}");
    assert!(ansible.contains(r#"KERNEL==\"nf_conntrack\", RUN+="#), "{ansible}");
    let daemon_set = parsed(&text(Format::DaemonSet));
    assert!(
        daemon_set.contains(r#""hostNetwork": true"#)
            && daemon_set.contains(r"echo 524288 >/proc/sys/net/netfilter/nf_conntrack_max"),
        "{daemon_set}"
    );
}

#[test]
fn what_is_built_in_is_loaded_by_nothing() {
    let built_in = Target { module: ModuleState::BuiltIn, ..host() };
    for format in [Format::ModulesLoadD, Format::Udev, Format::ModprobeD] {
        let rendered = render(format, &plan(), &built_in);
        assert_eq!(rendered.files, [], "{format}");
        assert!(rendered.to_string().contains("built into this kernel"), "{rendered}");
    }
    let paths: Vec<_> = lasting(&plan(), &built_in).files.into_iter().map(|file| file.path).collect();
    assert_eq!(paths, [Some(OWN_SYSCTL_FILE)]);
    let command_line = render(Format::CommandLine, &plan(), &built_in);
    assert!(
        command_line.files[0]
            .text
            .ends_with("\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX nf_conntrack.hashsize=262144\"\n")
    );
}

#[test]
fn a_hash_size_comes_with_a_limit() {
    let buckets = [setting(Sysctl::BUCKETS, 65_536, 262_144, "x")];
    let rendered = render(Format::ModprobeD, &buckets, &host());
    assert!(rendered.files[0].text.contains("2097152"), "eight times as much: {rendered}");
    assert_eq!(
        rendered.files[1].path,
        Some("/etc/sysctl.d/90-plimsoll-limit.conf"),
        "not the one that has all settings"
    );
    assert!(rendered.files[1].text.ends_with("\nnet.netfilter.nf_conntrack_max = 262144\n"), "today's: {rendered}");
    let unread = Target { limits: Limits::default(), ..host() };
    assert_eq!(left_out(&render(Format::ModprobeD, &buckets, &unread)), ["net.netfilter.nf_conntrack_max"]);
    let hostile = [setting(Sysctl::BUCKETS, 65_536, 1_000_000_000, "x")];
    assert_eq!(left_out(&render(Format::ModprobeD, &hostile, &host())), ["net.netfilter.nf_conntrack_buckets"]);
}

#[test]
fn another_namespace_is_reached_by_a_script_only() {
    let target = Target { place: Place::Other("blue".into()), ..host() };
    for format in [Format::SysctlD, Format::Ansible, Format::KubeProxy, Format::DaemonSet, Format::Tuned] {
        let rendered = render(format, &namespaced(), &target);
        assert_eq!((&rendered.files[..], rendered.left_out.len()), (&[][..], namespaced().len()), "{format}");
    }
    let files = render(Format::SysctlD, &plan(), &target).to_string();
    let files = files.split_whitespace().collect::<Vec<_>>().join(" ").replace(" # ", " ");
    assert!(files.contains("nf_conntrack_max: it holds for the whole host"), "{files}");
    let script = render(Format::Script, &plan(), &target);
    assert_eq!(left_out(&script), ["net.netfilter.nf_conntrack_buckets", "net.netfilter.nf_conntrack_max"]);
    assert!(script.to_string().contains("`ip netns exec blue sh FILE`"), "{script}");
}

#[test]
fn kube_proxy_is_not_told_what_it_takes_for_something_else() {
    let close_wait = timeout(Timeout::Tcp(TcpState::CloseWait));
    let unsayable = [
        setting(Sysctl::CAPACITY, 1, 0, "x"),
        setting(Sysctl::CAPACITY, 1, u32::MAX, "x"),
        setting(close_wait, 60, 0, "x"),
        setting(Sysctl::TCP_BE_LIBERAL, 1, 0, "x"),
        setting(timeout(Timeout::Tcp(TcpState::TimeWait)), 120, 30, "x"),
    ];
    let rendered = render(Format::KubeProxy, &unsayable, &host());
    assert_eq!((rendered.files.len(), rendered.left_out.len()), (0, 5), "{rendered}");
}

#[test]
fn reasons_stay_comments_whatever_they_say() {
    let hostile = "x\nnet.ipv4.ip_forward = 1\rEND\n'\"$(reboot)`reboot`\n---\n- name: evil\n[sysctl]\n*/";
    let mut changes = plan();
    for change in &mut changes {
        change.why = hostile.to_string();
    }
    for format in Format::ALL {
        let text = render(*format, &changes, &host()).to_string();
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        let others: Vec<_> = text.lines().filter(|line| !is_comment(line) && line.contains("reboot")).collect();
        assert!(others.is_empty() && !text.contains('\r'), "{format}: {others:?}");
    }
    is_taken(
        Command::new("shellcheck").args(["--shell=sh", "-"]),
        &render(Format::Script, &changes, &host()).files[0].text,
    );
    parsed(&render(Format::Ansible, &changes, &host()).to_string());
    parsed(&render(Format::DaemonSet, &changes, &host()).to_string());
    let odd = Target { tuned_profile: Some("a\n[sysctl]".into()), ..host() };
    assert!(!render(Format::Tuned, &changes, &odd).to_string().contains("\ninclude"));
}

#[test]
fn a_diff_is_taken_by_patch_and_by_git() {
    let values = [
        (Sysctl::CAPACITY, 262_144),
        (Sysctl::TCP_LOOSE, 1),
        (timeout(Timeout::Tcp(TcpState::TimeWait)), 120),
        (timeout(Timeout::Udp), 30),
    ];
    let text = diff(&plan(), &values);
    testing::is_as_in("diff.txt", &text);
    assert!(text.contains("\n-net.netfilter.nf_conntrack_max = 262144\n+net.netfilter.nf_conntrack_max = 524288\n net.netfilter.nf_conntrack_tcp_loose = 1\n"));

    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    // Values that are not known today are the plan's own.
    let mut before = today(&values);
    for (sysctl, value) in [
        (Sysctl::BUCKETS, 65_536),
        (timeout(Timeout::Tcp(TcpState::Established)), 432_000),
        (timeout(Timeout::UdpStream), 120),
        (Sysctl::TCP_BE_LIBERAL, 0),
        (Sysctl::SYNCOOKIES, 0),
    ] {
        before.push_str(&today(&[(sysctl, value)]));
    }
    std::fs::write(folder.path().join("sysctl.conf"), &before).unwrap();
    is_taken(Command::new("git").args(["apply", "--check", "-"]).current_dir(&folder), &text);
    is_taken(Command::new("patch").args(["-p1", "--dry-run"]).current_dir(&folder), &text);
    is_taken(Command::new("patch").arg("-p1").current_dir(&folder), &text);
    assert!(read("sysctl.conf").contains("nf_conntrack_buckets = 262144\n"));
    assert!(read("plimsoll.nft").contains("ct timeout udp_53"));

    assert_eq!(diff(&[], &values), "");
    assert_eq!(diff(&[setting(Sysctl::CAPACITY, 262_144, 262_144, "x")], &values), "");
}

#[test]
fn boot_loaders_get_the_word_once() {
    let rendered = render(Format::CommandLine, &plan(), &host());
    let grub = format!("GRUB_CMDLINE_LINUX='a b'\n{}echo \"$GRUB_CMDLINE_LINUX\"\n", rendered.files[0].text);
    assert_eq!(is_taken(&mut Command::new("sh"), &grub), "a b nf_conntrack.hashsize=262144\n");

    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let kernel = folder.path().join("cmdline");
    let script = rendered.files[1].text.replace("/etc/kernel/cmdline", kernel.to_str().unwrap());
    let script = format!("set -e\n{}", script.replace("\nkernel-install ", "\necho "));
    for (is_there, begins) in [(true, "root=/dev/x quiet"), (false, "")] {
        if is_there {
            std::fs::write(&kernel, "root=/dev/x quiet\n").unwrap();
        }
        for _ in 0..2 {
            assert!(is_taken(&mut Command::new("sh"), &script).starts_with("add "));
        }
        let line = read("cmdline");
        assert!(line.starts_with(begins), "{line}");
        assert_eq!(line.matches("nf_conntrack.hashsize=262144").count(), 1, "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        std::fs::remove_file(&kernel).unwrap();
    }
}

#[test]
fn no_two_formats_write_different_things_to_one_file() {
    let mut written = std::collections::BTreeMap::new();
    for format in Format::ALL {
        for file in render(*format, &plan(), &host()).files {
            let Some(path) = file.path else { continue };
            let other = written.insert(path, file.text.clone());
            assert!(other.is_none_or(|other| other == file.text), "{format} replaces {path}");
        }
    }
}
