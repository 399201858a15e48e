//! What is understood of Envoy's files, and what is said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::path::Path;

use plimsoll_proxies::{Configuration, Counted, Error, Keeping, Opens, Write, envoy};
use support::{Memory, churn, once, only};

const FILE: &str = "/etc/envoy/envoy.yaml";

fn read(text: &str) -> Configuration {
    envoy::read(Path::new(FILE), &mut once(&Memory::of(&[(FILE, text)]))).unwrap()
}

fn bootstrap(cluster: &str) -> String {
    format!(
        "# ünïcode before\nadmin: {{ access_log_path: /dev/null }}\nstatic_resources:\n  clusters:\n  - name: web\n    type: STATIC\n{cluster}    \
         load_assignment:\n      cluster_name: web\n      endpoints:\n      - lb_endpoints:\n        - endpoint:\n            address:\n              \
         socket_address: {{ address: 10.0.0.1, port_value: 80 }}\n"
    )
}

#[test]
fn what_closes_connections_is_found_and_rewritten() {
    const TYPED: &str = "    typed_extension_protocol_options:\n      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n        \
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n        common_http_protocol_options:\n          \
        max_requests_per_connection: 1 # why\n        explicit_http_config: { http_protocol_options: {} }\n";
    for (cluster, opens, line) in [
        (TYPED, Opens::EachRequest, 11),
        ("    max_requests_per_connection: 1\n", Opens::EachRequest, 7),
        ("    common_http_protocol_options: {\"max_requests_per_connection\": 1}\n", Opens::EachRequest, 7),
        ("    connection_pool_per_downstream_connection: true\n", Opens::EachClientConnection, 7),
    ] {
        let text = bootstrap(cluster);
        let files = Memory::of(&[(FILE, &text)]);
        let advice = only(&read(&text), churn("10.0.0.1:80", 10_000.0));
        let Keeping::NotKept { opens: found, because, .. } = &advice.upstream.keeping else { panic!("{advice}") };
        assert_eq!((*found, because[0].place.line), (opens, line), "{advice}");
        let new = files.with(&advice);
        let expected = text.replace("_connection: 1", "_connection: 1000").replace("n\": 1}", "n\": 1000}");
        assert_eq!(new.text(FILE), expected.replace("_connection: true", "_connection: false"));
        let advice = only(&read(new.text(FILE)), churn("10.0.0.1:80", 10_000.0));
        assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}");
    }
    for kept in ["", "    max_requests_per_connection: 50\n", "    connection_pool_per_downstream_connection: false\n"]
    {
        let advice = only(&read(&bootstrap(kept)), churn("10.0.0.1:80", 1.0));
        assert!(matches!(advice.upstream.keeping, Keeping::Kept(_)), "{advice}");
    }
}

#[test]
fn a_cluster_of_connections_has_one_for_each() {
    let listener = "  listeners:\n  - filter_chains:\n    - filters:\n      - name: tcp\n        typed_config:\n          \
        \"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\n          cluster: web\n";
    let text = bootstrap("    max_requests_per_connection: 1\n") + listener;
    let advice = only(&read(&text), churn("10.0.0.1:80", 1.0));
    assert!(
        matches!(advice.upstream.keeping, Keeping::ByNature { opens: Opens::EachClientConnection, .. }),
        "{advice}"
    );
    let both = text.clone()
        + "      - name: http\n        typed_config:\n          \"@type\": x.HttpConnectionManager\n          route_config:\n            \
           virtual_hosts: [{ routes: [{ route: { weighted_clusters: { clusters: [{ name: web, weight: 1 }] } } }] }]\n";
    let advice = only(&read(&both), churn("10.0.0.1:80", 1.0));
    let Keeping::NotKept { remedy, .. } = &advice.upstream.keeping else { panic!("{advice}") };
    assert!(remedy.cautions[0].as_str().contains("`tcp_proxy` uses the cluster, too"), "{advice}");
}

