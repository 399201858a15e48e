//! Files for tests: in memory, and on disk.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use plimsoll_model::{Interval, Protocol, Service};
use plimsoll_proxies::{Advice, Bounded, Churn, Configuration, Files, Limits, ProxyAdvice, Write, advise, rewritten};

/// Files in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }

    /// The files with what an advice writes.
    pub(crate) fn with(&self, advice: &ProxyAdvice) -> Self {
        let mut new = self.clone();
        for (path, text) in &mut new.0 {
            if let Ok(changed) = rewritten(path, text, rewrites(advice)) {
                *text = changed;
            }
        }
        new
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        std::str::from_utf8(&self.0[Path::new(path)]).unwrap()
    }
}

impl Files for Memory {
    fn read(&self, file: &Path, _: usize) -> io::Result<Vec<u8>> {
        self.0.get(file).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn names(&self, folder: &Path, _: usize) -> io::Result<Vec<OsString>> {
        let names: Vec<_> = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(folder).ok()?.components().next())
            .map(|name| name.as_os_str().to_os_string())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }
}

/// The machine's files.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(file)?.take(at_most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn names(&self, folder: &Path, _: usize) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }
}

/// Files for somebody who waits for an answer, as long as it takes.
pub(crate) fn once(files: &dyn Files) -> Bounded<'_> {
    Bounded::new(files, Limits::ONCE, &|| false)
}

/// Connections towards an address and port: so many in the time for which each keeps its entry.
pub(crate) fn churn(towards: &str, entries: f64) -> Churn {
    let address: std::net::SocketAddr = towards.parse().unwrap();
    let towards = Service { address: address.ip(), protocol: Protocol::TCP, port: address.port() };
    Churn { towards, new_per_sec: Interval::exact(entries / 120.0), time_wait_secs: 120 }
}

/// The one advice about a proxy.
pub(crate) fn only(configuration: &Configuration, churn: Churn) -> ProxyAdvice {
    let mut advice = advise(std::slice::from_ref(configuration), &[churn], &|_| Vec::new());
    match (advice.pop(), advice.is_empty()) {
        (Some(Advice::Proxy(advice)), true) => *advice,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn rewrites(advice: &ProxyAdvice) -> &[plimsoll_proxies::Rewrite] {
    match &advice.upstream.keeping {
        plimsoll_proxies::Keeping::NotKept { remedy, .. } => match &remedy.write {
            Write::Rewrites(rewrites) => rewrites,
            Write::ByHand(words) => panic!("by hand: {words}"),
        },
        other => panic!("{other:?}"),
    }
}
