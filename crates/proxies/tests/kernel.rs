//! Real proxies before a real backend: entries towards it as they are, and with what the advice writes, against what it foretells.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod programs;
mod support;

use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_ctnetlink::{Dump, Unknowns};
use plimsoll_lab::LabNamespace;
use plimsoll_proxies::{Keeping, Program, ProxyAdvice, nginx, rewritten, version_in};
use programs::{BACKEND, Case, PATIENCE, PROXY, await_listening, envoy_file, envoy_options, nginx_file, version};
use support::{Disk, churn, once, only, rewrites};

/// Connections of clients, each with one request.
const REQUESTS: usize = 300;
const SITE: &str = "site.example";

/// Sends the requests of a case through the proxy; the entries towards the backend, and what the first answer says of the request.
fn play(case: &Case) -> (usize, String) {
    case.is_valid();
    let namespace = LabNamespace::tracking().unwrap();
    let backend = backend(&case.folder.file_name().unwrap().to_string_lossy());
    let _servers = [backend.start(&namespace), case.start(&namespace)];
    namespace
        .enter(|| {
            await_listening(BACKEND);
            await_listening(PROXY);
            let before = entries();
            let first = request().unwrap();
            for _ in 1..REQUESTS {
                assert_eq!(request().unwrap(), first);
            }
            (entries() - before, first)
        })
        .unwrap()
}

/// A backend in a folder of its own, by the name of who asks.
fn backend(name: &str) -> Case {
    let name = format!("behind-{name}");
    let answer = "return 200 \"$http_host $uri end\";";
    let text = nginx_file(&format!(
        "server {{ listen 127.0.0.1:{BACKEND}; keepalive_requests 100000; location / {{ {answer} }} }}"
    ));
    Case::new(Program::Nginx, &name, &[("main.conf", text)])
}

fn haproxy_file(defaults: &str, frontend: &str, backend: &str, server: &str) -> String {
    format!(
        "global\n    maxconn 1000\n\
         defaults\n    mode http\n    timeout client 60s\n    timeout server 60s\n    timeout connect 60s\n{defaults}\n\
         frontend front\n    bind 127.0.0.1:{PROXY}\n{frontend}    default_backend back\n\
         backend back\n{backend}    server one 127.0.0.1:{BACKEND}{server} # the only one\n"
    )
}

fn envoy_site(fields: &str) -> String {
    envoy_file(&[(SITE.to_string(), fields.to_string())])
}

fn request() -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /page HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(answer.lines().last().unwrap_or_default().to_string())
}

/// Entries of connections to the backend.
fn entries() -> usize {
    let mut entries = 0;
    let mut dump = Dump::start().unwrap();
    while let Some(batch) = dump.next_batch().unwrap() {
        for entry in batch.entries(&mut Unknowns::default()) {
            let service = entry.unwrap().entry.original.service();
            entries += usize::from(service.is_some_and(|service| service.port == BACKEND));
        }
    }
    entries
}

