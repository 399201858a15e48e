//! Whatever a file holds, reading it ends, and without a panic; and what is advised can be written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::path::{Path, PathBuf};

use plimsoll_proxies::{
    CommandLine, Configuration, Error, Keeping, Version, Write, configuration_of, envoy, haproxy, nginx, rewritten,
};
use proptest::prelude::*;
use support::{Memory, once};

const FILE: &str = "/etc/x/main";

fn read_all(bytes: &[u8]) -> Vec<Result<Configuration, Error>> {
    let mut files = Memory::default();
    files.0.insert(PathBuf::from(FILE), bytes.to_vec());
    files.0.insert(PathBuf::from("/etc/x/other"), b"proxy_set_header Connection close;".to_vec());
    let path = Path::new(FILE);
    vec![
        nginx::read(path, &mut once(&files), None),
        nginx::read(path, &mut once(&files), Some(Version(1, 30, 0))),
        haproxy::read([path], &mut once(&files), None),
        envoy::read(path, &mut once(&files)),
    ]
}

/// That what is advised fits the text, and leaves a text that can be read.
fn holds(bytes: &[u8]) {
    for (number, configuration) in read_all(bytes).into_iter().enumerate() {
        let Ok(configuration) = configuration else { continue };
        for upstream in &configuration.upstreams {
            let Keeping::NotKept { remedy, .. } = &upstream.keeping else { continue };
            let Write::Rewrites(rewrites) = &remedy.write else { continue };
            // What goes into the other file is not seen here.
            if rewrites.iter().any(|rewrite| rewrite.place.file != Path::new(FILE)) {
                continue;
            }
            let new = rewritten(Path::new(FILE), bytes, rewrites).expect("what fits the text");
            let text = String::from_utf8_lossy(&new);
            let again = read_all(&new).swap_remove(number).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(not_kept(&again) < not_kept(&configuration), "{text}\n{upstream:?}\n{again:?}");
        }
    }
}

fn not_kept(configuration: &Configuration) -> usize {
    configuration.upstreams.iter().filter(|upstream| matches!(upstream.keeping, Keeping::NotKept { .. })).count()
}

/// How many texts are tried: more by `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(250)
}

/// Texts of words that mean something, in any order.
fn texts(words: &'static [&'static str], between: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = (prop::sample::select(words), prop::sample::select(between));
    prop::collection::vec(word, 0..60)
        .prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

const NGINX: &[&str] = &[
    "http {",
    "server {",
    "location / {",
    "if ($a) {",
    "upstream b {",
    "server 10.0.0.1;",
    "}",
    "}",
    "}",
    ";",
    "{",
    "proxy_pass http://b;",
    "proxy_pass http://10.0.0.1/x;",
    "proxy_pass 'https://é';",
    "fastcgi_pass b;",
    "keepalive 0;",
    "keepalive;",
    "proxy_set_header Connection close;",
    "proxy_set_header Connection $c;",
    "proxy_set_header;",
    "proxy_http_version 1.0;",
    "map $http_upgrade $c {",
    "'' close;",
    "include other;",
    "include *;",
    "# x",
    "\"",
    "'",
    "\\",
    "x_by_lua_block {",
    "--[[",
    "stream {",
    "worker_processes auto;",
    "proxy_pass;",
    "upstream {",
];
const HAPROXY: &[&str] = &[
    "defaults",
    "defaults a",
    "from a",
    "backend b",
    "frontend f",
    "listen l",
    "mode http",
    "mode",
    "http-reuse never",
    "http-reuse",
    "option httpclose",
    "option http-server-close",
    "no option httpclose",
    "option",
    "server s 10.0.0.1:80",
    "server s 10.0.0.1:80 pool-max-conn 0",
    "server",
    "default-server pool-purge-delay 0",
    "pool-max-conn",
    "send-proxy",
    "default_backend b",
    "use_backend %[x]",
    ".if x",
    ".endif",
    "global",
    "#",
    "\"",
    "'",
    "\\",
    "\\x41",
    "é",
];
const ENVOY: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"configs\"",
    "static_resources:",
    "  clusters:",
    "  - name: a",
    "    max_requests_per_connection: 1",
    "    connection_pool_per_downstream_connection: true",
    "    load_assignment: {}",
    "é: ü",
    "&a",
    "*a",
    "!x",
    "|",
    ">",
    "---",
    "...",
    "?",
    "-",
    "\"\\ud83d\"",
    "'",
    "\"",
    "#",
    "\t",
    "%YAML 1.2",
];

