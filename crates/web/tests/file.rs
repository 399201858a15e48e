//! The web configuration file: what is wrong with it is told with its line and key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::sync::Arc;

use plimsoll_web::{Access, Limits, Server};
use support::{Demo, Folder, configured};

/// What is said of a file.
fn complaint(folder: &Folder, text: &str) -> String {
    let file = folder.write("web.yml", text);
    let access = Access { web_config: Some(file), names: Vec::new() };
    match Server::begin(Vec::new(), access, Limits::default(), Arc::new(Demo::default())) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(error) => {
            let error = error.to_string();
            error.rsplit_once("web.yml, ").map_or(error.clone(), |(_, fault)| fault.to_owned())
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_line_and_key() {
    let folder = Folder::new();
    folder.certificate("a");
    folder.certificate("b");
    std::fs::write(folder.path("empty.pem"), "").unwrap();
    let tls = "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n";
    let hash = bcrypt::hash("x", 4).unwrap();
    for (text, expected) in [
        ("junk", "line 1: must be a section with keys"),
        ("\n\nbogus: 1\n", "line 3, bogus: there is no such key; there are tls_server_config, "),
        (
            "tls_server_config:\n  certfile: x\n",
            "line 2, tls_server_config.certfile: there is no such key; there are cert, ",
        ),
        ("a:\n\t- b", "line 2: not YAML: "),
        ("rate_limit: {}\nrate_limit: {}\n", "line 2, rate_limit: is there already, on line 1"),
        ("rate_limit: &a {}\n", ""),
        ("http_server_config: *a\n", "line 1: not YAML: "),
        ("rate_limit:\n  burst: !!str 1\n", "line 2, rate_limit.burst: tags (!name) are not taken"),
        ("--- {}\n--- {}\n", "line 2: a second document begins here"),
        ("tls_server_config:\n  cert_file: a.crt\n", "line 1, tls_server_config: key_file is missing"),
        ("tls_server_config:\n  key_file: a.key\n", "line 1, tls_server_config: cert_file is missing"),
        ("tls_server_config:\n  cert_file:\n", "line 2, tls_server_config.cert_file: a value is missing"),
        ("tls_server_config:\n  cert_file: [a]\n", "line 2, tls_server_config.cert_file: must be one value"),
        ("tls_server_config:\n  cert_file: none.crt\n", "line 2, tls_server_config.cert_file: cannot read "),
        ("tls_server_config:\n  cert_file: empty.pem\n  key_file: a.key\n", "line 2, tls_server_config.cert_file: "),
        ("tls_server_config:\n  cert_file: a.crt\n  key_file: a.crt\n", "line 3, tls_server_config.key_file: "),
        (
            "tls_server_config:\n  cert_file: a.crt\n  key_file: b.key\n",
            "line 2, tls_server_config.cert_file: cannot be used: ",
        ),
        ("tls_server_config:\n  cert_file: a.crt\n  cert: x\n", "line 3, tls_server_config.cert: is given twice"),
        (
            &format!("{tls}  client_auth_type: Maybe\n"),
            "line 4, tls_server_config.client_auth_type: is \"Maybe\"; it must be ",
        ),
        (
            &format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n"),
            "line 4, tls_server_config.client_auth_type: takes a client_ca_file",
        ),
        (
            &format!("{tls}  client_ca_file: a.crt\n"),
            "line 4, tls_server_config.client_ca_file: has no effect without ",
        ),
        (
            &format!("{tls}  client_allowed_sans: [a]\n"),
            "line 4, tls_server_config.client_allowed_sans: Plimsoll does not ",
        ),
        (
            &format!("{tls}  min_version: TLS10\n"),
            "line 4, tls_server_config.min_version: is \"TLS10\"; Plimsoll speaks ",
        ),
        (
            &format!("{tls}  min_version: TLS13\n  max_version: TLS12\n"),
            "line 5, tls_server_config.max_version: is TLS12, older ",
        ),
        (
            &format!("{tls}  cipher_suites:\n  - TLS_AES_128_GCM_SHA256\n"),
            "line 4, tls_server_config.cipher_suites: has no suite for TLS 1.2",
        ),
        (
            &format!("{tls}  cipher_suites:\n  - TLS_RSA_WITH_AES_128_CBC_SHA\n"),
            "line 5, tls_server_config.cipher_suites: \"TLS_RSA_WITH_AES_128_CBC_SHA\" is not done by Plimsoll; it does ",
        ),
        (
            &format!("{tls}  curve_preferences: [CurveP521]\n"),
            "line 4, tls_server_config.curve_preferences: \"CurveP521\" is not ",
        ),
        (
            &format!("{tls}  prefer_server_cipher_suites: maybe\n"),
            "line 4, tls_server_config.prefer_server_cipher_suites: must be true or false",
        ),
        ("http_server_config:\n  http2: true\n", "line 2, http_server_config.http2: Plimsoll speaks HTTP/1.1 alone"),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n",
            "line 3, http_server_config.headers.X-Frame-Options: is \"maybe\"; it must be deny or sameorigin",
        ),
        (
            "http_server_config:\n  headers:\n    Server: x\n",
            "line 3, http_server_config.headers.Server: there is no such key; there are Content-Security-Policy, ",
        ),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: \"a\\nb\"\n",
            "line 3, http_server_config.headers.X-XSS-Protection: has a character that no header may have",
        ),
        ("basic_auth_users:\n  ann: secret\n", "line 2, basic_auth_users.ann: must be a password's bcrypt hash"),
        (
            &format!("basic_auth_users:\n  ann: {}\n", hash.replace("$04$", "$17$")),
            "line 2, basic_auth_users.ann: the cost of the hash must be at most 16",
        ),
        ("rate_limit:\n  interval: often\n", "line 2, rate_limit.interval: is \"often\"; it must be a time"),
        ("rate_limit:\n  interval: 1s\n", "line 1, rate_limit: burst must be at least 1"),
        ("rate_limit:\n  burst: -1\n", "line 2, rate_limit.burst: must be a whole number"),
    ] {
        if expected.is_empty() {
            continue;
        }
        let complaint = complaint(&folder, text);
        assert!(complaint.starts_with(expected), "{text}\n  {complaint}\n  {expected}");
    }
}

