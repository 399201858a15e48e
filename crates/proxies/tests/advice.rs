//! Which upstreams a churn is about, what is saved, and which files a process has read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::path::{Path, PathBuf};

use plimsoll_model::Interval;
use plimsoll_proxies::{
    Advice, Churn, CommandLine, Configuration, Match, NotTold, Program, Running, Stale, advise, configuration_of,
    nginx, rewritten,
};
use support::{Memory, churn, once, rewrites};

fn configuration(http: &str) -> Configuration {
    let files = Memory::of(&[("/n", &format!("http {{\n{http}\n}}"))]);
    nginx::read(Path::new("/n"), &mut once(&files), None).unwrap()
}

/// For each advice its upstream, or that it is for a client.
fn names(advice: &[Advice]) -> Vec<String> {
    let name = |advice: &Advice| match advice {
        Advice::Proxy(advice) => advice.upstream.name.to_string(),
        Advice::Client(advice) => format!("client of {}", advice.churn.towards),
    };
    advice.iter().map(name).collect()
}

#[test]
fn a_churn_is_matched_by_address_then_by_name() {
    let configuration = configuration(
        "upstream a { server 10.0.0.1:80; server 10.0.0.2:80; }\nupstream n { server name.example:81; }\n\
         upstream m { server other.example:81; }\nupstream u { server unix:/run/a; }\n\
         server { location /a { proxy_pass http://a; } location /n { proxy_pass http://n; }\nlocation /m { proxy_pass http://m; } \
         location /u { proxy_pass http://u; } }",
    );
    let all =
        [churn("10.0.0.1:80", 1.0), churn("10.0.0.2:80", 5.0), churn("10.0.0.9:81", 3.0), churn("10.0.0.9:99", 9.0)];
    let nobody = |_: &str| Vec::new();
    let advice = advise(std::slice::from_ref(&configuration), &all, &nobody);
    assert_eq!(names(&advice), ["a", "n", "m", "client of 10.0.0.9:99/tcp"]);
    let Advice::Proxy(first) = &advice[0] else { panic!() };
    assert_eq!((first.churn.len(), &first.matched), (2, &Match::Address));
    let Advice::Proxy(second) = &advice[1] else { panic!() };
    assert!(matches!(&second.matched, Match::PortOf(name) if name.as_str() == "name.example"));
    let resolve = |name: &str| match name {
        "name.example" => vec!["10.0.0.8".parse().unwrap(), "::ffff:10.0.0.9".parse().unwrap()],
        _ => Vec::new(),
    };
    // Where one is sure, none is guessed.
    let advice = advise(std::slice::from_ref(&configuration), &all, &resolve);
    assert_eq!(names(&advice), ["a", "n", "client of 10.0.0.9:99/tcp"]);
    let elsewhere = |_: &str| vec!["10.9.9.9".parse().unwrap()];
    let advice = advise(&[configuration], &all[2..3], &elsewhere);
    assert_eq!(names(&advice), ["client of 10.0.0.9:81/tcp"]);
}

#[test]
fn what_is_saved_carries_its_interval() {
    let configuration = configuration(
        "upstream a { server 10.0.0.1:80; keepalive_requests 1000; }\nserver { location / { proxy_pass http://a; }\n\
         location /b { proxy_pass http://10.0.0.1; } }",
    );
    let churn = Churn { new_per_sec: Interval { low: 700.0, value: 800.0, high: 900.0 }, ..churn("10.0.0.1:80", 1.0) };
    let advice = advise(&[configuration], &[churn], &|_| Vec::new());
    let Advice::Proxy(advice) = &advice[0] else { panic!() };
    let saving = advice.saving.unwrap();
    assert_eq!(saving.entries_now, Interval { low: 84_000.0, value: 96_000.0, high: 108_000.0 });
    assert_eq!(saving.entries_after_at_most(), Some(64.0 + 108.0));
    assert_eq!(advice.others, 1);
    let text = advice.to_string();
    assert!(text.contains("96000 (84000 to 108000) entries of closed connections become at most 172"), "{text}");
    assert!(text.contains("/n:2: insert `keepalive 64;`"), "{text}");
}

