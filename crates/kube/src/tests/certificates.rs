//! Certificates of openssl's, and a server that has one. Nothing here is of this crate, so that others can take it for their tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::server::{Answer, Server, serve};

/// `ca`, `other` that is its own authority, and `server` and `client`, signed by `ca`: a `.crt` and a `.key` of each.
pub(crate) struct Certificates(PathBuf);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    HasCertificate,
    HasNone,
}

impl Certificates {
    /// Makes them in a folder.
    pub(crate) fn make(folder: &Path) -> Self {
        let made = Self(folder.to_path_buf());
        for name in ["ca", "other"] {
            made.openssl(&format!("req -x509 {KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"));
        }
        for (name, use_of) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
            fs::write(made.0.join("ext"), format!("basicConstraints=CA:FALSE\n{use_of}\n")).unwrap();
            made.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.crt"
            ));
        }
        made
    }

    /// One of the files.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Answers each question by its path and query, over TLS with the certificate of `server`.
    pub(crate) fn serving(&self, answer: impl Fn(&str, Peer) -> Answer + Send + Sync + 'static) -> Server {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca")).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.text("server.key").as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate("server")], key)
            .unwrap();
        let config = Arc::new(config);
        Server::serving(move |mut stream, known| {
            let Ok(mut connection) = ServerConnection::new(Arc::clone(&config)) else { return };
            while connection.is_handshaking() {
                if connection.complete_io(&mut stream).is_err() {
                    return;
                }
            }
            let peer = connection.peer_certificates().map_or(Peer::HasNone, |_| Peer::HasCertificate);
            serve(StreamOwned::new(connection, stream), known, &|asked: &str| answer(asked, peer));
        })
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.0).output();
        let output = run.unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.text(&format!("{name}.crt")).as_bytes()).unwrap()
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
