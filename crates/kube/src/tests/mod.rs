//! Against a server on the loopback, with lists made by hand.

mod anything;
mod certificates;
mod credentials;
mod objects;
mod questions;
mod server;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use self::server::Server;
use crate::Whereabouts;
use crate::access::{Access, Credential, Trust};
use crate::secret::Secret;

/// By which a server is asked that nobody else can hear.
fn access_to(server: &Server) -> Access {
    Access {
        from: "a test".to_string(),
        server: format!("http://{}", server.address),
        trust: Trust::Host,
        credential: Credential::Token(Secret::of("t0ken")),
        node: Some("worker-1".to_string()),
    }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// An environment of these variables, with this folder as the root of files.
    pub(crate) fn around(&self, environment: &[(&str, &str)]) -> Whereabouts {
        let environment = environment.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
        Whereabouts::new(environment, self.path())
    }
}