/// Plays a case, writes what the advice says, and plays it again.
fn hold(case: &Case) {
    let (before, answer) = play(case);
    let advice = only(&case.read(), churn(&format!("127.0.0.1:{BACKEND}"), REQUESTS as f64));
    let saving = advice.saving.expect("a saving");
    assert!((saving.entries_now.value - before as f64).abs() < 0.5, "foretold {saving:?}, counted {before}");
    write(case, &advice);
    let (after, answer_after) = play(case);
    println!("{}: {before} entries, then {after}; {saving}", case.folder.display());
    let most = saving.entries_after_at_most().unwrap_or(REQUESTS as f64 / 20.0);
    assert!((1.0..=most).contains(&(after as f64)), "counted {after}; {advice}");
    assert!(after * 20 <= REQUESTS, "counted {after}; {advice}");
    assert_eq!(answer_after, answer, "the backend must see what it saw before");
    let advice = only(&case.read(), churn(&format!("127.0.0.1:{BACKEND}"), 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}");
}

/// Writes what an advice says into the case's files.
fn write(case: &Case, advice: &ProxyAdvice) {
    let mut written = 0;
    for file in case.read().files {
        let text = fs::read(&file).unwrap();
        if let Ok(new) = rewritten(&file, &text, rewrites(advice)) {
            fs::write(&file, new).unwrap();
            written += 1;
        }
    }
    assert!(written > 0);
}

/// The programs themselves say whether what is written is of their language.
#[test]
fn what_is_written_is_valid() {
    let nginx = [
        "server { location / { proxy_pass http://127.0.0.1:8080/a/; } location /b { proxy_pass http://127.0.0.1:8080; } }",
        "server {\n  location ^~ /x/ {\n    proxy_pass http://127.0.0.1:8080/;\n  }\n}",
        "server { location ~ ^/x { proxy_pass http://127.0.0.1:8080$uri; } }",
        "server { proxy_ssl_name a.example; location / { proxy_pass https://127.0.0.1:8080; } }",
        "upstream b { least_conn; server 127.0.0.1:8080; server [::1]:8080 backup; zone z 64k; }\nserver { location / { if ($arg_a) { \
         proxy_pass http://b; } } }",
        "server { location = /x { proxy_pass http://127.0.0.1:8080/y; proxy_set_header Host $host; } }",
        "upstream b { server 127.0.0.1:8080; keepalive 1; keepalive_requests 1; keepalive_timeout 0; }\n\
         server { location / { proxy_pass http://b; proxy_set_header Connection $http_connection; } }",
    ];
    let nginx = nginx.map(|http| (Program::Nginx, "main.conf", nginx_file(http)));
    let haproxy = [
        haproxy_file("    option httpclose", "", "", " pool-purge-delay 0s inter 1s"),
        haproxy_file("", "", "    # nothing yet\n", ""),
        haproxy_file(
            "    http-reuse never",
            "    option http-server-close\n",
            "\toption httpclose\n",
            " weight 1 pool-max-conn 0",
        ),
    ];
    let haproxy = haproxy.map(|text| (Program::Haproxy, "main.conf", text));
    let envoy = [
        "    max_requests_per_connection: 1 # why\n    connection_pool_per_downstream_connection: true\n",
        "    maxRequestsPerConnection: \"1\"\n    connectionPoolPerDownstreamConnection: yes\n",
        "    common_http_protocol_options: {\"max_requests_per_connection\": 1}\n    lb_policy: LEAST_REQUEST\n",
        "    max_requests_per_connection: { value: 1 }\n",
    ];
    let envoy = envoy.map(|fields| (Program::Envoy, "main.yaml", envoy_site(fields)));
    for (number, (program, first, text)) in nginx.into_iter().chain(haproxy).chain(envoy).enumerate() {
        let case = Case::new(program, &format!("valid-{number}"), &[(first, text)]);
        case.is_valid();
        write(&case, &only(&case.read(), churn("127.0.0.1:8080", 1.0)));
        case.is_valid();
        let advice = only(&case.read(), churn("127.0.0.1:8080", 1.0));
        let text = fs::read_to_string(case.first()).unwrap();
        assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}{text}");
    }
}

/// NGINX tells which files it reads; Debian's own configuration is one with patterns, modules and types.
#[test]
fn the_files_are_those_that_nginx_reads() {
    let site = "server { include /etc/nginx/proxy_params; location / { proxy_pass http://127.0.0.1:8080; } }";
    let nested = "include ./b/[!x]*.conf;".to_string();
    let files = [
        ("main.conf", nginx_file("include a/*; include /etc/nginx/mime.types; include none/*.conf;")),
        ("a/1", site.to_string()),
        ("a/0", nested),
        ("a/.hidden", "}".to_string()),
        ("b/y.conf", "server { listen 81; }".to_string()),
        ("b/x.conf", "}".to_string()),
    ];
    let own = Case::new(Program::Nginx, "files", &files);
    for first in [own.first(), PathBuf::from("/etc/nginx/nginx.conf")] {
        let output = Command::new("nginx").args(["-T", "-e", "stderr", "-c"]).arg(&first).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        let told = told.lines().filter_map(|line| line.strip_prefix("# configuration file ")?.strip_suffix(':'));
        let mut told: Vec<_> = told.map(PathBuf::from).collect();
        let configuration = nginx::read(&first, &mut once(&Disk), None).unwrap();
        assert_eq!(configuration.gaps, []);
        let mut found = configuration.files;
        for files in [&mut told, &mut found] {
            // One that is included twice is told once.
            files.sort();
            files.dedup();
            for file in files {
                *file = file.components().collect();
            }
        }
        assert!(found.len() > 1);
        assert_eq!(found, told);
    }
}