#[test]
fn what_has_changed_is_not_written_over() {
    let configuration = configuration(
        "upstream a { server 10.0.0.1:80; keepalive 0; }\nserver { location / { proxy_pass http://a; } }",
    );
    let advice = support::only(&configuration, churn("10.0.0.1:80", 1.0));
    let file = Path::new("/n");
    let error =
        rewritten(file, b"http {\nupstream a { server 10.0.0.1:80; keepalive 9; }", rewrites(&advice)).unwrap_err();
    assert!(matches!(error, Stale::Changed { .. }), "{error}");
    assert!(matches!(rewritten(Path::new("/m"), b"", rewrites(&advice)), Err(Stale::OtherFile { .. })));
}

fn running(arguments: &[&str], there: &[&str]) -> Result<Running, NotTold> {
    let files = Memory::of(&there.iter().map(|path| (*path, "")).collect::<Vec<_>>());
    configuration_of(CommandLine { arguments, folder: Path::new("/home/web") }, &mut once(&files))
}

#[test]
fn a_command_line_tells_its_files() {
    let none = |program| Err(NotTold::NoFile { program });
    let is = |program, files: &[&str]| Ok(Running { program, files: files.iter().map(PathBuf::from).collect() });
    let default = "/etc/nginx/nginx.conf";
    for (arguments, there, expected) in [
        (
            vec!["nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"],
            vec![default],
            is(Program::Nginx, &[default]),
        ),
        (vec!["nginx: master process nginx -p /srv -c conf/a.conf"], vec![], is(Program::Nginx, &["/srv/conf/a.conf"])),
        (vec!["nginx: worker process"], vec![default], Err(NotTold::Worker)),
        (vec!["/usr/sbin/nginx", "-c/a.conf"], vec![], is(Program::Nginx, &["/a.conf"])),
        (
            vec!["nginx", "-p", "here"],
            vec!["/home/web/here/conf/nginx.conf", default],
            is(Program::Nginx, &["/home/web/here/conf/nginx.conf"]),
        ),
        (vec!["nginx", "-p", "here"], vec![default], is(Program::Nginx, &[default])),
        (vec!["nginx", "-c", "a.conf"], vec!["/etc/nginx/a.conf"], is(Program::Nginx, &["/etc/nginx/a.conf"])),
        (vec!["nginx"], vec![], none(Program::Nginx)),
        (
            vec![
                "/usr/sbin/haproxy",
                "-Ws",
                "-f",
                "/etc/haproxy/a.cfg",
                "-p",
                "/run/haproxy.pid",
                "-S",
                "-f",
                "-f",
                "b.cfg",
            ],
            vec![],
            is(Program::Haproxy, &["/etc/haproxy/a.cfg", "/home/web/b.cfg"]),
        ),
        (
            vec!["haproxy", "-C", "/etc", "-f", "h.d", "--", "x", "-f"],
            vec!["/etc/h.d/2.cfg", "/etc/h.d/1.cfg", "/etc/h.d/.0.cfg", "/etc/h.d/3.old"],
            is(Program::Haproxy, &["/etc/h.d/1.cfg", "/etc/h.d/2.cfg", "/etc/x", "/etc/-f"]),
        ),
        (vec!["haproxy"], vec![], none(Program::Haproxy)),
        (vec!["envoy", "-l", "info", "--config-path=e.yaml"], vec![], is(Program::Envoy, &["/home/web/e.yaml"])),
        (vec!["envoy", "-c", "/e.yaml"], vec![], is(Program::Envoy, &["/e.yaml"])),
        (vec!["envoy", "-c"], vec![], none(Program::Envoy)),
        (vec!["envoy", "-c", "/e.yaml", "--config-yaml", "a: b"], vec![], Err(NotTold::OnCommandLine)),
        (vec!["bash", "-c", "nginx"], vec![default], Err(NotTold::AnotherProgram)),
        (vec![], vec![], Err(NotTold::AnotherProgram)),
    ] {
        assert_eq!(running(&arguments, &there), expected, "{arguments:?}");
    }
}