#[test]
fn no_secret_is_told() {
    let folder = Folder::new();
    folder.certificate("a");
    std::fs::write(folder.path("not.key"), "hunter2").unwrap();
    for text in [
        "basic_auth_users:\n  ann: hunter2\n",
        "tls_server_config:\n  cert_file: a.crt\n  key: hunter2\n",
        "tls_server_config:\n  cert_file: a.crt\n  key_file: not.key\n",
    ] {
        let complaint = complaint(&folder, text);
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
}

#[test]
fn an_empty_file_lets_everybody_in() {
    let folder = Folder::new();
    for text in
        ["", "# nothing\n", "{}\n", "tls_server_config:\nbasic_auth_users: {}\nhttp_server_config:\n  http2: no\n"]
    {
        configured(&folder.write("web.yml", text)).assert_well();
    }
}

#[test]
fn headers_can_be_set() {
    let folder = Folder::new();
    let web = configured(&folder.write(
        "web.yml",
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'none'\n    \
         Strict-Transport-Security: max-age=60\n",
    ));
    for path in ["/metrics", "/nowhere"] {
        let page = web.get(path, "");
        assert_eq!(page.header("x-frame-options"), Some("deny"));
        assert_eq!(page.header("content-security-policy"), Some("default-src 'none'"), "in place of the server's own");
        assert_eq!(page.header("strict-transport-security"), Some("max-age=60"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn requests_can_be_limited() {
    let folder = Folder::new();
    let web = configured(&folder.write("web.yml", "rate_limit:\n  interval: 1h\n  burst: 3\n"));
    let statuses: Vec<_> = (0..5).map(|_| web.get("/script", "").status().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[test]
fn mutated_files_do_no_harm() {
    let folder = Folder::new();
    let good = "# c\ntls_server_config:\n  cert_file: \"a.crt\"\n  cipher_suites:\n  - A\n  - {b: 'c'}\nrate_limit: {interval: 1s, burst: 2}\n\
                http_server_config:\n  headers: &x\n    X-XSS-Protection: |\n      1\nbasic_auth_users: !t\n  ? a\n  : *x\n...\n";
    let mut state = 11_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let pieces = [
        ":", "-", "? ", "{", "}", "[", "]", "&a", "*a", "!", "|", ">", "\n", "\t", " ", "'", "\"", "%", "---", "\\",
        "\u{feff}", "\0", "é", "<<: ",
    ];
    for _ in 0..3000 {
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..=draw(6) {
            let at = draw(text.len().max(1)).min(text.len().saturating_sub(1));
            match draw(3) {
                0 if text.len() > 1 => drop(text.remove(at)),
                1 => text.truncate(at.max(1)),
                _ => drop(text.splice(at..at, pieces[draw(pieces.len())].chars())),
            }
        }
        let file = folder.path("web.yml");
        std::fs::write(&file, text.iter().collect::<String>()).unwrap();
        let access = Access { web_config: Some(file), names: Vec::new() };
        // Taken or not; what matters is that it ends with an answer.
        let _ = Server::begin(Vec::new(), access, Limits::default(), Arc::new(Demo::default()));
    }
    let deep = "[".repeat(100_000);
    assert!(complaint(&folder, &deep).contains("line 1"));
    assert!(complaint(&folder, &"a: {".repeat(50_000)).contains("line 1"));
}
