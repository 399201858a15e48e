//! Whether Envoy keeps connections to its clusters.
//!
//! Fields are those of the API's version 3, and those of a cluster that version 3 still takes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use plimsoll_model::Untrusted;

use super::document::{Node, Value, is_field};
use crate::budget::{Budget, Short};
use crate::configuration::said;
use crate::rewrite::Source;
use crate::{
    Address, Configuration, Gap, Keeping, Opens, Place, Pool, Program, Reason, Remedy, Rewrite, Target, Upstream, Write,
};

pub(super) fn judged(source: &Source, top: &Node, budget: &Budget<'_>) -> Result<Configuration, Short> {
    let mut parts = Parts::default();
    let mut judge = Judge { source, gaps: Vec::new() };
    match dumps(top) {
        Some(dumps) => dumps.iter().for_each(|dump| judge.dump(dump, &mut parts)),
        None => judge.bootstrap(top, &mut parts),
    }
    judge.aliases(top);
    let users = Users::of(&parts.listeners, &parts.routes);
    let mut upstreams = Vec::new();
    for (cluster, origin) in &parts.clusters {
        budget.look()?;
        upstreams.extend(judge.cluster(cluster, *origin, &parts, &users));
    }
    Ok(Configuration { program: Program::Envoy, files: vec![source.path.clone()], upstreams, gaps: judge.gaps })
}

/// Where a cluster is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// In the file at hand.
    Bootstrap,
    /// Elsewhere: the file tells what is in force.
    Dump,
}

#[derive(Default)]
struct Parts<'d> {
    clusters: Vec<(&'d Node, Origin)>,
    listeners: Vec<&'d Node>,
    routes: Vec<&'d Node>,
    /// By the cluster's name: what `include_eds` adds to a dump.
    endpoints: BTreeMap<&'d str, &'d Node>,
}

fn dumps(top: &Node) -> Option<&[Node]> {
    match top.at(&["configs"]).map(|node| &node.value) {
        Some(Value::List(dumps)) => Some(dumps),
        _ => None,
    }
}

struct Judge<'d> {
    source: &'d Source,
    gaps: Vec<Gap>,
}

impl<'d> Judge<'d> {
    fn place(&self, node: &Node) -> Place {
        Place::new(&self.source.path, node.line)
    }

    fn bootstrap(&mut self, top: &'d Node, parts: &mut Parts<'d>) {
        parts
            .clusters
            .extend(top.items(&["static_resources", "clusters"]).iter().map(|node| (node, Origin::Bootstrap)));
        parts.listeners.extend(top.items(&["static_resources", "listeners"]));
        for (path, what) in [
            (["dynamic_resources", "cds_config"], "clusters"),
            (["dynamic_resources", "lds_config"], "listeners"),
            (["dynamic_resources", "ads_config"], "clusters and listeners"),
        ] {
            if let Some(node) = top.at(&path) {
                let words = format!(
                    "{what} come from a control plane or other files; the admin interface's /config_dump?include_eds tells them"
                );
                self.gaps.push(self.place(node).gap(words));
            }
        }
        if top.at(&["static_resources"]).is_none() && top.at(&["dynamic_resources"]).is_none() {
            self.gaps.push(self.place(top).gap("this is neither a bootstrap nor a dump of Envoy"));
        }
    }

