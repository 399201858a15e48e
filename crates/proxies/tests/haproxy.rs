//! What is understood of `HAProxy`'s files, and what is said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::path::Path;

use plimsoll_proxies::{Bounded, Configuration, Keeping, Limits, Opens, Version, haproxy};
use support::{Memory, churn, once, only};

const FILE: &str = "/etc/haproxy/haproxy.cfg";

fn read(files: &Memory) -> Configuration {
    let paths: Vec<_> = files.0.keys().map(AsRef::as_ref).collect();
    haproxy::read(paths, &mut once(files), None).unwrap()
}

fn one(text: &str) -> Memory {
    Memory::of(&[(FILE, text)])
}

/// Whether connections are kept, or when one is opened; and the lines that say so.
fn found(text: &str) -> (String, Vec<usize>) {
    match only(&read(&one(text)), churn("10.0.0.1:80", 1.0)).upstream.keeping {
        Keeping::Kept(_) => ("kept".to_string(), Vec::new()),
        Keeping::NotKept { opens, because, .. } => {
            (format!("{opens:?}"), because.iter().map(|reason| reason.place.line).collect())
        }
        Keeping::ByNature { opens, because } => (format!("by nature {opens:?}"), vec![because.place.line]),
        Keeping::Unknown { because } => {
            ("unknown".to_string(), because.iter().map(|reason| reason.place.line).collect())
        }
    }
}

