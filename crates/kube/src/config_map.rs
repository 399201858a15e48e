//! What the `ConfigMap` of kube-proxy says, as kubeadm and others write it: a `KubeProxyConfiguration` below `config.conf`.

use plimsoll_model::{KubeProxyConfiguration, Untrusted};
use serde_json::Value;

use crate::api::ConfigMap;
use crate::yaml;

/// Nothing where there is no such key; what is wrong with it where it is not understood.
pub(crate) fn configuration(map: &ConfigMap) -> Result<Option<KubeProxyConfiguration>, Untrusted> {
    let Some(text) = ["config.conf", "config"].iter().find_map(|key| map.data.get(*key)) else { return Ok(None) };
    let top = yaml::parse(text)?;
    if top.get("kind").is_none_or(|kind| kind != "KubeProxyConfiguration") {
        return Err("it is no KubeProxyConfiguration".into());
    }
    let text_of = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Untrusted::from);
    let conntrack = top.get("conntrack").and_then(Value::as_object).into_iter().flatten();
    let set = conntrack.filter_map(|(key, value)| Some((Untrusted::from(key.as_str()), text_of(value)?)));
    Ok(Some(KubeProxyConfiguration { mode: top.get("mode").and_then(text_of), conntrack: set.collect() }))
}
