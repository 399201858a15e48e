//! What is understood of NGINX's files, and what is said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::cell::Cell;
use std::path::Path;

use plimsoll_proxies::{
    Bounded, Configuration, Counted, Error, Keeping, Limits, Opens, Remedy, Rewrite, Version, Write, nginx, rewritten,
};
use support::{Memory, churn, once, only};

const MAIN: &str = "/etc/nginx/nginx.conf";

fn read(files: &Memory) -> Configuration {
    nginx::read(Path::new(MAIN), &mut once(files), None).unwrap()
}

fn one(http: &str) -> Memory {
    Memory::of(&[(MAIN, &format!("http {{\n{http}\n}}\n"))])
}

/// The reasons why an upstream's connections are not kept.
fn reasons(keeping: &Keeping) -> Vec<String> {
    match keeping {
        Keeping::NotKept { because, .. } | Keeping::Unknown { because } => {
            because.iter().map(ToString::to_string).collect()
        }
        Keeping::ByNature { because, .. } => vec![because.to_string()],
        Keeping::Kept(_) => Vec::new(),
    }
}

/// The file once what is advised for 10.0.0.1:80 is written; it must be kept then.
fn written(files: &Memory) -> Memory {
    let advice = only(&read(files), churn("10.0.0.1:80", 1000.0));
    let new = files.with(&advice);
    let advice = only(&read(&new), churn("10.0.0.1:80", 1000.0));
    assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}\n{}", new.text(MAIN));
    new
}