    fn dump(&mut self, dump: &'d Node, parts: &mut Parts<'d>) {
        let kind = dump.text_at(&["@type"]).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "ClustersConfigDump" => {
                for list in ["static_clusters", "dynamic_active_clusters"] {
                    let clusters = dump.items(&[list]).iter().filter_map(|entry| entry.at(&["cluster"]));
                    parts.clusters.extend(clusters.map(|cluster| (cluster, Origin::Dump)));
                }
            }
            "ListenersConfigDump" => {
                let fixed = dump.items(&["static_listeners"]).iter().filter_map(|entry| entry.at(&["listener"]));
                let dynamic = dump.items(&["dynamic_listeners"]).iter();
                parts
                    .listeners
                    .extend(fixed.chain(dynamic.filter_map(|entry| entry.at(&["active_state", "listener"]))));
            }
            "RoutesConfigDump" => {
                for list in ["static_route_configs", "dynamic_route_configs"] {
                    parts.routes.extend(dump.items(&[list]).iter().filter_map(|entry| entry.at(&["route_config"])));
                }
            }
            "EndpointsConfigDump" => {
                for list in ["static_endpoint_configs", "dynamic_endpoint_configs"] {
                    let endpoints = dump.items(&[list]).iter().filter_map(|entry| entry.at(&["endpoint_config"]));
                    let named = endpoints.filter_map(|config| Some((config.text_at(&["cluster_name"])?, config)));
                    parts.endpoints.extend(named);
                }
            }
            // The bootstrap's own clusters are among the others.
            "BootstrapConfigDump" | "SecretsConfigDump" | "ScopedRoutesConfigDump" | "EcdsConfigDump" => {}
            _ => {
                let kind = Untrusted::from(kind);
                self.gaps.push(self.place(dump).gap(format!("a part of the dump that is not understood: {kind}")));
            }
        }
    }

    fn aliases(&mut self, node: &Node) {
        match &node.value {
            Value::Alias => self.gaps.push(self.place(node).gap("an alias (*name) is not followed")),
            Value::List(items) => items.iter().for_each(|item| self.aliases(item)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| self.aliases(value)),
            Value::Null | Value::Text(_) => {}
        }
    }

    fn cluster(&mut self, cluster: &Node, origin: Origin, parts: &Parts<'d>, users: &Users) -> Option<Upstream> {
        let name = cluster.text_at(&["name"]).unwrap_or_default();
        let assignment = cluster.at(&["load_assignment"]).or_else(|| {
            let service = cluster.text_at(&["eds_cluster_config", "service_name"]).filter(|name| !name.is_empty());
            parts.endpoints.get(service.unwrap_or(name)).copied()
        });
        let Some(assignment) = assignment else {
            let words =
                format!("the servers of {} are not here; a dump with include_eds tells them", Untrusted::from(name));
            self.gaps.push(self.place(cluster).gap(words));
            return None;
        };
        let mut targets = Vec::new();
        for locality in assignment.items(&["endpoints"]) {
            for endpoint in locality.items(&["lb_endpoints"]) {
                match target(endpoint) {
                    Some(target) => targets.push(target),
                    None => self.gaps.push(self.place(endpoint).gap("the address of this server is not understood")),
                }
            }
        }
        let keeping = self.keeping(cluster, origin, users.of_cluster(name));
        Some(Upstream { name: name.into(), place: self.place(cluster), targets, keeping })
    }

    fn keeping(&self, cluster: &Node, origin: Origin, user: User) -> Keeping {
        if user == User::Tcp {
            let says = "only `tcp_proxy` uses it, which passes connections on: each has one of its own";
            let because = self.place(cluster).says(says);
            return Keeping::ByNature { opens: Opens::EachClientConnection, because };
        }
        if let Some(node) = cluster.at(&["transport_socket"]).and_then(proxy_protocol) {
            let says = "the PROXY protocol tells the client's address once a connection, so none serves two clients; let \
                        `x-forwarded-for` tell it instead";
            return Keeping::ByNature { opens: Opens::EachClientConnection, because: self.place(node).says(says) };
        }
        let matches = cluster.items(&["transport_socket_matches"]).iter();
        if let Some(node) = { matches }.find_map(|one| proxy_protocol(one.at(&["transport_socket"])?)) {
            let says = "some of its servers may be told the client's address by the PROXY protocol, and then have a connection for each";
            return Keeping::Unknown { because: vec![self.place(node).says(says)] };
        }
        let mut opens = Opens::EachClientConnection;
        let (mut because, mut rewrites, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        let requests = requests_limit(cluster);
        let requests_a_connection = match requests.map(|node| (node, number(node))) {
            Some((node, Some(1))) => {
                opens = Opens::EachRequest;
                because.push(self.place(node).says("`max_requests_per_connection: 1` closes each after one request"));
                rewrites.push(self.replace(node, "1000"));
                NonZeroU64::new(1000)
            }
            // Without a limit.
            Some((_, Some(number))) => NonZeroU64::new(number),
            Some((node, None)) => {
                unknown.push(self.place(node).says("`max_requests_per_connection` is no number"));
                None
            }
            None => None,
        };
        let per_client = cluster.at(&["connection_pool_per_downstream_connection"]);
        if let Some(node) = per_client.filter(|node| is_true(node)) {
            let says =
                "`connection_pool_per_downstream_connection` gives each connection of a client a pool of its own";
            because.push(self.place(node).says(says));
            rewrites.push(self.replace(node, "false"));
        }
        let pool = Pool { idle_at_most: None, requests_a_connection };
        if because.is_empty() {
            return if unknown.is_empty() { Keeping::Kept(pool) } else { Keeping::Unknown { because: unknown } };
        }
        let remedy =
            Remedy { write: written(origin, rewrites, &because), then: pool, cautions: cautions(user, &unknown) };
        Keeping::NotKept { opens, because, remedy }
    }

    fn replace(&self, node: &Node, instead: &str) -> Rewrite {
        self.source.replace(node.bytes.clone(), instead)
    }
}

fn written(origin: Origin, rewrites: Vec<Rewrite>, because: &[Reason]) -> Write {
    if origin == Origin::Bootstrap {
        return Write::Rewrites(rewrites);
    }
    let lines: Vec<_> = because.iter().map(|reason| reason.place.line.to_string()).collect();
    Write::ByHand(said(&format!(
        "where the cluster is made (the bootstrap, or the control plane): no `max_requests_per_connection: 1` in its HTTP \
         protocol options, no `connection_pool_per_downstream_connection: true`; see the dump's line {}",
        lines.join(" and ")
    )))
}

