//! Where the API is, whom to trust there, and with which credentials.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

use crate::secret::Secret;
use crate::{Error, Policy, Problem, kubeconfig};

/// Of a file of credentials no more is read.
const MOST_READ: u64 = 4 << 20;

/// Where a pod has its own (`staging/src/k8s.io/client-go/rest/config.go`).
const OF_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The kubelet's own.
const OF_KUBELET: &str = "/etc/kubernetes/kubelet.conf";

/// An administrator's.
const OF_ADMINISTRATOR: [&str; 2] = ["/etc/kubernetes/admin.conf", "/etc/rancher/k3s/k3s.yaml"];

/// Where credentials are looked for: an environment, and a root of files.
#[derive(Clone)]
pub struct Whereabouts {
    environment: HashMap<String, String>,
    root: PathBuf,
}

impl std::fmt::Debug for Whereabouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whereabouts").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Whereabouts {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        const READ: [&str; 5] =
            ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG", "HOME", "NODE_NAME"];
        let value = |name: &str| Some((name.to_string(), std::env::var(name).ok()?));
        Self::new(READ.into_iter().filter_map(value), "/")
    }

    /// Others: what is read of the environment is `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`, `KUBECONFIG`, `HOME` and `NODE_NAME`.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>, root: impl Into<PathBuf>) -> Self {
        Self {
            environment: environment.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            root: root.into(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// The kubeconfigs that may be used.
    fn kubeconfigs(&self, policy: Policy) -> Vec<PathBuf> {
        let fixed = |path: &str| self.path(path);
        if policy == Policy::Auto {
            return vec![fixed(OF_KUBELET)];
        }
        let given = self.get("KUBECONFIG").into_iter().flat_map(|paths| paths.split(':'));
        let given = given.filter(|path| !path.is_empty()).map(PathBuf::from);
        let of_user = self.get("HOME").map(|home| Path::new(home).join(".kube/config"));
        let of_node = [OF_KUBELET].into_iter().chain(OF_ADMINISTRATOR).map(fixed);
        given.chain(of_user).chain(of_node).collect()
    }
}

/// How the API is asked.
#[derive(Debug)]
pub(crate) struct Access {
    /// Where that is said.
    pub(crate) from: String,
    /// `https://10.0.0.1:6443`.
    pub(crate) server: String,
    pub(crate) trust: Trust,
    pub(crate) credential: Credential,
    /// The node's name, where it is said.
    pub(crate) node: Option<String>,
}

/// Whom to trust.
#[derive(Debug)]
pub(crate) enum Trust {
    Authorities(Vec<Certificate<'static>>),
    /// Those whom the host trusts.
    Host,
}

/// Who asks.
pub(crate) enum Credential {
    Token(Secret),
    Certificate(ClientCert),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Certificate(_) => "Certificate(…)",
        })
    }
}

impl Access {
    /// The first that is there. `None` where nothing is there, or not to be read without being asked for.
    pub(crate) fn find(policy: Policy, whereabouts: &Whereabouts) -> Result<Option<Self>, Error> {
        if policy == Policy::Off {
            return Ok(None);
        }
        let found = Self::of_pod(whereabouts).or_else(|| {
            let paths = whereabouts.kubeconfigs(policy).into_iter();
            paths
                .map(|path| kubeconfig::access(&path))
                .find(|access| !access.as_ref().is_err_and(|e| is_passed(e, policy)))
        });
        let found = found.transpose()?;
        if found.is_none() && policy == Policy::On {
            let paths = whereabouts.kubeconfigs(policy);
            let looked: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            let none = Problem::NoCredentials(format!("a pod's token, {}", looked.join(", ")));
            return Err(Error::new("look for credentials of the Kubernetes API", none));
        }
        Ok(found
            .map(|access| Self { node: whereabouts.get("NODE_NAME").map(str::to_string).or(access.node), ..access }))
    }

    /// What the kubelet of a pod gave it.
    fn of_pod(whereabouts: &Whereabouts) -> Option<Result<Self, Error>> {
        let host = whereabouts.get("KUBERNETES_SERVICE_HOST")?;
        let port = whereabouts.get("KUBERNETES_SERVICE_PORT").unwrap_or("443");
        let folder = whereabouts.path(OF_POD);
        let token = match text_of(&folder.join("token")) {
            // A pod without a token asks nothing.
            Err(error) if is_absent(&error) => return None,
            token => token,
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        let access = || {
            let tried = format!("read {}", folder.display());
            let authorities = read(&folder.join("ca.crt"))?;
            Ok(Self {
                from: folder.display().to_string(),
                server: format!("https://{host}:{port}"),
                trust: Trust::authorities(&authorities, &tried)?,
                credential: Credential::token(Secret::of(&token?), &tried)?,
                node: None,
            })
        };
        Some(access())
    }

    /// The node that is asked for. A pod's host name is its own.
    pub(crate) fn node(&self, host: Option<&str>) -> Result<String, Error> {
        let is_pods = self.from.ends_with(OF_POD);
        let of_host = host.filter(|_| !is_pods).map(str::to_lowercase);
        let node = self.node.clone().or(of_host);
        node.ok_or_else(|| Error::new(format!("look for this node's name, with {}", self.from), Problem::NoNode))
    }
}

impl Trust {
    pub(crate) fn authorities(pem: &[u8], tried: &str) -> Result<Self, Error> {
        let authorities = certificates(pem);
        let none = || Error::new(tried, Problem::NotUnderstood("there is no certificate in its authority's".into()));
        if authorities.is_empty() { Err(none()) } else { Ok(Self::Authorities(authorities)) }
    }
}

impl Credential {
    pub(crate) fn token(token: Secret, tried: &str) -> Result<Self, Error> {
        let odd = token.is_empty() || !token.reveal().bytes().all(|byte| byte.is_ascii_graphic());
        let problem = || Error::new(tried, Problem::NotUnderstood("its token is none".into()));
        if odd { Err(problem()) } else { Ok(Self::Token(token)) }
    }

    pub(crate) fn certificate(chain: &[u8], key: &[u8], tried: &str) -> Result<Self, Error> {
        let chain = certificates(chain);
        match PrivateKey::from_pem(key) {
            Ok(key) if !chain.is_empty() => Ok(Self::Certificate(ClientCert::new_with_certs(&chain, key))),
            _ => Err(Error::new(tried, Problem::NotUnderstood("its client certificate or key is none".into()))),
        }
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    parse_pem(pem).filter_map(certificate).collect()
}

/// Whether the next one is tried: nothing is there, or nobody asked for what may not be read.
fn is_passed(error: &Error, policy: Policy) -> bool {
    let may_not =
        matches!(&error.problem, Problem::Read(answered) if answered.kind() == io::ErrorKind::PermissionDenied);
    is_absent(error) || (may_not && policy == Policy::Auto)
}

fn is_absent(error: &Error) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    matches!(&error.problem, Problem::Read(answered) if absent.contains(&answered.kind()))
}

/// A file as a text.
pub(crate) fn text_of(path: &Path) -> Result<String, Error> {
    let not_text = |_| Error::new(format!("read {}", path.display()), Problem::NotUnderstood("not UTF-8".into()));
    String::from_utf8(read(path)?).map_err(not_text)
}

/// A file, as far as files of credentials go.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_READ).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(answered) => Err(Error::new(format!("read {}", path.display()), Problem::Read(answered))),
    }
}
