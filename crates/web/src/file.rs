//! Prometheus' web configuration file, as its exporter-toolkit documents it (`docs/web-configuration.md`), read strictly: a
//! key that is not known, and one whose effect Plimsoll does not have, is an error with its line.

mod fault;
mod files;
mod headers;
mod rate;
mod source;
mod tls;
mod yaml;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use plimsoll_model::Untrusted;
use rustls::ServerConfig;

pub use self::fault::Fault;
pub(crate) use self::files::Files;
pub(crate) use self::rate::Rate;
use self::yaml::Node;
use crate::Error;
use crate::users::{self, Users};

const SECTIONS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

/// The costliest bcrypt hash that is taken: a comparison takes a few seconds, and a request is given ten.
const COSTLIEST: u32 = 16;

/// The most bytes of a file that are read: a web configuration, a key, a chain of certificates.
const LONGEST: u64 = 1 << 20;

/// What the file asks for.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) users: Users,
    /// Headers of every answer, in place of the server's own of the same name.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) rate: Option<Rate>,
}

impl Settings {
    /// Those without a file: everybody is let in.
    pub(crate) fn open() -> Result<Self, Fault> {
        Self::from_node(&yaml::parse("")?, Path::new(""), &mut Files::default())
    }

    /// Whether everybody is let in, without TLS.
    pub(crate) fn are_open(&self) -> bool {
        self.tls.is_none() && self.users.is_empty()
    }

    /// Reads a file and those that it names. Each is noted in `files`.
    pub(crate) fn read(path: &Path, files: &mut Files) -> Result<Self, Error> {
        files.note(path);
        let bytes = read(path).map_err(|answer| Error::Read { path: path.to_owned(), answer })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        text(&bytes)
            .and_then(yaml::parse)
            .and_then(|top| Self::from_node(&top, folder, files))
            .map_err(|fault| Error::File { path: path.to_owned(), fault })
    }

    fn from_node(top: &Node, folder: &Path, files: &mut Files) -> Result<Self, Fault> {
        let mut settings = Self { tls: None, users: users_of(HashMap::new(), top)?, headers: Vec::new(), rate: None };
        for section in top.entries()? {
            match section.name.as_str() {
                "tls_server_config" => settings.tls = tls::read(section, folder, files)?,
                "http_server_config" => settings.headers = headers::read(section)?,
                "basic_auth_users" => settings.users = read_users(section)?,
                "rate_limit" => settings.rate = rate::read(section)?,
                _ => return Err(section.unknown(&SECTIONS)),
            }
        }
        Ok(settings)
    }
}

fn read_users(section: &Node) -> Result<Users, Fault> {
    let mut hashes = HashMap::new();
    for user in section.entries()? {
        let hash = user.text()?;
        match users::cost(hash) {
            Some(..=COSTLIEST) => hashes.insert(user.name.clone(), hash.to_owned()),
            Some(_) => return Err(user.fault(format!("the cost of the hash must be at most {COSTLIEST}"))),
            None => {
                return Err(
                    user.fault("must be a password's bcrypt hash, such as `htpasswd -nB` makes, not a password")
                );
            }
        };
    }
    users_of(hashes, section)
}

fn users_of(hashes: HashMap<String, String>, at: &Node) -> Result<Users, Fault> {
    Users::new(hashes).map_err(|_| at.fault("the system gives no random numbers"))
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Fault::at(before.split(|byte| *byte == b'\n').count(), "", "not text in UTF-8")
    })
}

/// The bytes of a file, unless they are too many.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// A value of the file, escaped and in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", Untrusted::from(text))
}
