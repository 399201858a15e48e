//! Where credentials are found, and what is not followed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Folder;
use super::certificates::Certificates;
use crate::access::{Access, Credential, Trust};
use crate::{Policy, Problem, Whereabouts, ask};

const POD: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// A kubeconfig whose user is this.
fn config(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         clusters:\n- name: c\n  cluster: {{server: 'https://10.0.0.1:6443'}}\n- name: other\n  cluster: {{server: 'https://10.0.0.2'}}\n\
         contexts:\n- name: there\n  context: {{cluster: other, user: u}}\n- name: here\n  context: {{cluster: c, user: u}}\n\
         users:\n- name: u\n  user: {user}\n"
    )
}

fn found(around: &Whereabouts, policy: Policy) -> Option<Access> {
    Access::find(policy, around).unwrap()
}

fn refused(around: &Whereabouts) -> String {
    Access::find(Policy::On, around).unwrap_err().to_string()
}

fn kubeconfig(folder: &Folder, text: &str) -> Whereabouts {
    let path = folder.write("config", text);
    folder.around(&[("KUBECONFIG", path.to_str().unwrap())])
}

fn token(access: &Access) -> &str {
    match &access.credential {
        Credential::Token(token) => token.reveal(),
        Credential::Certificate(_) => panic!("a certificate"),
    }
}

#[test]
fn a_pods_token_comes_first() {
    let folder = Folder::new();
    let certificates = Certificates::make(folder.path());
    folder.write(&format!("{POD}/token"), "of-pod\n");
    folder.write(&format!("{POD}/ca.crt"), &certificates.text("ca.crt"));
    folder.write("etc/kubernetes/kubelet.conf", &config("{token: of-kubelet}"));
    let of = |host| {
        let pairs = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", "443"), ("NODE_NAME", "worker-1")];
        found(&folder.around(&pairs), Policy::Auto).unwrap()
    };
    let access = of("10.96.0.1");
    assert_eq!((token(&access), &*access.server), ("of-pod", "https://10.96.0.1:443"));
    assert_eq!(access.node(Some("pod-name")).unwrap(), "worker-1");
    assert!(matches!(&access.trust, Trust::Authorities(authorities) if authorities.len() == 1));
    assert_eq!(of("fd00::1").server, "https://[fd00::1]:443");
    // A pod's host name is not its node's.
    let unnamed = found(&folder.around(&[("KUBERNETES_SERVICE_HOST", "10.96.0.1")]), Policy::Auto).unwrap();
    assert!(matches!(unnamed.node(Some("pod-name")).unwrap_err().problem, Problem::NoNode));
    // Outside of a pod, or in one without a token, it is the kubelet's.
    assert_eq!(token(&found(&folder.around(&[]), Policy::Auto).unwrap()), "of-kubelet");
    std::fs::remove_file(folder.path().join(POD).join("token")).unwrap();
    let without = folder.around(&[("KUBERNETES_SERVICE_HOST", "10.96.0.1")]);
    assert_eq!(token(&found(&without, Policy::Auto).unwrap()), "of-kubelet");
}

#[test]
fn a_users_and_an_administrators_are_taken_only_where_asked_for() {
    let folder = Folder::new();
    let home = folder.path().join("home");
    let around = folder.around(&[("HOME", home.to_str().unwrap())]);
    for (file, name) in [
        ("etc/rancher/k3s/k3s.yaml", "of-k3s"),
        ("etc/kubernetes/admin.conf", "of-admin"),
        ("home/.kube/config", "of-home"),
    ] {
        folder.write(file, &config(&format!("{{token: {name}}}")));
        assert!(found(&around, Policy::Auto).is_none());
        assert!(found(&around, Policy::Off).is_none());
        assert_eq!(token(&found(&around, Policy::On).unwrap()), name);
    }
    let given = folder.write("given", &config("{token: of-variable}"));
    let both = format!("{}:{}", folder.path().join("none").display(), given.display());
    let around = folder.around(&[("HOME", home.to_str().unwrap()), ("KUBECONFIG", &both)]);
    assert_eq!(token(&found(&around, Policy::On).unwrap()), "of-variable");
    assert!(found(&around, Policy::Auto).is_none());
}

#[test]
fn where_there_is_nothing_only_who_asked_is_told() {
    let folder = Folder::new();
    let around = folder.around(&[]);
    assert!(ask(Policy::Auto, &around, None).errors.is_empty());
    assert!(ask(Policy::Off, &around, None).errors.is_empty());
    let told = refused(&around);
    assert!(told.contains("kubelet.conf") && told.contains("k3s.yaml"), "{told}");
}

#[test]
fn files_that_are_named_lie_beside() {
    let folder = Folder::new();
    folder.write("sub/token", " of-file \n");
    let around = kubeconfig(&folder, &config("{tokenFile: sub/token}"));
    assert_eq!(token(&found(&around, Policy::On).unwrap()), "of-file");
    let around = kubeconfig(&folder, &config("{tokenFile: none}"));
    assert!(Access::find(Policy::On, &around).is_err(), "it is named, and not there");
}

