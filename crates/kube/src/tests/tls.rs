//! TLS, with certificates of openssl's: whom it trusts, and a client's certificate.

use std::time::Duration;

use super::certificates::{Certificates, Peer};
use super::{Folder, access_to};
use crate::access::{Access, Credential, Trust};
use crate::asked;
use crate::secret::Secret;

fn trust(certificates: &Certificates, name: &str) -> Trust {
    Trust::authorities(certificates.text(&format!("{name}.crt")).as_bytes(), "test").unwrap()
}

#[test]
fn only_the_clusters_authority_is_trusted_and_a_certificate_is_shown() {
    let folder = Folder::new();
    let certificates = Certificates::make(folder.path());
    let server = certificates.serving(|_, peer| {
        let name = if peer == Peer::HasCertificate { "by-certificate" } else { "by-token" };
        let pod = format!(r#"{{"metadata":{{"namespace":"n","name":"{name}"}},"status":{{"podIP":"10.244.0.2"}}}}"#);
        (200, format!(r#"{{"items":[{pod}]}}"#))
    });
    let told = |trust: Trust, credential: Credential| {
        let access = Access { server: format!("https://{}", server.address), trust, credential, ..access_to(&server) };
        let answer = asked(access, "worker-1", Duration::from_mins(1));
        answer
            .cluster
            .pod("10.244.0.2".parse().unwrap())
            .map(ToString::to_string)
            .ok_or_else(|| answer.errors[0].to_string())
    };
    let token = || Credential::Token(Secret::of("t0ken"));
    assert_eq!(told(trust(&certificates, "ca"), token()).as_deref(), Ok("n/by-token"));
    let [chain, key] = ["client.crt", "client.key"].map(|name| certificates.text(name));
    let certificate = Credential::certificate(chain.as_bytes(), key.as_bytes(), "test").unwrap();
    assert_eq!(told(trust(&certificates, "ca"), certificate).as_deref(), Ok("n/by-certificate"));
    let before = server.asked().len();
    for trust in [trust(&certificates, "other"), Trust::Host] {
        assert!(told(trust, token()).unwrap_err().contains("certificate"));
    }
    assert_eq!(server.asked().len(), before, "a token is not sent to a server that is not trusted");
}