fn written(text: &str) -> String {
    let files = one(text);
    let advice = only(&read(&files), churn("10.0.0.1:80", 1.0));
    let new = files.with(&advice);
    let advice = only(&read(&new), churn("10.0.0.1:80", 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}\n{}", new.text(FILE));
    new.text(FILE).to_string()
}

#[test]
fn what_holds_is_found_over_defaults_and_both_sides() {
    let (request, client) = (format!("{:?}", Opens::EachRequest), format!("{:?}", Opens::EachClientConnection));
    let nature = format!("by nature {client}");
    let server = "server s 10.0.0.1:80";
    for (text, expected, lines) in [
        (format!("backend b\n{server}"), nature.as_str(), vec![1]),
        (format!("defaults\nmode tcp\nbackend b\n{server}"), &nature, vec![2]),
        (format!("defaults\nmode http\nbackend b\n{server}"), &client, vec![3]),
        (format!("defaults\nmode http\nhttp-reuse always\nbackend b\n{server}"), "kept", vec![]),
        (format!("backend b\nmode http\nhttp-reuse aggressive\n{server}"), &client, vec![3]),
        (format!("listen b\nmode http\nhttp-reuse always\noption http-server-close\n{server}"), &request, vec![4]),
        // Each of these was tried with HAProxy 2.6: which connections the server sees.
        (
            format!(
                "defaults\nmode http\noption http-server-close\nbackend b\nhttp-reuse always\nno option http-server-close\n{server}\n\
                 frontend f\ndefault_backend b"
            ),
            &request,
            vec![3],
        ),
        (
            format!(
                "defaults\nmode http\noption http-server-close\nbackend b\nhttp-reuse always\noption http-keep-alive\n{server}\n\
                 frontend f\nno option http-server-close\nuse_backend b if x"
            ),
            "kept",
            vec![],
        ),
        (
            format!(
                "backend b\nmode http\nhttp-reuse always\noption http-keep-alive\noption http-server-close\n{server}"
            ),
            &request,
            vec![5],
        ),
        (
            format!("backend b\nmode http\nhttp-reuse always\noption http-server-close\nno option httpclose\n{server}"),
            &request,
            vec![4],
        ),
        (format!("backend b\nmode http\nhttp-reuse always\n{server} pool-max-conn 0"), &request, vec![4]),
        (
            format!(
                "backend b\nmode http\nhttp-reuse always\ndefault-server pool-max-conn 0\n{server} pool-max-conn 5"
            ),
            "kept",
            vec![],
        ),
        (format!("backend b\nmode http\nhttp-reuse always\n{server} send-proxy-v2"), &nature, vec![4]),
        (
            format!("backend b\nmode http\nhttp-reuse always\nsource 0.0.0.0 usesrc clientip\n{server}"),
            &nature,
            vec![4],
        ),
        // Defaults by name, and others that do not hold.
        (
            format!("defaults a\nmode http\nhttp-reuse always\ndefaults c\nmode tcp\nbackend b from a\n{server}"),
            "kept",
            vec![],
        ),
        (
            format!(
                "defaults a\nmode http\nhttp-reuse always\ndefaults c from a\noption httpclose\nbackend b\n{server}"
            ),
            &request,
            vec![5],
        ),
        (
            format!(".if defined(X)\ndefaults\nhttp-reuse always\n.endif\nbackend b\nmode http\n{server}"),
            "unknown",
            vec![3],
        ),
        (
            format!(
                "backend b\nmode http\nhttp-reuse always\n{server}\nfrontend f\nmode http\noption httpclose\n\
                 use_backend %[req.hdr(host)]"
            ),
            "unknown",
            vec![8],
        ),
    ] {
        assert_eq!(found(&text), (expected.to_string(), lines), "{text}");
    }
}

#[test]
fn lines_are_written_where_they_belong() {
    assert_eq!(
        written(
            "defaults\n  mode http\n  option http-server-close # why\n\nbackend b\n\t# servers\n\tserver s 10.0.0.1:80 pool-max-conn 0 check\n"
        ),
        "defaults\n  mode http\n  option http-keep-alive # why\n\nbackend b\n\t# servers\n\thttp-reuse always\n\tserver s 10.0.0.1:80 \
         pool-max-conn -1 check\n"
    );
    assert_eq!(
        written("backend b\n    mode http\n    http-reuse \"never\"\n    server s 10.0.0.1:80\n"),
        "backend b\n    mode http\n    http-reuse always\n    server s 10.0.0.1:80\n"
    );
}

#[test]
fn a_version_has_its_default() {
    let text = "backend b\nmode http\nserver s 10.0.0.1:80";
    for (version, expected) in [
        (Some("1.9.0"), "never`, the default before HAProxy 2.0"),
        (Some("2.0.0"), "safe`, the default since"),
        (None, "which version of HAProxy this is, is not known: since 2.0 the default is `safe`"),
    ] {
        let version = version.map(|version| version.parse::<Version>().unwrap());
        let configuration = haproxy::read([Path::new(FILE)], &mut once(&one(text)), version).unwrap();
        let advice = only(&configuration, churn("10.0.0.1:80", 1.0)).to_string();
        assert!(advice.contains(expected), "{advice}");
        assert!(advice.contains("http-reuse always"), "the same for all: {advice}");
    }
    let configuration = haproxy::read([Path::new(FILE)], &mut once(&one(text)), Some(Version(1, 5, 18))).unwrap();
    let advice = only(&configuration, churn("10.0.0.1:80", 1.0)).to_string();
    assert!(advice.contains("only since 1.6") && !advice.contains("http-reuse always"), "{advice}");
}

#[test]
fn a_template_stands_for_all_its_servers() {
    for (template, most) in [("100", Some(500)), ("3-7", Some(25)), ("7-3", None), ("x", None)] {
        let text = format!("backend b\nmode http\nserver-template web {template} 10.0.0.1:80 pool-max-conn 5\n");
        let advice = only(&read(&one(&text)), churn("10.0.0.1:80", 1000.0));
        assert_eq!(advice.saving.unwrap().kept_at_most, most, "{template}");
    }
}

#[test]
fn servers_are_read_in_every_form() {
    let text = "backend b\nmode http\n\
        server a 10.0.0.1:80\nserver b ipv4@10.0.0.2:81\nserver c ::1:82\nserver d [::1]:83\nserver e name.example:84\n\
        server f unix@/run/a\nserver g /run/b\nserver h 10.0.0.3\nserver i \"${HOST}:80\"\nserver j fd@5\nserver-template t 1-3 pool.example:85\n";
    let configuration = read(&one(text));
    let targets: Vec<_> = configuration.upstreams[0].targets.iter().map(ToString::to_string).collect();
    let expected = [
        "10.0.0.1:80",
        "10.0.0.2:81",
        "[::1]:82",
        "[::1]:83",
        "name.example:84",
        "unix:/run/a",
        "/run/b",
        "10.0.0.3",
        "pool.example:85",
    ];
    assert_eq!(targets, expected);
    let gaps: Vec<_> = configuration.gaps.iter().map(|gap| gap.place.line).collect();
    assert_eq!(gaps, [11, 12]);
}

#[test]
fn several_files_are_one() {
    let files = Memory::of(&[
        ("/etc/haproxy/1.cfg", "defaults\n mode http\n http-reuse always\n"),
        ("/etc/haproxy/2.cfg", "backend b\n server s 10.0.0.1:80\n"),
    ]);
    let advice = only(&read(&files), churn("10.0.0.1:80", 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}");
    assert_eq!(advice.upstream.place.to_string(), "/etc/haproxy/2.cfg:1");
}

#[test]
fn little_is_kept_of_what_has_no_end() {
    let few = Limits { words: 100, ..Limits::ONCE };
    let text = format!("global\n{}", "a b\n".repeat(50));
    for (text, is_kept) in [(format!("{text}# {}", "c ".repeat(1000)), false), (text[..200].to_string(), true)] {
        let answer = haproxy::read([Path::new(FILE)], &mut Bounded::new(&one(&text), few, &|| false), None);
        assert_eq!(answer.is_ok(), is_kept);
        assert!(haproxy::read([Path::new(FILE)], &mut Bounded::new(&one(&text), few, &|| true), None).is_err());
    }
}

#[test]
fn faults_name_their_line() {
    for (text, expected) in [
        ("backend b\n server s \"10.0.0.1:80", "2: a quote that does not end"),
        ("backend b\n\n server \\xg0", "3: a backslash and an `x` without two digits"),
        ("mode http\n", "1: a line outside of any section"),
        ("global\n.endif", "2: an `.endif` without an `.if`"),
    ] {
        let error = haproxy::read([Path::new(FILE)], &mut once(&one(text)), None).unwrap_err();
        assert_eq!(error.to_string(), format!("{FILE}:{expected}"));
    }
}
