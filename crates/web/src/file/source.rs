//! PEM that the file holds or names.

use std::path::Path;

use plimsoll_model::Untrusted;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::Fault;
use super::files::Files;
use super::yaml::Node;
use crate::error::shown;

/// PEM, and the key in the file that it comes from.
pub(super) struct Source<'a> {
    node: &'a Node,
    pem: Vec<u8>,
    shown: String,
}

impl<'a> Source<'a> {
    /// PEM in the file itself.
    pub(super) fn inline(node: &'a Node) -> Result<Self, Fault> {
        Ok(Self { node, pem: node.text()?.as_bytes().to_owned(), shown: "it".to_owned() })
    }

    /// PEM in a file; a relative path is taken from the folder of the web configuration file.
    pub(super) fn file(node: &'a Node, folder: &Path, files: &mut Files) -> Result<Self, Fault> {
        let path = folder.join(node.text()?);
        files.note(&path);
        let shown = shown(&path).to_string();
        let pem = super::read(&path).map_err(|answer| node.fault(format!("cannot read {shown}: {answer}")))?;
        Ok(Self { node, pem, shown })
    }

    /// The certificates, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.pem)
            .collect::<Result<_, _>>()
            .map_err(|error| self.fault(format!("{} has broken PEM ({error})", self.shown)))?;
        if certificates.is_empty() {
            return Err(self.fault(format!("{} has no certificate in PEM", self.shown)));
        }
        Ok(certificates)
    }

    /// The private key. What is in its place is not shown.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Fault> {
        PrivateKeyDer::from_pem_slice(&self.pem)
            .map_err(|_| self.fault(format!("{} has no private key in PEM, without a passphrase", self.shown)))
    }

    /// What is wrong with it.
    pub(super) fn fault(&self, problem: impl Into<String>) -> Fault {
        self.node.fault(problem)
    }

    /// What is wrong with it, by somebody else's words.
    pub(super) fn refused(&self, by: &impl std::fmt::Display) -> Fault {
        self.fault(format!("cannot be used: {}", Untrusted::from(by.to_string().as_str())))
    }
}
