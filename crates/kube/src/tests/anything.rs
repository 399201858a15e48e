//! Whatever comes is taken without panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::{ConfigMap, EndpointSlice, List, Pod, Service};
use crate::assemble::{Lists, assemble};
use crate::{config_map, yaml};

/// A value of the words that objects are made of.
fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "10.0.0.1",
        "::1",
        "None",
        "TCP",
        "UDP",
        "Pod",
        "ReplicaSet",
        "web-x",
        "x",
        "containerd://a",
        "\u{1b}[2J",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "metadata",
        "name",
        "namespace",
        "labels",
        "spec",
        "status",
        "ports",
        "port",
        "protocol",
        "podIP",
        "podIPs",
        "ip",
        "clusterIP",
        "clusterIPs",
        "endpoints",
        "addresses",
        "targetRef",
        "kind",
        "ownerReferences",
        "controller",
        "containerStatuses",
        "containerID",
        "nodePort",
        "kubernetes.io/service-name",
        "pod-template-hash",
        "data",
    ]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()),
        ]
    })
}

fn items<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    let list = serde_json::from_value::<List<T>>(json!({ "items": [value] }));
    list.ok().and_then(|list| list.items).unwrap_or_default()
}

proptest! {
    #[test]
    fn objects(value in value()) {
        let lists = Lists {
            pods: items::<Pod>(&value),
            services: items::<Service>(&value),
            slices: items::<EndpointSlice>(&value),
            config_map: serde_json::from_value::<ConfigMap>(value).ok(),
        };
        let answer = assemble(&lists, Vec::new());
        let is_escaped = !answer.services.iter().any(|service| service.to_string().contains('\u{1b}'));
        prop_assert!(is_escaped);
    }

    #[test]
    fn texts(text in "[a-z:{}\\[\\]\\-&*!|>#\"' \n\u{1b}]{0,80}") {
        let _ = yaml::parse(&text);
        let map: ConfigMap = serde_json::from_value(json!({ "data": { "config.conf": text } })).unwrap_or(ConfigMap { data: [].into() });
        let _ = config_map::configuration(&map);
    }
}