#[test]
fn fields_are_read_in_both_spellings() {
    let camel = bootstrap("    commonHttpProtocolOptions: { maxRequestsPerConnection: 1 }\n")
        .replace("static_resources", "staticResources");
    let advice = only(&read(&camel.replace("socket_address", "socketAddress")), churn("10.0.0.1:80", 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::NotKept { opens: Opens::EachRequest, .. }), "{advice}");
}

/// Each of these was tried with Envoy 1.40: what its dump tells.
#[test]
fn values_are_read_as_envoy_takes_them() {
    for (limit, is_one) in [
        ("\"1\"", true),
        ("1.0", true),
        ("0x1", true),
        ("{ value: 1 }", true),
        ("1e3", false),
        ("0X10", false),
        ("0", false),
        ("null", false),
    ] {
        let text = bootstrap(&format!("    max_requests_per_connection: {limit}\n"));
        let advice = only(&read(&text), churn("10.0.0.1:80", 1.0));
        match &advice.upstream.keeping {
            Keeping::NotKept { opens: Opens::EachRequest, .. } => assert!(is_one, "{advice}"),
            Keeping::Kept(_) => assert!(!is_one, "{advice}"),
            _ => panic!("{advice}"),
        }
    }
    for (flag, is_set) in [
        ("yes", true),
        ("On", true),
        ("TRUE", true),
        ("\"t\"", true),
        ("no", false),
        ("\"false\"", false),
        ("null", false),
    ] {
        let text = bootstrap(&format!("    connection_pool_per_downstream_connection: {flag}\n"));
        let advice = only(&read(&text), churn("10.0.0.1:80", 1.0));
        assert_eq!(matches!(advice.upstream.keeping, Keeping::NotKept { .. }), is_set, "{advice}");
    }
}

#[test]
fn the_proxy_protocol_ties_a_connection_to_its_client() {
    const SOCKET: &str = "transport_socket: { typed_config: { \"@type\": \
                          type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport } }";
    let advice = only(&read(&bootstrap(&format!("    {SOCKET}\n"))), churn("10.0.0.1:80", 1.0));
    assert!(
        matches!(advice.upstream.keeping, Keeping::ByNature { opens: Opens::EachClientConnection, .. }),
        "{advice}"
    );
    let some = bootstrap(&format!("    transport_socket_matches: [{{ {SOCKET} }}]\n"));
    let advice = only(&read(&some), churn("10.0.0.1:80", 1.0));
    assert!(matches!(advice.upstream.keeping, Keeping::Unknown { .. }), "{advice}");
}

#[test]
fn a_dump_is_read_and_not_rewritten() {
    let dump = r#"{
 "configs": [
  { "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {} },
  { "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "version_info": "1",
    "dynamic_active_clusters": [ { "version_info": "1", "cluster": {
      "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "a|b\/c", "type": "EDS",
      "eds_cluster_config": { "service_name": "eds" },
      "max_requests_per_connection": 1 } },
      { "cluster": { "name": "gone", "type": "EDS" } } ] },
  { "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
    "dynamic_endpoint_configs": [ { "endpoint_config": { "cluster_name": "eds", "endpoints": [ { "lb_endpoints": [
      { "endpoint": { "address": { "socket_address": { "address": "10.0.0.1", "port_value": 80 } } } },
      { "endpoint": { "address": { "pipe": { "path": "/run/app" } } } },
      { "endpoint": {} } ] } ] } } ] },
  { "@type": "type.googleapis.com/envoy.admin.v3.NewConfigDump" }
 ]
}"#;
    let configuration = read(dump);
    let advice = only(&configuration, churn("10.0.0.1:80", 1.0));
    let Keeping::NotKept { remedy, because, .. } = &advice.upstream.keeping else { panic!("{advice}") };
    assert!(matches!(&remedy.write, Write::ByHand(words) if words.as_str().contains("control plane")), "{advice}");
    assert_eq!(because[0].place.line, 8);
    let lines: Vec<_> = configuration.gaps.iter().map(|gap| gap.place.line).collect();
    assert_eq!(lines, [15, 14, 9], "{:?}", configuration.gaps);
}