fn cautions(user: User, unknown: &[Reason]) -> Vec<Untrusted> {
    let mut cautions: Vec<_> = unknown.iter().map(|reason| said(&format!("not known: {reason}"))).collect();
    if user == User::Both {
        cautions.push(said(
            "`tcp_proxy` uses the cluster, too: each connection that it passes on has one of its own, whatever is set",
        ));
    }
    cautions
}

/// A cluster's limit of requests for each connection.
///
/// Typed options take the place of the cluster's older ones, but for its own field; Envoy refuses two limits.
fn requests_limit(cluster: &Node) -> Option<&Node> {
    const TYPED: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    const LIMIT: &str = "max_requests_per_connection";
    let options = cluster.at(&["typed_extension_protocol_options", TYPED]).unwrap_or(cluster);
    // Null is as if it were not there.
    let is_there = |node: &&Node| !matches!(node.value, Value::Null);
    let typed = options.at(&["common_http_protocol_options", LIMIT]).filter(is_there);
    let limit = typed.or_else(|| cluster.at(&[LIMIT]).filter(is_there))?;
    // The API has it as a message with one field, and takes it written as such, too.
    Some(limit.at(&["value"]).unwrap_or(limit)).filter(is_there)
}

/// What tells a server the client's address, if a transport socket does.
fn proxy_protocol(socket: &Node) -> Option<&Node> {
    let by_type = socket
        .text_at(&["typed_config", "@type"])
        .is_some_and(|kind| kind.ends_with(".ProxyProtocolUpstreamTransport"));
    let by_name = socket.text_at(&["name"]) == Some("envoy.transport_sockets.upstream_proxy_protocol");
    (by_type || by_name).then_some(socket)
}

/// Envoy takes `0x10` and `1e3`, too.
fn number(node: &Node) -> Option<u64> {
    let text = node.text()?;
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    let whole = |number: f64| (number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?;
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// Envoy takes what YAML 1.1 does, and in quotes what Protocol Buffers do.
fn is_true(node: &Node) -> bool {
    const TRUE: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
    node.text().is_some_and(|text| TRUE.iter().any(|word| word.eq_ignore_ascii_case(text)))
}

fn target(endpoint: &Node) -> Option<Target> {
    let address = endpoint.at(&["endpoint", "address"])?;
    if let Some(path) = address.text_at(&["pipe", "path"]) {
        return Some(Target { address: Address::Local(path.into()), port: None });
    }
    let socket = address.at(&["socket_address"])?;
    let port = socket.text_at(&["port_value"]).and_then(|port| port.parse().ok());
    let host = socket.text_at(&["address"])?;
    let address = match host.parse() {
        Ok(address) => Address::Ip(crate::target::canonical(address)),
        Err(_) => Address::Name(host.into()),
    };
    Some(Target { address, port })
}

/// Who sends to a cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    /// Requests, or nobody that is known.
    Http,
    Tcp,
    Both,
}

/// Which clusters are named where.
struct Users {
    tcp: BTreeSet<String>,
    http: BTreeSet<String>,
}

impl Users {
    fn of(listeners: &[&Node], routes: &[&Node]) -> Self {
        let mut users = Self { tcp: BTreeSet::new(), http: BTreeSet::new() };
        for listener in listeners {
            let chains = listener.items(&["filter_chains"]).iter().chain(listener.at(&["default_filter_chain"]));
            for filter in chains.flat_map(|chain| chain.items(&["filters"])) {
                let Some(typed) = filter.at(&["typed_config"]) else { continue };
                let kind = typed.text_at(&["@type"]).unwrap_or_default();
                named(typed, if kind.ends_with(".TcpProxy") { &mut users.tcp } else { &mut users.http });
            }
        }
        for route in routes {
            named(route, &mut users.http);
        }
        users
    }

    fn of_cluster(&self, name: &str) -> User {
        match (self.tcp.contains(name), self.http.contains(name)) {
            (true, false) => User::Tcp,
            (true, true) => User::Both,
            (false, _) => User::Http,
        }
    }
}

/// All that is named as a cluster below a node: `cluster: NAME`, and the names in `weighted_clusters`.
fn named(node: &Node, names: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                match &value.value {
                    Value::Text(name) if key == "cluster" => drop(names.insert(name.clone())),
                    _ if is_field(key, "weighted_clusters") => {
                        let clusters = value.items(&["clusters"]).iter();
                        names.extend(clusters.filter_map(|cluster| cluster.text_at(&["name"])).map(str::to_string));
                    }
                    _ => named(value, names),
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| named(item, names)),
        Value::Null | Value::Text(_) | Value::Alias => {}
    }
}
