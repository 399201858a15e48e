//! What containers are called, by the files that their runtimes keep.

use plimsoll_model::Untrusted;

use crate::HostFs;

impl HostFs {
    /// The name of a container: Docker's own, or `namespace/pod/container` of Kubernetes, as containerd and CRI-O note it.
    /// `None` where no file tells: they take root, and may be elsewhere.
    pub(crate) fn container_name(&self, id: &str) -> Option<Untrusted> {
        RUNTIMES.iter().find_map(|runtime| {
            let text = self.read(&runtime.file.replace("ID", id)).ok()?;
            name(&serde_json::from_slice(text.bytes()).ok()?, runtime.keys)
        })
    }
}

struct Runtime {
    /// Its file of a container.
    file: &'static str,
    /// The parts of its name there.
    keys: &'static [&'static str],
}

const CONTAINERD: &[&str] = &[
    "/annotations/io.kubernetes.cri.sandbox-namespace",
    "/annotations/io.kubernetes.cri.sandbox-name",
    "/annotations/io.kubernetes.cri.container-name",
];
const CRI_O: &[&str] = &[
    "/annotations/io.kubernetes.pod.namespace",
    "/annotations/io.kubernetes.pod.name",
    "/annotations/io.kubernetes.container.name",
];

/// Where each runtime keeps it, unless it was told otherwise.
const RUNTIMES: [Runtime; 4] = [
    Runtime { file: "/var/lib/docker/containers/ID/config.v2.json", keys: &["/Name"] },
    Runtime { file: "/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", keys: CONTAINERD },
    Runtime { file: "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", keys: CONTAINERD },
    Runtime { file: "/run/containers/storage/overlay-containers/ID/userdata/config.json", keys: CRI_O },
];

fn name(config: &serde_json::Value, keys: &[&str]) -> Option<Untrusted> {
    let parts: Option<Vec<&str>> = keys.iter().map(|key| part(config, key)).collect();
    // Docker's begins with a slash.
    Some(Untrusted::from(parts?.join("/").trim_start_matches('/')))
}

/// The value under `/a` or `/a/b`, where b may hold anything but a slash.
fn part<'a>(config: &'a serde_json::Value, key: &str) -> Option<&'a str> {
    key.split('/').skip(1).try_fold(config, |value, key| value.get(key))?.as_str()
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    #[test]
    fn each_runtime_is_asked_by_its_file() {
        let tree = Tree::new();
        let name = |id: &str| tree.host().container_name(id).map(|name| name.to_string());
        assert_eq!(name("abc"), None);
        tree.write("var/lib/docker/containers/abc/config.v2.json", r#"{"ID":"abc","Name":"/web\u001b"}"#);
        assert_eq!(name("abc").as_deref(), Some("web\\u{1b}"));
        let kube = |key: &str| format!(r#"{{"annotations":{{{key}}}}}"#);
        tree.write(
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/def/config.json",
            kube(
                r#""io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name":"web-1",
                   "io.kubernetes.cri.container-name":"nginx""#,
            ),
        );
        assert_eq!(name("def").as_deref(), Some("shop/web-1/nginx"));
        let userdata = "run/containers/storage/overlay-containers";
        tree.write(
            &format!("{userdata}/1/userdata/config.json"),
            kube(
                r#""io.kubernetes.pod.namespace":"a","io.kubernetes.pod.name":"b","io.kubernetes.container.name":"c""#,
            ),
        );
        assert_eq!(name("1").as_deref(), Some("a/b/c"));
        tree.write(&format!("{userdata}/2/userdata/config.json"), "{]");
        assert_eq!(name("2"), None);
    }
}
