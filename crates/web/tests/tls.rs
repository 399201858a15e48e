//! TLS by the web configuration file, with certificates of openssl's and curl as the client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::Write;
use std::thread;

use support::{Folder, Running, await_that, configured};

const SERVER: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A folder with the server's certificate and, of two signers, one client's each.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.certificate("server");
    for signer in ["ours", "theirs"] {
        folder.certificate(signer);
        folder.client_certificate(&format!("client-of-{signer}"), signer);
    }
    folder
}

fn with(folder: &Folder, more: &str) -> Running {
    configured(&folder.write("web.yml", &format!("{SERVER}{more}")))
}

fn curl(folder: &Folder, web: &Running, options: &str) -> Result<u16, String> {
    folder.curl(&format!("--cacert server.crt {options} https://{}/metrics", web.address))
}

const NOBODY: &str = "";
const OURS: &str = "--cert client-of-ours.crt --key client-of-ours.key";
const THEIRS: &str = "--cert client-of-theirs.crt --key client-of-theirs.key";

#[test]
fn both_versions_are_spoken() {
    let folder = folder();
    let web = with(&folder, "");
    assert_eq!(curl(&folder, &web, "--tlsv1.2 --tls-max 1.2"), Ok(200));
    assert_eq!(curl(&folder, &web, "--tlsv1.3"), Ok(200));
    assert!(curl(&folder, &web, "--tls-max 1.1").is_err());
    // Names are not the guard where there is a certificate.
    assert_eq!(curl(&folder, &web, "--header Host:any.example"), Ok(200));
    assert_ne!(folder.curl(&format!("http://{}/metrics", web.address)), Ok(200), "without TLS nothing is told");
}

#[test]
fn versions_can_be_bounded() {
    let folder = folder();
    let new = with(&folder, "  min_version: TLS13\n");
    assert!(curl(&folder, &new, "--tlsv1.2 --tls-max 1.2").is_err());
    assert_eq!(curl(&folder, &new, ""), Ok(200));
    let old = with(&folder, "  max_version: TLS12\n");
    assert!(curl(&folder, &old, "--tlsv1.3").is_err());
    assert_eq!(curl(&folder, &old, ""), Ok(200));
}

#[test]
fn suites_and_curves_can_be_chosen() {
    let folder = folder();
    let web =
        with(&folder, "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP384]\n");
    let old = "--tlsv1.2 --tls-max 1.2 --ciphers";
    assert_eq!(curl(&folder, &web, &format!("{old} ECDHE-ECDSA-AES256-GCM-SHA384")), Ok(200));
    assert!(curl(&folder, &web, &format!("{old} ECDHE-ECDSA-AES128-GCM-SHA256")).is_err());
    assert_eq!(curl(&folder, &web, "--curves P-384"), Ok(200));
    assert!(curl(&folder, &web, "--curves X25519").is_err());
}

#[test]
fn clients_are_let_in_as_configured() {
    let folder = folder();
    let ca = "  client_ca_file: ours.crt\n";
    for (kind, ca, nobody, ours, theirs) in [
        ("RequestClientCert", "", true, true, true),
        ("RequireAnyClientCert", "", false, true, true),
        ("VerifyClientCertIfGiven", ca, true, true, false),
        ("RequireAndVerifyClientCert", ca, false, true, false),
    ] {
        let web = with(&folder, &format!("  client_auth_type: {kind}\n{ca}"));
        for version in ["--tls-max 1.2", "--tlsv1.3"] {
            let is_let_in = |client| curl(&folder, &web, &format!("{version} {client}")) == Ok(200);
            assert_eq!(
                (is_let_in(NOBODY), is_let_in(OURS), is_let_in(THEIRS)),
                (nobody, ours, theirs),
                "{kind} with {version}"
            );
        }
    }
}

#[test]
fn certificates_can_stand_in_the_file() {
    let folder = folder();
    let indented = |name: &str| {
        let pem = std::fs::read_to_string(folder.path(name)).unwrap();
        pem.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>()
    };
    let text = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: RequireAndVerifyClientCert\n",
        indented("server.crt"),
        indented("server.key"),
        indented("ours.crt")
    );
    let web = configured(&folder.write("web.yml", &text));
    assert_eq!(curl(&folder, &web, OURS), Ok(200));
    assert!(curl(&folder, &web, THEIRS).is_err());
}

#[test]
fn a_renewed_certificate_is_taken() {
    let folder = folder();
    let web = with(&folder, "");
    assert_eq!(curl(&folder, &web, ""), Ok(200));
    folder.certificate("renewed");
    std::fs::rename(folder.path("renewed.key"), folder.path("server.key")).unwrap();
    // Between the two the key does not fit; nobody notices but the log.
    await_that("the misfit is told", || {
        let _ = curl(&folder, &web, "");
        web.site.notices.lock().unwrap().iter().any(|notice| notice.contains("cert_file"))
    });
    assert_eq!(curl(&folder, &web, ""), Ok(200));
    let old = std::fs::read(folder.path("server.crt")).unwrap();
    std::fs::rename(folder.path("renewed.crt"), folder.path("server.crt")).unwrap();
    await_that("the new one is shown", || curl(&folder, &web, "") == Ok(200));
    assert_eq!(web.site.notices.lock().unwrap().last().map(String::as_str), Some("reloaded"));
    std::fs::write(folder.path("old.crt"), old).unwrap();
    assert!(folder.curl(&format!("--cacert old.crt https://{}/metrics", web.address)).is_err());
}

#[test]
fn broken_handshakes_do_no_harm() {
    let folder = folder();
    let web = with(&folder, "");
    let clients: Vec<_> = (0..50_u8)
        .map(|number| {
            let mut stream = web.connect();
            thread::spawn(move || {
                // A record of a handshake that is cut, or is none.
                let _ = stream.write_all(&[0x16, 3, 1, number, 200]);
                let _ = stream.write_all(&vec![number; usize::from(number) * 40]);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    await_that("it answers", || curl(&folder, &web, "") == Ok(200));
}
