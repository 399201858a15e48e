//! What is judged of every combination of settings, against which connections a real backend sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod programs;
mod support;

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use plimsoll_lab::LabNamespace;
use plimsoll_proxies::{Keeping, Opens, Program};
use programs::{BACKEND, Case, PATIENCE, PROXY, await_listening, envoy_file, envoy_options, nginx_file};

/// A connection of a client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, and tells by which connection the backend got it.
    fn ask(&mut self, host: &str, header: &str) -> io::Result<String> {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{header}\r\n");
        self.0.get_mut().write_all(text.as_bytes())?;
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        let is_number = body.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(body) } else { Err(io::Error::other(body)) }
    }
}

/// What is seen of connections: kept between clients, or when a new one is opened.
fn seen(port: u16, host: &str) -> Option<Opens> {
    const CLOSE: &str = "Connection: close\r\n";
    let [first, second] = [(); 2].map(|()| Client::connect(port).ask(host, CLOSE).unwrap());
    if first == second {
        return None;
    }
    let mut client = Client::connect(port);
    let third = client.ask(host, "").unwrap();
    // It may go by one that another client left. A proxy may close the client's connection, too.
    match client.ask(host, "") {
        Ok(fourth) if [first, second, third].contains(&fourth) => Some(Opens::EachClientConnection),
        _ => Some(Opens::EachRequest),
    }
}

/// What is foretold; only what is certain.
fn foretold(keeping: &Keeping) -> Option<Opens> {
    match keeping {
        Keeping::Kept(_) => None,
        Keeping::NotKept { opens, .. } | Keeping::ByNature { opens, .. } => Some(*opens),
        Keeping::Unknown { because } => panic!("{because:?}"),
    }
}

fn backend(of: &str) -> Case {
    let server = format!(
        "server {{ listen 127.0.0.1:{BACKEND}; keepalive_requests 100000; location / {{ return 200 $connection; }} }}"
    );
    Case::new(Program::Nginx, &format!("behind-{of}"), &[("main.conf", nginx_file(&server))])
}

#[test]
fn nginx_does_what_is_foretold() {
    const SERVER: [&str; 5] = [
        "",
        "proxy_http_version 1.1;",
        "proxy_set_header Connection '';",
        "proxy_http_version 1.1; proxy_set_header X y;",
        "proxy_http_version 1.1; proxy_set_header Connection close;",
    ];
    const LOCATION: [&str; 9] = [
        "",
        "proxy_http_version 1.1;",
        "proxy_http_version 1.0;",
        "proxy_set_header X y;",
        "proxy_set_header Connection \"\";",
        "proxy_set_header connection keep-alive;",
        "proxy_http_version 1.1; proxy_set_header Connection upgrade;",
        "proxy_http_version 1.1; proxy_set_header Connection $by_map;",
        "proxy_http_version 1.1; proxy_set_header Connection $by_map_empty;",
    ];
    const UPSTREAM: [&str; 5] = [
        "keepalive 4;",
        "",
        "keepalive 4; keepalive_requests 1;",
        "keepalive 4; keepalive_timeout 0;",
        "keepalive 4; keepalive_requests 0;",
    ];
    let mut http = "server_names_hash_max_size 4096; server_names_hash_bucket_size 64; map $http_upgrade $by_map { default upgrade; '' close; }\n\
                    map $http_upgrade $by_map_empty { default upgrade; '' ''; }\n"
        .to_string();
    let mut texts = Vec::new();
    for server in SERVER {
        for location in LOCATION {
            for upstream in UPSTREAM {
                let number = texts.len();
                let text = format!(
                    "upstream b{number} {{ server 127.0.0.1:{BACKEND} max_fails=0; {upstream} }}\n\
                     server {{ listen 127.0.0.1:{PROXY}; server_name s{number}; {server} location / {{ {location} proxy_pass http://b{number}; }} }}\n"
                );
                http += &text;
                texts.push(text);
            }
        }
    }
    let case = Case::new(Program::Nginx, "truth", &[("main.conf", nginx_file(&http))]);
    case.is_valid();
    let configuration = case.read();
    assert_eq!((configuration.upstreams.len(), configuration.gaps), (texts.len(), Vec::new()));
    let namespace = LabNamespace::create().unwrap();
    let _servers = [backend("nginx-truth").start(&namespace), case.start(&namespace)];
    let mut kept = 0;
    namespace
        .enter(|| {
            await_listening(BACKEND);
            await_listening(PROXY);
            for upstream in &configuration.upstreams {
                let number: usize = upstream.name.as_str().trim_start_matches('b').parse().unwrap();
                let seen = seen(PROXY, &format!("s{number}"));
                kept += usize::from(seen.is_none());
                assert_eq!(foretold(&upstream.keeping), seen, "{}", texts[number]);
            }
        })
        .unwrap();
    println!("{} combinations, {kept} of them keep their connections", texts.len());
    assert!(kept > 0 && kept < texts.len());
}

