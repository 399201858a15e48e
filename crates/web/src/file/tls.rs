//! The section `tls_server_config`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{NamedGroup, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::fault::Fault;
use super::files::Files;
use super::quoted;
use super::source::Source;
use super::yaml::Node;
use crate::http::AnyCertificate;

const KEYS: [&str; 13] = [
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
    "client_allowed_sans",
];

/// The section's parts, before they are held against each other.
struct Section<'a> {
    certificate: Option<Source<'a>>,
    key: Option<Source<'a>>,
    client_ca: Option<Source<'a>>,
    client_auth: ClientAuth,
    client_auth_at: &'a Node,
    least: Version,
    most: Version,
    versions_at: &'a Node,
    suites: Option<(&'a Node, Vec<SupportedCipherSuite>)>,
    server_prefers: bool,
    groups: Option<Vec<&'static dyn SupportedKxGroup>>,
}

/// What is asked of a client's certificate; the names are Go's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Tls12,
    Tls13,
}

/// Reads the section; an empty one asks for no TLS.
pub(super) fn read(section: &Node, folder: &Path, files: &mut Files) -> Result<Option<Arc<ServerConfig>>, Fault> {
    if section.entries()?.is_empty() {
        return Ok(None);
    }
    Section::read(section, folder, files)?.build(section).map(|config| Some(Arc::new(config)))
}

impl<'a> Section<'a> {
    fn read(section: &'a Node, folder: &Path, files: &mut Files) -> Result<Self, Fault> {
        let mut parts = Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_auth: ClientAuth::None,
            client_auth_at: section,
            least: Version::Tls12,
            most: Version::Tls13,
            versions_at: section,
            suites: None,
            server_prefers: true,
            groups: None,
        };
        for entry in section.entries()? {
            match entry.name.as_str() {
                "cert" => set(&mut parts.certificate, Source::inline(entry)?, entry)?,
                "key" => set(&mut parts.key, Source::inline(entry)?, entry)?,
                "client_ca" => set(&mut parts.client_ca, Source::inline(entry)?, entry)?,
                "cert_file" => set(&mut parts.certificate, Source::file(entry, folder, files)?, entry)?,
                "key_file" => set(&mut parts.key, Source::file(entry, folder, files)?, entry)?,
                "client_ca_file" => set(&mut parts.client_ca, Source::file(entry, folder, files)?, entry)?,
                "client_auth_type" => (parts.client_auth, parts.client_auth_at) = (client_auth(entry)?, entry),
                "min_version" => parts.least = tls_version(entry)?,
                "max_version" => (parts.most, parts.versions_at) = (tls_version(entry)?, entry),
                "cipher_suites" => parts.suites = Some((entry, each(entry, suite)?)),
                "prefer_server_cipher_suites" => parts.server_prefers = entry.flag()?,
                "curve_preferences" => parts.groups = Some(each(entry, group)?),
                "client_allowed_sans" => {
                    return Err(entry.fault(
                        "Plimsoll does not compare the names in clients' certificates: use a client_ca_file that \
                         signs nobody else's",
                    ));
                }
                _ => return Err(entry.unknown(&KEYS)),
            }
        }
        Ok(parts)
    }

    fn build(&self, section: &Node) -> Result<ServerConfig, Fault> {
        let certificate = self.certificate.as_ref().ok_or_else(|| section.fault("cert_file is missing"))?;
        let key = self.key.as_ref().ok_or_else(|| section.fault("key_file is missing"))?;
        let provider = Arc::new(self.provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions()?)
            .map_err(|error| section.fault(format!("these settings do not go together: {error}")))?;
        let builder = match self.verifier(provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificate.certificates()?, key.private_key()?)
            .map_err(|error| certificate.refused(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = self.server_prefers;
        Ok(config)
    }

    /// The suites of TLS 1.2 can be chosen, as with Go's library, those of TLS 1.3 cannot: all three are good.
    fn provider(&self) -> CryptoProvider {
        let mut provider = ring::default_provider();
        if let Some((_, suites)) = &self.suites {
            provider.cipher_suites.retain(|suite| suite.tls13().is_some());
            provider.cipher_suites.extend(suites.iter().filter(|suite| suite.tls13().is_none()));
        }
        if let Some(groups) = self.groups.as_ref().filter(|groups| !groups.is_empty()) {
            provider.kx_groups.clone_from(groups);
        }
        provider
    }

    fn versions(&self) -> Result<&'static [&'static SupportedProtocolVersion], Fault> {
        const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
        const OLD: &[&SupportedProtocolVersion] = &[&version::TLS12];
        const NEW: &[&SupportedProtocolVersion] = &[&version::TLS13];
        let versions = match (self.least, self.most) {
            (Version::Tls12, Version::Tls13) => BOTH,
            (Version::Tls12, Version::Tls12) => OLD,
            (Version::Tls13, Version::Tls13) => NEW,
            (Version::Tls13, Version::Tls12) => {
                return Err(self.versions_at.fault("is TLS12, older than min_version"));
            }
        };
        match &self.suites {
            Some((at, suites))
                if self.least == Version::Tls12 && suites.iter().all(|suite| suite.tls13().is_some()) =>
            {
                Err(at.fault("has no suite for TLS 1.2: name one, or set min_version to TLS13"))
            }
            _ => Ok(versions),
        }
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Option<Arc<dyn ClientCertVerifier>>, Fault> {
        let verifies = matches!(self.client_auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
        match &self.client_ca {
            Some(source) if self.client_auth == ClientAuth::None => {
                return Err(source.fault("has no effect without client_auth_type: RequireAndVerifyClientCert"));
            }
            None if verifies => return Err(self.client_auth_at.fault("takes a client_ca_file")),
            // A broken one is told of also where it is not used.
            Some(source) => drop(source.certificates()?),
            None => {}
        }
        Ok(match (self.client_auth, &self.client_ca) {
            (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, Some(source)) => {
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(source)?), provider);
                let builder = match self.client_auth {
                    ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                    _ => builder,
                };
                Some(builder.build().map_err(|error| source.refused(&error))?)
            }
            (ClientAuth::Request, _) => Some(Arc::new(AnyCertificate::requested(provider))),
            (ClientAuth::RequireAny, _) => Some(Arc::new(AnyCertificate::required(provider))),
            _ => None,
        })
    }
}