/// What Envoy 1.40 told of itself, with a cluster that has `max_requests_per_connection: 1`; the list of its extensions, 80 kB, is left out.
#[test]
fn a_real_dump_is_understood() {
    let configuration = read(include_str!("fixtures/envoy-1.40-config_dump.json"));
    assert_eq!(configuration.gaps, []);
    let [web] = configuration.upstreams.as_slice() else { panic!("{:?}", configuration.upstreams) };
    assert_eq!((web.name.as_str(), web.targets[0].to_string()), ("web", "127.0.0.1:8080".to_string()));
    assert!(matches!(web.keeping, Keeping::NotKept { opens: Opens::EachRequest, .. }), "{web:?}");
}

/// Each of these was tried with Envoy 1.40: which connections the server sees.
#[test]
fn typed_options_take_the_place_of_older_ones() {
    const OWN: &str = "    max_requests_per_connection: 1\n";
    const OLD: &str = "    common_http_protocol_options: { max_requests_per_connection: 1 }\n";
    let typed = |common: &str| {
        format!(
            "    typed_extension_protocol_options:\n      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n        \
             common_http_protocol_options: {{ {common} }}\n"
        )
    };
    for (cluster, is_kept) in [
        (typed("max_requests_per_connection: 1000"), true),
        (typed("idle_timeout: 60s") + OWN, false),
        (typed("idle_timeout: 60s") + OLD, true),
        (OLD.to_string(), false),
    ] {
        let advice = only(&read(&bootstrap(&cluster)), churn("10.0.0.1:80", 1.0));
        assert_eq!(matches!(advice.upstream.keeping, Keeping::Kept(_)), is_kept, "{advice}");
    }
}

#[test]
fn json_is_read_however_it_is_laid_out() {
    let cluster = |name: &str| {
        format!(
            r#"{{"name":"{name}","load_assignment":{{"endpoints":[{{"lb_endpoints":[{{"endpoint":{{"address":{{"socket_address":{{"address":"10.0.0.1","port_value":80}}}}}}}}]}}]}}}}"#
        )
    };
    let clusters: Vec<_> = (0..2000).map(|number| cluster(&format!("c{number}"))).collect();
    let line = format!(r#"{{"static_resources":{{"clusters":[{}]}}}}"#, clusters.join(","));
    assert_eq!(read(&line).upstreams.len(), 2000);
    let tabs = line.replace(",\"", ",\n\t\t\"").replace(":{", ": {\n\t");
    assert_eq!(read(&tabs).upstreams.len(), 2000);
    let escapes = format!(r#"{{"a":"\ud83d\ude00\u003c\/","static_resources":{{"clusters":[{}]}}}}"#, clusters[0]);
    assert_eq!(read(&escapes).upstreams.len(), 1);
}

#[test]
fn what_is_not_there_is_said() {
    let gaps = |text: &str| read(text).gaps.iter().map(ToString::to_string).collect::<Vec<_>>();
    let dynamic = gaps("dynamic_resources:\n  cds_config:\n    path: /cds.yaml\n");
    assert!(dynamic[0].starts_with(&format!("{FILE}:2: clusters come from a control plane")), "{dynamic:?}");
    assert!(gaps("a: b\n")[0].contains("neither a bootstrap nor a dump"));
    assert!(gaps("static_resources: &a\n  clusters: *a\n").iter().any(|gap| gap.contains("alias")));
    for (text, expected) in
        [("a: [\n", ""), ("a: b\n--- \nc: d\n", ":2: a second document"), ("? [a]\n: b\n", ": a key")]
    {
        let error = envoy::read(Path::new(FILE), &mut once(&Memory::of(&[(FILE, text)]))).unwrap_err();
        assert!(matches!(error, Error::Syntax { .. }) && error.to_string().contains(expected), "{error}");
    }
    let many = format!("[{}]", "[],".repeat(200_000));
    let error = envoy::read(Path::new(FILE), &mut once(&Memory::of(&[(FILE, &many)]))).unwrap_err();
    assert!(matches!(error, Error::TooMuch { counted: Counted::Words, .. }), "{error}");
    let deep = "[".repeat(100_000);
    assert!(envoy::read(Path::new(FILE), &mut once(&Memory::of(&[(FILE, &deep)]))).is_err());
}