/// With one thread: several may each open one of their own.
#[test]
fn haproxy_does_what_is_foretold() {
    const DEFAULTS: [&str; 4] =
        ["", "http-reuse always\n", "option http-server-close\n", "http-reuse never\noption httpclose\n"];
    const FRONTEND: [&str; 4] =
        ["", "option http-server-close\n", "no option http-server-close\n", "option http-keep-alive\n"];
    const BACK: [&str; 6] = [
        "",
        "http-reuse always\n",
        "http-reuse aggressive\n",
        "http-reuse always\nno option http-server-close\n",
        "http-reuse always\noption http-keep-alive\nno option httpclose\n",
        "default-server pool-max-conn 0\nhttp-reuse always\n",
    ];
    const SERVER: [&str; 3] = ["", "pool-max-conn 4", "pool-purge-delay 0"];
    let (mut text, mut count) = ("global\n maxconn 2000\n nbthread 1\n".to_string(), 0_u16);
    for defaults in DEFAULTS {
        write!(text, "defaults\n mode http\n timeout client 1m\n timeout server 1m\n timeout connect 1m\n{defaults}")
            .unwrap();
        for frontend in FRONTEND {
            for back in BACK {
                for server in SERVER {
                    write!(
                        text,
                        "frontend f{count}\n bind 127.0.0.1:{}\n{frontend}default_backend {count}\nbackend {count}\n{back}\
                         server s 127.0.0.1:{BACKEND} {server}\n",
                        10_000 + count
                    )
                    .unwrap();
                    count += 1;
                }
            }
        }
    }
    let case = Case::new(Program::Haproxy, "truth", &[("main.conf", text)]);
    case.is_valid();
    let configuration = case.read();
    assert_eq!((configuration.upstreams.len(), configuration.gaps), (count.into(), Vec::new()));
    let namespace = LabNamespace::create().unwrap();
    let _servers = [backend("haproxy-truth").start(&namespace), case.start(&namespace)];
    let mut kept = 0;
    namespace
        .enter(|| {
            await_listening(BACKEND);
            await_listening(10_000 + count - 1);
            for upstream in &configuration.upstreams {
                let number: u16 = upstream.name.as_str().parse().unwrap();
                let seen = seen(10_000 + number, "any");
                kept += usize::from(seen.is_none());
                assert_eq!(foretold(&upstream.keeping), seen, "{}: {upstream:?}", case.folder.display());
            }
        })
        .unwrap();
    println!("{count} combinations, {kept} of them keep their connections");
    assert!(kept > 0 && kept < usize::from(count));
}

/// With one thread, as above.
#[test]
fn envoy_does_what_is_foretold() {
    const LIMIT: &str = "max_requests_per_connection";
    let typed = |limit: &str| {
        envoy_options(&format!("        common_http_protocol_options: {{ idle_timeout: 60s, {limit} }}\n"))
    };
    let typed =
        [String::new(), typed(""), typed("max_requests_per_connection: 1"), typed("maxRequestsPerConnection: 1000")];
    let old = ["", "    common_http_protocol_options: { max_requests_per_connection: 1 }\n"];
    let own = ["", "null", "1", "\"1\"", "0x1", "{ value: 1 }", "1000"];
    let own = own.map(|limit| if limit.is_empty() { String::new() } else { format!("    {LIMIT}: {limit}\n") });
    let pools = ["", "false", "true", "Yes", "\"t\""];
    let pools = pools.map(|flag| match flag {
        "" => String::new(),
        flag => format!("    connection_pool_per_downstream_connection: {flag}\n"),
    });
    let mut clusters = Vec::new();
    for typed in &typed {
        for old in old {
            for own in &own {
                // Envoy takes one limit.
                let is_limited = typed.contains("equests") || typed.is_empty() && !old.is_empty();
                if is_limited && !own.is_empty() && !own.contains("null") {
                    continue;
                }
                for pools in &pools {
                    clusters.push((format!("c{}", clusters.len()), format!("{typed}{old}{own}{pools}")));
                }
            }
        }
    }
    let case = Case::new(Program::Envoy, "truth", &[("main.yaml", envoy_file(&clusters))]);
    case.is_valid();
    let configuration = case.read();
    assert_eq!((configuration.upstreams.len(), configuration.gaps), (clusters.len(), Vec::new()));
    let namespace = LabNamespace::create().unwrap();
    let _servers = [backend("envoy-truth").start(&namespace), case.start(&namespace)];
    let mut kept = 0;
    namespace
        .enter(|| {
            await_listening(BACKEND);
            await_listening(PROXY);
            for (upstream, (name, fields)) in configuration.upstreams.iter().zip(&clusters) {
                let seen = seen(PROXY, name);
                kept += usize::from(seen.is_none());
                assert_eq!(foretold(&upstream.keeping), seen, "{fields}");
            }
        })
        .unwrap();
    println!("{} combinations, {kept} of them keep their connections", clusters.len());
    assert!(kept > 0 && kept < clusters.len());
}