/// A part that two keys can give, and one must.
fn set<'a>(part: &mut Option<Source<'a>>, source: Source<'a>, entry: &Node) -> Result<(), Fault> {
    if part.replace(source).is_some() {
        return Err(entry.fault("is given twice, here and in a file; leave one out"));
    }
    Ok(())
}

fn each<T>(list: &Node, read: impl Fn(&Node) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    list.items()?.iter().map(read).collect()
}

fn roots(source: &Source<'_>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in source.certificates()? {
        roots.add(certificate).map_err(|error| source.refused(&error))?;
    }
    Ok(roots)
}

fn client_auth(entry: &Node) -> Result<ClientAuth, Fault> {
    Ok(match entry.text()? {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        // The second is an old name of the first.
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        other => {
            return Err(entry.fault(format!(
                "is {}; it must be NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or \
                 RequireAndVerifyClientCert",
                quoted(other)
            )));
        }
    })
}

fn tls_version(entry: &Node) -> Result<Version, Fault> {
    match entry.text()? {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        other => Err(entry.fault(format!("is {}; Plimsoll speaks TLS12 and TLS13", quoted(other)))),
    }
}

/// A suite by Go's name: the IANA name, but for two of TLS 1.2 that were named before it was fixed.
fn suite(entry: &Node) -> Result<SupportedCipherSuite, Fault> {
    let name = match entry.text()? {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        name => name,
    };
    ring::ALL_CIPHER_SUITES.iter().find(|suite| iana_name(suite) == name).copied().ok_or_else(|| {
        let known: Vec<String> = ring::ALL_CIPHER_SUITES.iter().map(iana_name).collect();
        entry.fault(format!("{} is not done by Plimsoll; it does {}", quoted(name), known.join(", ")))
    })
}

/// The library writes `TLS13_` where IANA has `TLS_`.
fn iana_name(suite: &SupportedCipherSuite) -> String {
    suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_")
}

fn group(entry: &Node) -> Result<&'static dyn SupportedKxGroup, Fault> {
    let wanted = match entry.text()? {
        "CurveP256" => NamedGroup::secp256r1,
        "CurveP384" => NamedGroup::secp384r1,
        "X25519" => NamedGroup::X25519,
        other => {
            return Err(entry
                .fault(format!("{} is not done by Plimsoll; it does X25519, CurveP256 and CurveP384", quoted(other))));
        }
    };
    ring::ALL_KX_GROUPS
        .iter()
        .copied()
        .find(|group| group.name() == wanted)
        .ok_or_else(|| entry.fault("is not done by Plimsoll's TLS library"))
}