/// Texts that a program takes, of which a few pieces are taken out, doubled, or put in.
fn changed(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..3, prop::sample::select(words));
    (prop::sample::select(WHOLE), prop::collection::vec(change, 0..4)).prop_map(|(text, changes)| {
        let mut pieces: Vec<String> = text.split_inclusive([' ', '\n', ';', '}']).map(str::to_string).collect();
        for (at, what, word) in changes {
            let at = at.index(pieces.len());
            match what {
                0 => drop(pieces.remove(at)),
                1 => pieces.insert(at, pieces[at].clone()),
                _ => pieces.insert(at, word.to_string()),
            }
        }
        pieces.concat()
    })
}

const WHOLE: &[&str] = &[
    "http {\n  map $http_upgrade $c { default upgrade; '' close; }\n  upstream b {\n    server 10.0.0.1:80; # é\n  }\n  server {\n    \
     proxy_set_header Host $host;\n    location / {\n      proxy_pass http://b;\n    }\n    location /c { proxy_pass http://10.0.0.1/x/; \
     proxy_set_header Connection $c; }\n    location /d { if ($a) { proxy_pass http://b; } fastcgi_pass b; }\n  }\n}\n",
    "http { server { location / { proxy_pass http://[::1]:81/a; } } server { location ~ x { proxy_pass http://n.example; } } }",
    "defaults\n  mode http\n  option http-server-close\n  default-server pool-max-conn 0\nfrontend f\n  option httpclose\n  \
     default_backend b\nbackend b\n  http-reuse 'never' # é\n  server s 10.0.0.1:80 pool-purge-delay 0s\nlisten l\n  \
     server s \"10.0.0.1:80\"\n",
    "# é\nstatic_resources:\n  clusters:\n  - name: ü\n    max_requests_per_connection: 1 # x\n    \
     connection_pool_per_downstream_connection: true\n    load_assignment:\n      endpoints:\n      - lb_endpoints:\n        - endpoint: \
     { address: { socket_address: { address: 10.0.0.1, port_value: 80 } } }\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn changed_by_words_of_nginx(text in changed(NGINX)) {
        holds(text.as_bytes());
    }

    #[test]
    fn changed_by_words_of_haproxy(text in changed(HAPROXY)) {
        holds(text.as_bytes());
    }

    #[test]
    fn changed_by_words_of_envoy(text in changed(ENVOY)) {
        holds(text.as_bytes());
    }

    #[test]
    fn bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes);
    }

    #[test]
    fn words_of_nginx(text in texts(NGINX, &[" ", "\n", "\n    ", ""])) {
        holds(text.as_bytes());
    }

    #[test]
    fn words_of_haproxy(text in texts(HAPROXY, &[" ", "\n", "\n  ", "\r\n"])) {
        holds(text.as_bytes());
    }

    #[test]
    fn words_of_envoy(text in texts(ENVOY, &["", " ", "\n", "\n  ", "\n    "])) {
        holds(text.as_bytes());
    }

    #[test]
    fn command_lines(arguments in prop::collection::vec("(-[a-zA-Z]{0,3}|--|--config-path=é?|nginx: master process [-a-z ]*|nginx|haproxy|envoy|/é)", 0..8)) {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let files = Memory::of(&[("/etc/nginx/nginx.conf", "")]);
        drop(configuration_of(CommandLine { arguments: &arguments, folder: Path::new("/") }, &mut once(&files)));
    }
}
