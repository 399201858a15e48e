//! The Helm chart, and the manifests that are made from it: as Kubernetes' schemas take them, and what they may do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_monitoring::Kind;
use serde_json::Value;
use support::{file, folder, objects, ran, succeeds, text, yaml, yamls};

/// The oldest of Kubernetes that the chart says it runs on, and the newest whose schemas there are.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn packaged(path: &str) -> String {
    fs::read_to_string(top().join("packaging").join(path)).unwrap()
}

/// What the chart makes of a file of values beside its renderer, in a folder of one test's.
fn rendered(test: &str, values: &str) -> PathBuf {
    let folder = folder(&format!("chart-{test}-{values}"));
    let values = format!("packaging/helm/test/{values}.yaml");
    succeeds("scripts/manifests", &[&folder.display().to_string(), &values], &top());
    folder.join("plimsoll.yaml")
}

#[track_caller]
fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    manifests.iter().find(|object| text(object, "kind") == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn container(manifests: &[Value]) -> Value {
    let containers = of_kind(manifests, "DaemonSet").pointer("/spec/template/spec/containers").unwrap();
    let [container] = containers.as_array().unwrap().as_slice() else { panic!("{containers}") };
    container.clone()
}

/// Validates objects of Kubernetes' own strictly: keys that it does not know are refused.
fn validated(manifests: &Path) -> (bool, String) {
    const PROGRAM: &str = "
import sys, yaml, kubernetes_validate
judged = 0
for document in yaml.safe_load_all(open(sys.argv[1])):
    if document['apiVersion'].startswith('monitoring.coreos.com/'):
        continue
    for version in sys.argv[2:]:
        kubernetes_validate.validate(document, version, strict=True)
        judged += 1
print('judged', judged)
";
    let python = top().join("target/schemas/bin/python").display().to_string();
    let manifests = manifests.display().to_string();
    let mut arguments = vec!["-c", PROGRAM, &manifests];
    arguments.extend(VERSIONS);
    ran(&python, &arguments, &top())
}

#[test]
fn manifests_are_those_that_the_chart_makes() {
    let made = folder("manifests");
    succeeds("scripts/manifests", &[&made.display().to_string()], &top());
    for name in ["base", "govern", "monitoring"] {
        let path = format!("{name}/plimsoll.yaml");
        let there = fs::read_to_string(made.join(&path)).unwrap();
        assert_eq!(there, packaged(&format!("kubernetes/{path}")), "{path}: run scripts/manifests");
    }
}

#[test]
fn kubernetes_takes_every_object() {
    let packaged = |path: &str| top().join("packaging/kubernetes").join(path);
    for (manifests, objects) in [
        (packaged("namespace/namespace.yaml"), 1),
        (packaged("base/plimsoll.yaml"), 3),
        (packaged("govern/plimsoll.yaml"), 3),
        (rendered("schemas", "everything"), 7),
    ] {
        let (is_well, said) = validated(&manifests);
        assert!(is_well && said.contains(&format!("judged {}", objects * VERSIONS.len())), "{manifests:?}: {said}");
    }
}

#[test]
fn kubernetes_refuses_what_is_wrong() {
    let right = Kind::Kubernetes.text();
    for (written, instead) in [("hostPID: true", "hostPID: 1"), ("mountPath: /run", "mountpath: /run")] {
        let wrong = folder("manifests-wrong").join("plimsoll.yaml");
        assert_ne!(right, right.replace(written, instead));
        fs::write(&wrong, right.replace(written, instead)).unwrap();
        let (is_well, said) = validated(&wrong);
        assert!(!is_well && said.contains("ValidationError"), "{instead}: {said}");
    }
}

#[test]
fn what_reads_has_no_more_than_the_document_says() {
    let manifests = yamls(Kind::Kubernetes.text());
    let kinds: Vec<_> = manifests.iter().map(|object| text(object, "kind")).collect();
    assert_eq!(kinds, ["DaemonSet", "Service", "ServiceAccount"], "it asks nothing of the API");
    let context = container(&manifests).get("securityContext").unwrap().clone();
    let expected = yaml(
        "{runAsUser: 0, readOnlyRootFilesystem: true, privileged: false, allowPrivilegeEscalation: false, \
         capabilities: {drop: [ALL], add: [NET_ADMIN, SYS_ADMIN, SYS_PTRACE]}, \
         seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: Unconfined}}",
    );
    assert_eq!(context, expected);
    let document = fs::read_to_string(top().join("docs/kubernetes.md")).unwrap();
    for name in objects(&expected["capabilities"], "add") {
        assert!(document.contains(&format!("| `CAP_{}` |", name.as_str().unwrap())), "{name}");
    }
    let pod = of_kind(&manifests, "DaemonSet").pointer("/spec/template/spec").unwrap();
    assert_eq!(pod.get("automountServiceAccountToken"), Some(&Value::Bool(false)));
    assert!(pod.get("hostNetwork").is_none() && pod.get("hostPID") == Some(&Value::Bool(true)));
}

#[test]
fn what_asks_the_api_may_read_names_and_nothing_else() {
    let manifests = yamls(&fs::read_to_string(rendered("api", "everything")).unwrap());
    let role = of_kind(&manifests, "ClusterRole");
    let expected = yaml(
        "[{apiGroups: [''], resources: [pods, services], verbs: [list]}, \
         {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}, \
         {apiGroups: [''], resources: [configmaps], resourceNames: [kube-proxy], verbs: [get]}]",
    );
    assert_eq!(role.get("rules"), Some(&expected));
    let binding = of_kind(&manifests, "ClusterRoleBinding");
    assert_eq!(binding.pointer("/roleRef/name"), role.pointer("/metadata/name"));
    let account = of_kind(&manifests, "ServiceAccount");
    for key in ["name", "namespace"] {
        assert_eq!(binding.pointer(&format!("/subjects/0/{key}")), account.pointer(&format!("/metadata/{key}")));
    }
    // The document has the same, for those who bind it by hand.
    let document = fs::read_to_string(top().join("docs/kubernetes.md")).unwrap();
    let block = document.split("```yaml\n").find(|block| block.contains("kind: ClusterRole\n")).unwrap();
    let by_hand = yamls(block.split("```").next().unwrap());
    assert_eq!(of_kind(&by_hand, "ClusterRole").get("rules"), Some(&expected));
}

#[test]
fn what_governs_is_asked_for_and_keeps_its_journal_on_the_node() {
    let manifests = yamls(&packaged("kubernetes/govern/plimsoll.yaml"));
    let container = container(&manifests);
    assert!(objects(&container, "args").iter().any(|argument| argument == "--govern"));
    assert_eq!(container.pointer("/securityContext/privileged"), Some(&Value::Bool(true)));
    let pod = of_kind(&manifests, "DaemonSet").pointer("/spec/template/spec").unwrap();
    assert_eq!(pod.get("hostNetwork"), Some(&Value::Bool(true)));
    let kept = objects(pod, "volumes").iter().find(|volume| text(volume, "name") == "state").unwrap();
    assert_eq!(kept.pointer("/hostPath/path").and_then(Value::as_str), Some("/var/lib/plimsoll"));
    assert!(!Kind::Kubernetes.text().contains("govern") && !Kind::Kubernetes.text().contains("privileged: true"));
}

#[test]
fn parts_name_each_other() {
    for manifests in
        [yamls(Kind::Kubernetes.text()), yamls(&fs::read_to_string(rendered("parts", "everything")).unwrap())]
    {
        let set = of_kind(&manifests, "DaemonSet");
        let (pod, container) = (set.pointer("/spec/template/spec").unwrap(), container(&manifests));
        let volumes: Vec<_> = objects(pod, "volumes").iter().map(|volume| text(volume, "name")).collect();
        let mounts: Vec<_> = objects(&container, "volumeMounts").iter().map(|mount| text(mount, "name")).collect();
        assert_eq!(volumes, mounts);
        assert_eq!(set.pointer("/spec/selector/matchLabels"), set.pointer("/spec/template/metadata/labels"));
        let service = of_kind(&manifests, "Service");
        assert_eq!(service.pointer("/spec/selector"), set.pointer("/spec/selector/matchLabels"));
        let ports = objects(&container, "ports");
        assert_eq!(ports[0].get("name"), service.pointer("/spec/ports/0/targetPort"));
        let listens = format!(":{}", ports[0]["containerPort"]);
        assert!(objects(&container, "args").iter().any(|it| it.as_str().unwrap().ends_with(&listens)), "{container}");
    }
}

#[test]
fn every_value_is_used() {
    let (plain, all) = (rendered("values", "govern"), rendered("values", "everything"));
    assert_eq!(fs::read_to_string(plain).unwrap(), packaged("kubernetes/govern/plimsoll.yaml"));
    let all = fs::read_to_string(all).unwrap();
    let values = yaml(&packaged("helm/test/everything.yaml"));
    assert_eq!(keys(&values), keys(&yaml(&packaged("helm/plimsoll/values.yaml"))), "a value is not tried");
    for used in [
        "registry.example.org/net/plimsoll@sha256:0000",
        "imagePullPolicy: Always",
        "- name: registry\n",
        "--listen=[::]:19754",
        "interval = \"30s\"",
        "--config=/etc/plimsoll/watch.toml",
        "--govern-profile=general",
        "path: /srv/plimsoll,",
        "interval: 30s",
        "release: prometheus",
        "kind: Role\n",
        "kind: ClusterRole\n",
        "automountServiceAccountToken: true",
        "fieldPath: spec.nodeName",
        "cpu: 50m",
        "priorityClassName: system-node-critical",
        "node-role.kubernetes.io/edge: \"\"",
        "effect: NoSchedule",
    ] {
        assert!(all.contains(used), "{used}");
    }
}

fn keys(of: &Value) -> Vec<&String> {
    of.as_object().unwrap().keys().collect()
}

#[test]
fn the_rules_of_the_operator_are_those_for_prometheus() {
    let manifests = yamls(Kind::PrometheusOperator.text());
    let rule = of_kind(&manifests, "PrometheusRule");
    assert_eq!(text(rule, "apiVersion"), "monitoring.coreos.com/v1");
    assert_eq!(rule.get("spec"), Some(&yaml(Kind::Prometheus.text())));
    let folder = folder("operator");
    fs::write(folder.join("rules.yml"), rule["spec"].to_string()).unwrap();
    succeeds("promtool", &["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], &folder);
    // What the operator's definition of a rule has.
    for group in objects(&rule["spec"], "groups") {
        assert!(objects(group, "rules").len() > 10);
        for rule in objects(group, "rules") {
            let known =
                |key: &String| ["alert", "record", "expr", "for", "labels", "annotations"].contains(&key.as_str());
            assert!(keys(rule).into_iter().all(known), "{rule}");
        }
    }
}

#[test]
fn the_operator_finds_the_service_and_its_job_is_known_to_the_rules() {
    let (watched, manifests) = (yamls(Kind::Kubernetes.text()), yamls(Kind::PrometheusOperator.text()));
    let (service, monitor) = (of_kind(&watched, "Service"), of_kind(&manifests, "ServiceMonitor"));
    assert_eq!(keys(&monitor["spec"]), ["endpoints", "selector"]);
    let labels = service.pointer("/metadata/labels").unwrap();
    for (name, value) in monitor.pointer("/spec/selector/matchLabels").unwrap().as_object().unwrap() {
        assert_eq!(labels.get(name), Some(value));
    }
    assert_eq!(monitor.pointer("/metadata/namespace"), service.pointer("/metadata/namespace"));
    let [endpoint] = objects(&monitor["spec"], "endpoints") else { panic!("{monitor}") };
    assert_eq!(keys(endpoint), ["interval", "port", "relabelings"]);
    assert_eq!(endpoint.get("port"), service.pointer("/spec/ports/0/name"));
    // The operator calls a job as the service is called.
    assert!(service.pointer("/metadata/name").and_then(Value::as_str).unwrap().contains("plimsoll"));
}

#[test]
fn kustomizations_name_what_is_there() {
    let mut found = 0;
    for name in ["namespace", "base", "govern", "monitoring"] {
        let folder = top().join("packaging/kubernetes").join(name);
        let kustomization = yaml(&fs::read_to_string(folder.join("kustomization.yaml")).unwrap());
        assert_eq!(text(&kustomization, "kind"), "Kustomization");
        for resource in objects(&kustomization, "resources") {
            let path = folder.join(resource.as_str().unwrap());
            // Files from above are refused, folders are not.
            assert!(path.is_file() && path.parent() == Some(&folder) || path.join("kustomization.yaml").is_file());
            found += 1;
        }
    }
    assert_eq!(found, 7);
}

#[test]
fn the_chart_has_the_rules_by_a_link() {
    let link = top().join("packaging/helm/plimsoll/files/plimsoll.rules.yml");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "a copy grows old");
    assert_eq!(link.canonicalize().unwrap(), file(Kind::Prometheus).canonicalize().unwrap());
}