#[test]
fn the_version_is_in_the_program() {
    for (program, name) in [(Program::Nginx, "nginx"), (Program::Haproxy, "haproxy")] {
        let path = std::env::var("PATH").unwrap();
        let file = path.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.exists());
        let file = fs::File::open(file.expect("the program, by scripts/test")).unwrap();
        assert_eq!(version_in(program, file, &|| false), Some(version(program)));
    }
}

#[test]
fn nginx_with_an_upstream() {
    let http = format!(
        "    upstream back {{\n        server 127.0.0.1:{BACKEND} max_fails=0; # the only one\n    }}\n    \
         server {{ listen 127.0.0.1:{PROXY};\n        location / {{\n            proxy_pass http://back;\n        }}\n    }}"
    );
    hold(&Case::new(Program::Nginx, "upstream", &[("main.conf", nginx_file(&http))]));
}

#[test]
fn nginx_with_an_address() {
    let site =
        format!("server {{ listen 127.0.0.1:{PROXY}; location /page {{ proxy_pass http://127.0.0.1:{BACKEND}; }} }}");
    let files = [("main.conf", nginx_file("include sites/*;")), ("sites/one", site)];
    hold(&Case::new(Program::Nginx, "address", &files));
}

#[test]
fn nginx_with_headers_further_out() {
    let http = format!(
        "upstream back {{ least_conn; server 127.0.0.1:{BACKEND}; }}\n\
         server {{\n    listen 127.0.0.1:{PROXY};\n    include headers.conf;\n    location / {{ proxy_pass http://back/; }}\n}}"
    );
    let headers = "proxy_http_version 1.0;\nproxy_set_header Host $host;\n".to_string();
    hold(&Case::new(Program::Nginx, "headers", &[("main.conf", nginx_file(&http)), ("headers.conf", headers)]));
}

#[test]
fn nginx_with_a_map_for_websockets() {
    let http = format!(
        "map $http_upgrade $connection_upgrade {{\n    default upgrade;\n    ''      close;\n}}\n\
         upstream back {{ server 127.0.0.1:{BACKEND}; keepalive 16; }}\n\
         server {{ listen 127.0.0.1:{PROXY}; location / {{ proxy_pass http://back; proxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }} }}"
    );
    hold(&Case::new(Program::Nginx, "map", &[("main.conf", nginx_file(&http))]));
}

#[test]
fn haproxy_by_default() {
    hold(&Case::new(Program::Haproxy, "default", &[("main.conf", haproxy_file("", "", "", ""))]));
}

#[test]
fn haproxy_that_closes() {
    let file =
        haproxy_file("    option http-server-close", "    option httpclose\n", "    http-reuse aggressive\n", "");
    hold(&Case::new(Program::Haproxy, "closing", &[("main.conf", file)]));
}

#[test]
fn haproxy_without_a_pool() {
    let file = haproxy_file("    http-reuse never\n    default-server pool-purge-delay 0", "", "", " pool-max-conn 0");
    hold(&Case::new(Program::Haproxy, "pool", &[("main.conf", file)]));
}

#[test]
fn envoy_with_a_request_a_connection() {
    let options =
        envoy_options("        common_http_protocol_options:\n          max_requests_per_connection: 1 # why\n");
    hold(&Case::new(Program::Envoy, "options", &[("main.yaml", envoy_site(&options))]));
}

#[test]
fn envoy_with_a_pool_for_each_client() {
    let fields = "    connection_pool_per_downstream_connection: true\n";
    hold(&Case::new(Program::Envoy, "pools", &[("main.yaml", envoy_site(fields))]));
}