fn rewrites_of(configuration: &Configuration) -> &[Rewrite] {
    match &configuration.upstreams[0].keeping {
        Keeping::NotKept { remedy: Remedy { write: Write::Rewrites(rewrites), .. }, .. } => rewrites,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_are_put_in_where_they_belong() {
    let files = one(
        "    upstream b {\n        least_conn;\n        server 10.0.0.1; # one\n    }\n    server {\n        location / {\n            proxy_pass http://b; # on\n        }\n    }",
    );
    let expected = "http {\n    upstream b {\n        least_conn;\n        server 10.0.0.1; # one\n        keepalive 64;\n    }\n    server {\n        location / {\n            proxy_pass http://b; # on\n            proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n        }\n    }\n}\n";
    assert_eq!(written(&files).text(MAIN), expected);
    let files = one("upstream b { server 10.0.0.1; } server { location / { proxy_pass http://b; } }");
    let expected = "http {\nupstream b { server 10.0.0.1; keepalive 64; } server { location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }\n}\n";
    assert_eq!(written(&files).text(MAIN), expected);
}

#[test]
fn an_address_becomes_an_upstream() {
    let files = one("  server {\r\n    location /a/ { proxy_pass http://10.0.0.1/b/; }\r\n  }");
    let text = written(&files);
    assert_eq!(
        text.text(MAIN),
        "http {\n  upstream kept_10_0_0_1_80 {\n      server 10.0.0.1:80;\n      keepalive 64;\n  }\n\n  server {\r\n    \
         location /a/ { proxy_pass http://kept_10_0_0_1_80/b/; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_set_header Host 10.0.0.1; proxy_redirect http://10.0.0.1/b/ /a/; }\r\n  }\n}\n"
    );
    // The scheme has the host's letters; redirects keep their default also where `Host` is set.
    let files = one("server { location = /a { proxy_pass http://http/b; proxy_set_header Host $host; } }");
    let configuration = read(&files);
    let new = rewritten(Path::new(MAIN), files.text(MAIN).as_bytes(), rewrites_of(&configuration)).unwrap();
    let new = String::from_utf8(new).unwrap();
    assert!(
        new.contains("proxy_pass http://kept_http_80/b;") && new.contains("proxy_redirect http://http/b /a;"),
        "{new}"
    );
    // Headers that are inherited would be lost, and the server's name in TLS another one: that takes a person.
    for http in [
        "server { proxy_set_header X y; location / { proxy_pass http://10.0.0.1; } }",
        "server { location / { proxy_pass https://10.0.0.1:80; } }",
        "server { location / { if ($x) { proxy_pass http://10.0.0.1; } } }",
        // What takes the address by a variable, or by default where that cannot be written.
        "server { location / { proxy_pass http://10.0.0.1; proxy_set_header Host $proxy_host; } }",
        "server { location / { proxy_pass https://10.0.0.1:80; proxy_ssl_name $proxy_host; proxy_set_header Host $host; } }",
        "map $proxy_host $x { default a; } server { location / { proxy_pass http://10.0.0.1; } }",
        "server { location / { proxy_pass http://10.0.0.1; proxy_redirect default; } }",
        "server { location =/x { proxy_pass http://10.0.0.1/y; } }",
        "server { location / { if ($x) { proxy_pass http://10.0.0.1; } proxy_set_header Host $host; } }",
        "server { location / { grpc_pass grpc://10.0.0.1:80; } }",
    ] {
        let advice = only(&read(&one(http)), churn("10.0.0.1:80", 1000.0));
        let Keeping::NotKept { remedy, .. } = &advice.upstream.keeping else { panic!("{advice}") };
        let Write::ByHand(words) = &remedy.write else { panic!("{advice}") };
        assert!(words.as_str().contains("make an `upstream` block"), "{words}");
    }
}

#[test]
fn each_reason_is_named_with_its_line() {
    for (upstream, location, expected) in [
        ("keepalive 4;", "proxy_http_version 1.1; proxy_set_header Connection '';", vec![]),
        ("keepalive 4;", "proxy_http_version 1.0; proxy_set_header connection \"Keep-Alive\";", vec![]),
        ("keepalive 4;", "proxy_set_header Connection keep-alive;", vec![]),
        ("keepalive 4;", "proxy_http_version 1.1; proxy_set_header Connection upgrade;", vec![]),
        (
            "keepalive 4;",
            "proxy_http_version 1.0; proxy_set_header Connection '';",
            vec!["3: requests go on by HTTP/1.0"],
        ),
        (
            "keepalive 4;",
            "proxy_http_version 1.1; proxy_set_header Connection close;",
            vec!["3: `Connection: close` is set"],
        ),
        (
            "keepalive 4;",
            "proxy_http_version 1.1; proxy_set_header Connection $odd;",
            vec!["3: `Connection` is $odd, and no `map` gives it"],
        ),
        ("", "proxy_http_version 1.1; proxy_set_header Connection '';", vec!["2: the upstream has no `keepalive`"]),
        (
            "keepalive 4; keepalive_requests 1; keepalive_timeout 0s;",
            "proxy_http_version 1.1; proxy_set_header Connection '';",
            vec![
                "2: `keepalive_requests 1` closes each connection after one request",
                "2: `keepalive_timeout 0s` closes each connection after one request",
            ],
        ),
    ] {
        let files = one(&format!(
            "upstream b {{ server 10.0.0.1; {upstream} }}\nserver {{ location / {{ proxy_pass http://B; {location} }} }}"
        ));
        let advice = only(&read(&files), churn("10.0.0.1:80", 1.0));
        let expected: Vec<_> = expected.iter().map(|reason| format!("{MAIN}:{reason}")).collect();
        assert_eq!(reasons(&advice.upstream.keeping), expected, "{upstream} {location}");
        if matches!(advice.upstream.keeping, Keeping::NotKept { .. }) {
            written(&files);
        }
    }
}

#[test]
fn header_fields_are_inherited_only_where_none_is_set() {
    let http = |location: &str| {
        one(&format!(
            "proxy_http_version 1.1;\nproxy_set_header Connection '';\nupstream b {{ server 10.0.0.1; keepalive 8; }}\n\
             server {{ location / {{ proxy_pass http://b; {location} }} }}"
        ))
    };
    let inherited = only(&read(&http("")), churn("10.0.0.1:80", 1.0));
    assert!(matches!(inherited.upstream.keeping, Keeping::Kept(_)), "{inherited}");
    let lost = only(&read(&http("proxy_set_header Host $host;")), churn("10.0.0.1:80", 1.0));
    let expected =
        format!("{MAIN}:5: requests go on with `Connection: close`, which NGINX sends unless another is set");
    assert_eq!(reasons(&lost.upstream.keeping), [expected]);
}

#[test]
fn a_version_has_its_defaults() {
    let files = one(
        "upstream b { server 10.0.0.1; }\nserver { location / { proxy_pass http://b; } location /a { proxy_pass http://10.0.0.2; } }",
    );
    for (version, kept) in [(None, false), (Some("1.29.6"), false), (Some("1.29.7"), true), (Some("1.31.0"), true)] {
        let version = version.map(|version| version.parse::<Version>().unwrap());
        let configuration = nginx::read(Path::new(MAIN), &mut once(&files), version).unwrap();
        let is_kept: Vec<_> =
            configuration.upstreams.iter().map(|upstream| matches!(upstream.keeping, Keeping::Kept(_))).collect();
        // An address without a block is not kept by any version.
        assert_eq!(is_kept, [kept, false], "{version:?}");
        // What was told by a default is said to depend on the version, where that is not known.
        let is_said = format!("{:?}", configuration.upstreams[0].keeping).contains("which version of NGINX this is");
        assert_eq!(is_said, version.is_none(), "{version:?}");
    }
    let explicit = "upstream b { server 10.0.0.1; keepalive 0; }\n\
                    server { proxy_http_version 1.1; proxy_set_header Connection close; location / { proxy_pass http://b; } }";
    let configuration = nginx::read(Path::new(MAIN), &mut once(&one(explicit)), None).unwrap();
    assert!(!format!("{configuration:?}").contains("which version"), "no default has a part in it: {configuration:#?}");
    let none = one("upstream b { server 10.0.0.1; keepalive 0; }\nserver { location / { proxy_pass http://b; } }");
    written(&none);
}

#[test]
fn other_protocols_have_their_own_words() {
    let files = one("upstream b { server 10.0.0.1:80; keepalive 2; }\n\
         server { location /f { fastcgi_pass b; } location /g { grpc_pass grpc://b; } location /m { memcached_pass b; } }");
    // How many processes there are, only a person knows.
    for http in [files, one("server { location / { fastcgi_pass 10.0.0.1:80; } }")] {
        let advice = only(&read(&http), churn("10.0.0.1:80", 1.0));
        let Keeping::NotKept { remedy, .. } = &advice.upstream.keeping else { panic!("{advice}") };
        assert!(
            matches!(&remedy.write, Write::ByHand(words) if words.as_str().contains("pm.max_children")),
            "{advice}"
        );
    }
    let files = one("server { location / { uwsgi_pass 10.0.0.1:80; } }");
    let advice = only(&read(&files), churn("10.0.0.1:80", 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::ByNature { opens: Opens::EachRequest, .. }), "{advice}");
    let files = Memory::of(&[(MAIN, "stream { upstream b { server 10.0.0.1:80; } server { proxy_pass b; } }")]);
    let advice = only(&read(&files), churn("10.0.0.1:80", 1.0));
    assert!(
        matches!(advice.upstream.keeping, Keeping::ByNature { opens: Opens::EachClientConnection, .. }),
        "{advice}"
    );
}

#[test]
fn includes_are_followed_and_bounded() {
    let files = Memory::of(&[
        (MAIN, "worker_processes 4;\nhttp { include sites/*.conf; include missing.conf; }"),
        ("/etc/nginx/sites/b.conf", "server { location / {\n include ../nginx/pass;\n} }"),
        ("/etc/nginx/sites/a.conf", "upstream b { server 10.0.0.1; keepalive 8; }"),
        ("/etc/nginx/sites/c.conf.old", "}"),
        ("/etc/nginx/../nginx/pass", "proxy_pass http://b;"),
    ]);
    let configuration = read(&files);
    let names: Vec<_> = configuration.files.iter().map(|file| file.display().to_string()).collect();
    assert_eq!(names, [MAIN, "/etc/nginx/sites/a.conf", "/etc/nginx/sites/b.conf", "/etc/nginx/../nginx/pass"]);
    assert_eq!(configuration.gaps.len(), 1, "{:?}", configuration.gaps);
    assert!(
        configuration.gaps[0].to_string().starts_with("/etc/nginx/nginx.conf:2: /etc/nginx/missing.conf could not")
    );
    assert!(written(&files).text("/etc/nginx/../nginx/pass").contains("proxy_http_version 1.1;"));
    let advice = only(&configuration, churn("10.0.0.1:80", 1200.0));
    // Four processes keep eight each, and of 100 requests the last one closes.
    assert_eq!(advice.saving.unwrap().entries_after_at_most(), Some(4.0 * 8.0 + 12.0));

    let cycle = Memory::of(&[(MAIN, "include a;"), ("/etc/nginx/a", "\n include nginx.conf;")]);
    let error = nginx::read(Path::new(MAIN), &mut once(&cycle), None).unwrap_err();
    assert_eq!(error.to_string(), "/etc/nginx/a:2: /etc/nginx/nginx.conf includes itself");
    // Each includes the next one twice: 2^20 in all.
    let many: Vec<_> =
        (0..20).map(|n| (format!("/etc/nginx/{n}"), format!("include {0}; include {0};", n + 1))).collect();
    let mut files: Vec<_> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.extend([(MAIN, "include 0;"), ("/etc/nginx/20", "")]);
    let error = nginx::read(Path::new(MAIN), &mut once(&Memory::of(&files)), None).unwrap_err();
    assert!(matches!(error, Error::TooMuch { counted: Counted::Files, .. }), "{error}");
    let deep = "a {".repeat(100_000);
    assert!(nginx::read(Path::new(MAIN), &mut once(&Memory::of(&[(MAIN, &deep)])), None).is_err());
}

/// Whatever a program's files hold, no more is kept of them than the limits, nor for longer than it may take; and that is said.
#[test]
fn little_is_kept_of_what_has_no_end() {
    let few = Limits { bytes: 1000, files: 10, names: 20, words: 100 };
    let names: Vec<_> = (0..40).map(|n| format!("/etc/nginx/big/{n}")).collect();
    let folder = names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>();
    for (text, counted) in [
        ("a;".repeat(60), Counted::Words),
        (format!("a {};", "b ".repeat(100)), Counted::Words),
        (format!("{};", "b".repeat(1000)), Counted::Bytes),
        ("include none/*;".repeat(25), Counted::Names),
        ("include big/*z;".to_string(), Counted::Names),
        ("include none;".repeat(11), Counted::Files),
    ] {
        let files = Memory::of(&[folder.clone(), vec![(MAIN, text.as_str())]].concat());
        let error = nginx::read(Path::new(MAIN), &mut Bounded::new(&files, few, &|| false), None).unwrap_err();
        assert!(matches!(error, Error::TooMuch { counted: found, .. } if found == counted), "{text}: {error}");
    }
    // A clock that is late when it was looked at so often: while words are read, while names are looked through, while it is judged.
    let passes = "location /a { proxy_pass http://10.0.0.1; }".repeat(10);
    for text in ["a;".repeat(100), "include big/*;".to_string(), format!("http {{ server {{ {passes} }} }}")] {
        let files = Memory::of(&[folder.clone(), vec![(MAIN, text.as_str())]].concat());
        let looks = |most: usize| {
            let looked = Cell::new(0);
            let is_late = || looked.replace(looked.get() + 1) >= most;
            (nginx::read(Path::new(MAIN), &mut Bounded::new(&files, Limits::ONCE, &is_late), None), looked.get())
        };
        let (all, in_all) = looks(usize::MAX);
        assert!(in_all > 60, "{in_all}: {all:?}");
        for most in [0, 1, in_all / 2, in_all - 1] {
            assert!(matches!(looks(most).0, Err(Error::Late { .. })), "{text}");
        }
    }
}

#[test]
fn faults_name_their_line() {
    for (text, expected) in [
        ("http {\n}\n}", "3: a `}` that closes nothing"),
        ("http {\n", "2: the file ends before the `}` of a block"),
        ("a\n b", "2: the file ends before the `;` of this"),
        ("\na 'b", "2: a quote that does not end"),
        ("include;", "1: `include` takes one file"),
    ] {
        let error = nginx::read(Path::new(MAIN), &mut once(&Memory::of(&[(MAIN, text)])), None).unwrap_err();
        assert_eq!(error.to_string(), format!("{MAIN}:{expected}"));
    }
    let error = nginx::read(Path::new(MAIN), &mut once(&Memory::default()), None).unwrap_err();
    assert!(error.to_string().starts_with("reading /etc/nginx/nginx.conf: "), "{error}");
}

#[test]
fn what_is_not_understood_is_said() {
    let files = one(
        "server { location / {\nproxy_pass http://$backend;\n}\nlocation /l {\ncontent_by_lua_block { a = \"}\" -- }\n }\n} }",
    );
    let gaps: Vec<_> = read(&files).gaps.iter().map(ToString::to_string).collect();
    assert_eq!(
        gaps,
        [
            format!("{MAIN}:6: content_by_lua_block: Lua is not followed; it may send requests elsewhere"),
            format!("{MAIN}:3: where http://$backend leads is told only when a request comes"),
        ]
    );
    let site = Memory::of(&[(MAIN, "server { }")]);
    assert!(read(&site).gaps[0].to_string().contains("neither an `http` nor a `stream` block"));
}
