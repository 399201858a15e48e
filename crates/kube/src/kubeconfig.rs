//! A kubeconfig: of its current context the server, whom to trust, and the credentials (`staging/src/k8s.io/client-go/tools/clientcmd/api/v1`).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::access::{Access, Credential, Trust, read, text_of};
use crate::secret::Secret;
use crate::{Error, Problem, yaml};

/// A name that a list has for something.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Named {
    #[serde(default)]
    name: String,
    cluster: Option<Cluster>,
    user: Option<User>,
    context: Option<Context>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: Option<String>,
    clusters: Option<Vec<Named>>,
    users: Option<Vec<Named>>,
    contexts: Option<Vec<Named>>,
}

#[derive(Clone, Deserialize)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<String>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Clone, Deserialize)]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    #[serde(rename = "client-certificate")]
    certificate: Option<String>,
    #[serde(rename = "client-certificate-data")]
    certificate_data: Option<String>,
    #[serde(rename = "client-key")]
    key: Option<String>,
    #[serde(rename = "client-key-data")]
    key_data: Option<String>,
    exec: Option<Value>,
    #[serde(rename = "auth-provider")]
    auth_provider: Option<Value>,
    username: Option<String>,
    #[serde(rename = "as")]
    impersonates: Option<String>,
}

/// Reads a file. Others that it names lie beside it, unless they begin with `/`.
pub(crate) fn access(path: &Path) -> Result<Access, Error> {
    let tried = format!("read {}", path.display());
    let fault = |problem| Error::new(tried.clone(), problem);
    let not_understood = |problem: &str| fault(Problem::NotUnderstood(problem.into()));
    let text = text_of(path)?;
    let value = yaml::parse(&text).map_err(|problem| fault(Problem::NotUnderstood(problem)))?;
    // serde's own words quote what it found, which may be a secret.
    let config: Kubeconfig =
        serde_json::from_value(value).map_err(|_| not_understood("a value is of another kind than in a kubeconfig"))?;
    let current = config.current_context.filter(|name| !name.is_empty());
    let current = current.ok_or_else(|| not_understood("it has no current-context"))?;
    let context = find(config.contexts, &current).and_then(|named| named.context);
    let context = context.ok_or_else(|| not_understood("its current-context is none of its contexts"))?;
    let cluster = context.cluster.and_then(|name| find(config.clusters, &name)?.cluster);
    let cluster =
        cluster.ok_or_else(|| not_understood("the cluster of its current-context is none of its clusters"))?;
    let user_name = context.user.unwrap_or_default();
    let user = find(config.users, &user_name).and_then(|named| named.user);
    let user = user.ok_or_else(|| not_understood("the user of its current-context is none of its users"))?;
    if let Some(what) = not_followed(&cluster, &user) {
        return Err(fault(Problem::NotFollowed(what)));
    }
    let files = Files { beside: path, tried: &tried };
    Ok(Access {
        from: path.display().to_string(),
        server: cluster.server.ok_or_else(|| not_understood("its cluster has no server"))?,
        trust: match files.bytes(cluster.certificate_authority_data, cluster.certificate_authority)? {
            Some(pem) => Trust::authorities(&pem, &tried)?,
            None => Trust::Host,
        },
        credential: files.credential(user)?,
        node: user_name.strip_prefix("system:node:").map(str::to_string),
    })
}

fn find(list: Option<Vec<Named>>, name: &str) -> Option<Named> {
    list?.into_iter().find(|named| named.name == name)
}

/// What would be told to the wrong server, or as somebody else, if it were passed over.
fn not_followed(cluster: &Cluster, user: &User) -> Option<&'static str> {
    let has_own = user.token.is_some() || user.token_file.is_some() || has_certificate(user);
    match () {
        () if cluster.insecure_skip_tls_verify.as_deref() == Some("true") => Some("insecure-skip-tls-verify"),
        () if cluster.tls_server_name.is_some() => Some("tls-server-name"),
        () if cluster.proxy_url.is_some() => Some("proxy-url"),
        () if user.impersonates.is_some() => Some("impersonation (as)"),
        () if has_own => None,
        () if user.exec.is_some() => Some("an exec plugin (users[].user.exec)"),
        () if user.auth_provider.is_some() => Some("an auth-provider"),
        () if user.username.is_some() => Some("a user's name with a password"),
        () => Some("a user without credentials"),
    }
}

fn has_certificate(user: &User) -> bool {
    user.certificate.is_some() || user.certificate_data.is_some()
}

struct Files<'a> {
    beside: &'a Path,
    tried: &'a str,
}

impl Files<'_> {
    /// A certificate goes before a token: that is what nodes have.
    fn credential(&self, user: User) -> Result<Credential, Error> {
        if has_certificate(&user) {
            let chain = self.bytes(user.certificate_data, user.certificate)?.unwrap_or_default();
            let key = self.bytes(user.key_data, user.key)?.unwrap_or_default();
            return Credential::certificate(&chain, &key, self.tried);
        }
        let token = match user.token_file {
            Some(file) => text_of(&self.path(&file))?,
            None => user.token.unwrap_or_default(),
        };
        Credential::token(Secret::of(&token), self.tried)
    }

    /// What is there itself goes before the file that is named.
    fn bytes(&self, data: Option<String>, file: Option<String>) -> Result<Option<Vec<u8>>, Error> {
        let problem = || Error::new(self.tried, Problem::NotUnderstood("what should be base64 is not".into()));
        match (data, file) {
            (Some(data), _) => STANDARD.decode(data.trim()).map(Some).map_err(|_| problem()),
            (None, Some(file)) => read(&self.path(&file)).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.beside.parent().unwrap_or(self.beside).join(file)
    }
}