#[test]
fn certificates_are_taken_from_data_and_from_files() {
    let folder = Folder::new();
    let certificates = Certificates::make(folder.path());
    let data = |name: &str| STANDARD.encode(certificates.text(name));
    let inline =
        format!("{{client-certificate-data: {}, client-key-data: {}}}", data("client.crt"), data("client.key"));
    let access = found(&kubeconfig(&folder, &config(&inline)), Policy::On).unwrap();
    assert!(matches!(access.credential, Credential::Certificate(_)));
    // A kubelet's has both in one file, and its node's name in the user's.
    let both = folder.write("pki/both.pem", &(certificates.text("client.crt") + &certificates.text("client.key")));
    let user = format!("{{client-certificate: {0}, client-key: {0}}}", both.display());
    let text = config(&user)
        .replace("user: u}", "user: system:node:worker-7}")
        .replace("- name: u\n", "- name: system:node:worker-7\n");
    let authority = folder.write("ca.crt", &certificates.text("ca.crt"));
    let with_authority = text.replace("6443'", &format!("6443', certificate-authority: {}", authority.display()));
    let access = found(&kubeconfig(&folder, &with_authority), Policy::On).unwrap();
    assert!(matches!(access.credential, Credential::Certificate(_)));
    assert!(matches!(access.trust, Trust::Authorities(_)));
    assert_eq!(access.node(Some("Host")).unwrap(), "worker-7");
    let odd = config("{client-certificate-data: '%%%', client-key-data: '%%%'}");
    assert!(refused(&kubeconfig(&folder, &odd)).contains("base64"));
}

#[test]
fn a_node_is_called_after_its_host_where_nothing_else_tells() {
    let folder = Folder::new();
    let access = found(&kubeconfig(&folder, &config("{token: t}")), Policy::On).unwrap();
    assert_eq!(access.node(Some("Worker-2")).unwrap(), "worker-2");
    assert!(access.node(None).is_err());
}

#[test]
fn what_is_not_followed_is_named() {
    let folder = Folder::new();
    for (user, said) in [
        ("{exec: {command: aws}}", "exec plugin"),
        ("{auth-provider: {name: gcp}}", "auth-provider"),
        ("{username: u, password: SECRET}", "password"),
        ("{}", "without credentials"),
        ("{token: t, as: root}", "impersonation"),
    ] {
        let told = refused(&kubeconfig(&folder, &config(user)));
        assert!(told.contains(said) && told.contains("is not followed") && !told.contains("SECRET"), "{told}");
    }
    for (cluster, said) in [
        ("insecure-skip-tls-verify: true", "insecure-skip-tls-verify"),
        ("tls-server-name: x", "tls-server-name"),
        ("proxy-url: 'http://x'", "proxy-url"),
    ] {
        let text = config("{token: t}").replace("6443'", &format!("6443', {cluster}"));
        assert!(refused(&kubeconfig(&folder, &text)).contains(said));
    }
    // What is there beside a token is not needed.
    assert_eq!(token(&found(&kubeconfig(&folder, &config("{token: t, exec: {}}")), Policy::On).unwrap()), "t");
}

#[test]
fn a_file_that_is_none_is_told_without_what_stands_in_it() {
    let folder = Folder::new();
    for (text, said) in [
        ("", "another kind"),
        ("token: [SECRET", "not YAML"),
        ("users: SECRET\ncurrent-context: a", "another kind"),
        ("current-context: SECRET", "none of its contexts"),
        ("users: []", "no current-context"),
        ("a: &x b\nc: *x", "aliases"),
        ("a: b\n---\nc: d", "second document"),
    ] {
        let told = refused(&kubeconfig(&folder, text));
        assert!(told.contains(said) && !told.contains("SECRET"), "{text}: {told}");
    }
    for part in ["clusters", "users", "contexts"] {
        let told = refused(&kubeconfig(&folder, &config("{token: t}").replace(&format!("{part}:\n"), "more:\n")));
        assert!(told.contains("none of its"), "{part}: {told}");
    }
    let told = refused(&kubeconfig(&folder, &config("{token: \"two\\nlines SECRET\"}")));
    assert!(told.contains("its token is none") && !told.contains("SECRET"), "{told}");
}

#[test]
fn a_file_that_may_not_be_read_is_passed_over_unless_asked_for() {
    let folder = Folder::new();
    let path = folder.write("etc/kubernetes/kubelet.conf", &config("{token: t}"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    // Root reads it all the same.
    if std::fs::read(Path::new(&path)).is_err() {
        assert!(found(&folder.around(&[]), Policy::Auto).is_none());
        assert!(refused(&folder.around(&[])).contains("Permission denied"));
    }
}

#[test]
fn no_secret_is_shown() {
    let folder = Folder::new();
    let around = kubeconfig(&folder, &config("{token: SECRET}"));
    let access = found(&around, Policy::On).unwrap();
    assert!(!format!("{access:?}").contains("SECRET"));
    let client = crate::client::Client::new(access, std::time::Instant::now()).unwrap();
    assert!(!format!("{client:?} {around:?}").contains("SECRET"));
}
