//! TLS, with certificates of openssl's: whom it trusts, and a client's certificate.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::Folder;
use super::server::{Server, serve};
use crate::access::{Access, Credential, Trust};
use crate::asked;
use crate::secret::Secret;

/// `ca`, `other` that is its own authority, and `server` and `client`, signed by `ca`.
pub(crate) struct Certificates(Folder);

impl Certificates {
    pub(crate) fn new() -> Self {
        let made = Self(Folder::new());
        for name in ["ca", "other"] {
            made.openssl(&format!("req -x509 {KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"));
        }
        for (name, use_of) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
            made.0.write("ext", &format!("basicConstraints=CA:FALSE\n{use_of}\n"));
            made.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.crt"
            ));
        }
        made
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(self.0.path()).output();
        let output = run.unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.text(&format!("{name}.crt")).as_bytes()).unwrap()
    }

    fn trust(&self, name: &str) -> Trust {
        Trust::authorities(self.text(&format!("{name}.crt")).as_bytes(), "test").unwrap()
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// Answers with one pod; to a client that has a certificate `by-certificate`.
fn server(certificates: &Certificates) -> Server {
    let mut roots = RootCertStore::empty();
    roots.add(certificates.certificate("ca")).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.text("server.key").as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificates.certificate("server")], key)
        .unwrap();
    let config = Arc::new(config);
    Server::serving(move |mut stream, known| {
        let Ok(mut connection) = ServerConnection::new(Arc::clone(&config)) else { return };
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return;
            }
        }
        let name = if connection.peer_certificates().is_some() { "by-certificate" } else { "by-token" };
        let list = format!(
            r#"{{"items":[{{"metadata":{{"namespace":"n","name":"{name}"}},"status":{{"podIP":"10.244.0.2"}}}}]}}"#
        );
        serve(StreamOwned::new(connection, stream), known, &|_| (200, list.clone()));
    })
}

#[test]
fn only_the_clusters_authority_is_trusted_and_a_certificate_is_shown() {
    let certificates = Certificates::new();
    let server = server(&certificates);
    let told = |trust: Trust, credential: Credential| {
        let access = Access { server: format!("https://{}", server.address), trust, credential, ..server.access() };
        let answer = asked(access, "worker-1", Duration::from_mins(1));
        answer
            .cluster
            .pod("10.244.0.2".parse().unwrap())
            .map(ToString::to_string)
            .ok_or_else(|| answer.errors[0].to_string())
    };
    let token = || Credential::Token(Secret::of("t0ken"));
    assert_eq!(told(certificates.trust("ca"), token()).as_deref(), Ok("n/by-token"));
    let [chain, key] = ["client.crt", "client.key"].map(|name| certificates.text(name));
    let certificate = Credential::certificate(chain.as_bytes(), key.as_bytes(), "test").unwrap();
    assert_eq!(told(certificates.trust("ca"), certificate).as_deref(), Ok("n/by-certificate"));
    let before = server.asked().len();
    for trust in [certificates.trust("other"), Trust::Host] {
        assert!(told(trust, token()).unwrap_err().contains("certificate"));
    }
    assert_eq!(server.asked().len(), before, "a token is not sent to a server that is not trusted");
}
