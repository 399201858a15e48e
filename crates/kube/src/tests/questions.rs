//! What is asked, and what becomes of every kind of answer.

use std::thread;
use std::time::Duration;

use plimsoll_model::Reading;

use super::access_to;
use super::server::Server;
use crate::{Answer, Policy, asked};

const PODS: &str = "/api/v1/pods";
const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const CONFIG_MAP: &str = "/api/v1/namespaces/kube-system/configmaps/kube-proxy";

/// No machine is so busy that a loopback server answers later.
const LONG: Duration = Duration::from_mins(1);

fn pod(name: &str, ip: &str) -> String {
    format!(
        r#"{{"metadata":{{"namespace":"shop","name":"{name}","ownerReferences":null}},"status":{{"podIP":"{ip}"}}}}"#
    )
}

fn list(items: &[String], next: &str) -> String {
    format!(r#"{{"kind":"List","metadata":{{"continue":"{next}"}},"items":[{}]}}"#, items.join(","))
}

fn one_pod() -> (u16, String) {
    (200, list(&[pod("web-1", "10.244.0.2")], ""))
}

fn empty() -> (u16, String) {
    (200, list(&[], ""))
}

fn told(server: &Server) -> Answer {
    asked(access_to(server), "worker-1", LONG)
}

fn gaps(answer: &Answer) -> Vec<String> {
    let gaps = answer.gaps(Policy::Auto);
    gaps.map(|gap| format!("{}: {}; needs {}", gap.tried, gap.answered, gap.needs)).collect()
}

fn name_of(answer: &Answer, ip: &str) -> Option<String> {
    answer.cluster.pod(ip.parse().unwrap()).map(ToString::to_string)
}

#[test]
fn only_this_nodes_pods_are_asked_for_from_memory_with_the_token() {
    let server = Server::of(&[(PODS, one_pod()), (SERVICES, empty()), (SLICES, empty())]);
    let answer = told(&server);
    assert_eq!(gaps(&answer), [""; 0]);
    assert_eq!(name_of(&answer, "10.244.0.2").as_deref(), Some("shop/web-1"));
    let asked = server.asked();
    assert!(asked.iter().all(|(_, token)| token == "Bearer t0ken"), "{asked:?}");
    let paths: Vec<_> = asked.iter().map(|(path, _)| path.as_str()).collect();
    let of_node = format!("{PODS}?fieldSelector=spec.nodeName%3Dworker-1&limit=500&resourceVersion=0");
    let [first, services, slices, map] = paths[..] else { panic!("{paths:?}") };
    assert!(first == of_node || first == of_node.replace("%3D", "="), "{first}");
    assert_eq!(services, format!("{SERVICES}?limit=500&resourceVersion=0"));
    assert_eq!(slices, format!("{SLICES}?limit=500&resourceVersion=0"));
    assert_eq!(map, format!("{CONFIG_MAP}?resourceVersion=0"));
}

#[test]
fn a_list_is_followed_page_by_page() {
    let server = Server::answering(|asked| match asked {
        _ if !asked.starts_with(PODS) => empty(),
        _ if asked.contains("continue=second") => (200, list(&[pod("b", "10.244.0.3")], "third")),
        _ if asked.contains("continue=third") => (200, list(&[pod("c", "10.244.0.4")], "")),
        _ => (200, list(&[pod("a", "10.244.0.2")], "second")),
    });
    let answer = told(&server);
    assert_eq!(gaps(&answer), [""; 0]);
    for (ip, name) in [("10.244.0.2", "shop/a"), ("10.244.0.3", "shop/b"), ("10.244.0.4", "shop/c")] {
        assert_eq!(name_of(&answer, ip).as_deref(), Some(name));
    }
    let asked = server.asked();
    let later: Vec<_> = asked.iter().filter(|(path, _)| path.contains("continue=")).collect();
    assert!(later.len() == 2 && later.iter().all(|(path, _)| !path.contains("resourceVersion")), "{asked:?}");
    assert!(later.iter().all(|(path, _)| path.contains("fieldSelector")), "{asked:?}");
}

#[test]
fn a_page_that_has_expired_leaves_what_came_before() {
    let server = Server::answering(|asked| match asked {
        _ if asked.contains("continue=") => (410, r#"{"message":"The provided continue parameter is too old"}"#.into()),
        _ if asked.starts_with(PODS) => (200, list(&[pod("a", "10.244.0.2")], "second")),
        _ => empty(),
    });
    let answer = told(&server);
    assert_eq!(name_of(&answer, "10.244.0.2").as_deref(), Some("shop/a"));
    assert!(gaps(&answer)[0].contains("answered 410: The provided continue parameter is too old"), "{answer:?}");
}

#[test]
fn a_right_that_is_missing_is_told_with_its_rule_and_the_rest_is_read() {
    let no = |what: &str| {
        (403, format!(r#"{{"kind":"Status","message":"{what} is forbidden: User \"u\" cannot list resource"}}"#))
    };
    let server =
        Server::of(&[(PODS, one_pod()), (SERVICES, no("services")), (SLICES, no("slices")), (CONFIG_MAP, no("map"))]);
    let answer = told(&server);
    assert_eq!(name_of(&answer, "10.244.0.2").as_deref(), Some("shop/web-1"));
    let gaps = gaps(&answer);
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    for (gap, rule) in gaps.iter().zip([
        r#"{apiGroups: [""], resources: [services], verbs: [list]}"#,
        "{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}",
        r#"{apiGroups: [""], resources: [configmaps], resourceNames: [kube-proxy], verbs: [get]}"#,
    ]) {
        assert!(gap.contains("it answered 403: ") && gap.ends_with(rule), "{gap}");
    }
}

#[test]
fn bad_credentials_end_it() {
    let server = Server::answering(|_| (401, r#"{"message":"Unauthorized"}"#.to_string()));
    let answer = told(&server);
    assert_eq!(server.asked().len(), 1, "nobody is asked again");
    let gaps = gaps(&answer);
    assert!(gaps[0].contains("it answered 401: Unauthorized; needs credentials that are valid now"), "{gaps:?}");
    assert!(!format!("{answer:?} {gaps:?}").contains("t0ken"));
}

#[test]
fn who_does_not_answer_in_time_is_asked_once() {
    let server = Server::answering(|_| {
        thread::sleep(LONG);
        empty()
    });
    let answer = asked(access_to(&server), "worker-1", Duration::from_millis(200));
    let gaps = gaps(&answer);
    assert_eq!((gaps.len(), server.asked().len()), (1, 1), "{gaps:?}");
    assert!(gaps[0].contains("there was no whole answer in time"), "{gaps:?}");
}

#[test]
fn an_answer_that_does_not_end_is_cut_in_time() {
    use std::io::{Read, Write};
    let server = Server::serving(|mut stream, _| {
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok();
        while stream.write_all(b"1\r\n \r\n").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let gaps = gaps(&asked(access_to(&server), "worker-1", Duration::from_millis(300)));
    assert!(gaps.len() == 1 && gaps[0].contains("there was no whole answer in time"), "{gaps:?}");
}

#[test]
fn nobody_there_is_a_gap() {
    let server = Server::of(&[]);
    // A port on which nobody listens: that of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let access = crate::access::Access { server: format!("http://{gone}"), ..access_to(&server) };
    let gaps = gaps(&asked(access, "worker-1", LONG));
    assert!(gaps.len() == 1 && gaps[0].contains("where the table is full there is none"), "{gaps:?}");
}

#[test]
fn garbage_is_a_gap_and_is_shown_escaped() {
    for body in ["", "<html>\u{1b}[2J", "[]", "{}", r#"{"items":7}"#, r#"{"items":[{"status":{"podIP":7}}]}"#] {
        let garbage = (200, body.to_string());
        let server = Server::of(&[(PODS, garbage), (SERVICES, empty()), (SLICES, empty())]);
        let gaps = gaps(&told(&server));
        assert!(gaps.len() == 1 && gaps[0].contains("the answer is not what it should be"), "{body}: {gaps:?}");
        assert!(!gaps[0].contains('\u{1b}'));
    }
    let server = Server::answering(|_| (500, "\u{1b}[2J broken".to_string()));
    assert!(gaps(&told(&server))[0].contains("it answered 500: \\u{1b}[2J broken"));
}

#[test]
fn more_than_is_taken_is_not_read_of_all_answers_together() {
    let huge = (200, format!("{{{}}}", " ".repeat(33 << 20)));
    let server = Server::of(&[(PODS, huge), (SERVICES, empty()), (SLICES, empty())]);
    let gaps = gaps(&told(&server));
    let too_long = gaps.iter().filter(|gap| gap.contains("there is more than the 32 MiB that are read"));
    assert_eq!(too_long.count(), 4, "{gaps:?}");
}

#[test]
fn an_answer_that_names_another_place_is_not_followed() {
    let server = Server::answering(|_| (302, "elsewhere".to_string()));
    assert!(gaps(&told(&server)).iter().all(|gap| gap.contains("it answered 302")));
}

#[test]
fn a_node_without_pods_is_perhaps_called_otherwise() {
    let server = Server::of(&[(PODS, empty()), (SERVICES, empty()), (SLICES, empty())]);
    let gaps = gaps(&told(&server));
    assert!(
        gaps.len() == 1 && gaps[0].contains("pods of the node worker-1") && gaps[0].contains("NODE_NAME"),
        "{gaps:?}"
    );
}

#[test]
fn a_gap_matters_where_somebody_asked() {
    let server = Server::answering(|_| (401, String::new()));
    let answer = told(&server);
    let reading = |policy| answer.gaps(policy).next().map(|gap| gap.reading);
    assert_eq!(reading(Policy::Auto), Some(Reading::Kubernetes));
    assert_eq!(reading(Policy::On), Some(Reading::KubernetesAsked));
}

#[test]
fn a_token_goes_nowhere_in_the_open() {
    let server = Server::of(&[]);
    for open in ["http://10.0.0.1:6443", "http://localhost:1", "https://u:p@10.0.0.1", "10.0.0.1:6443", ""] {
        let access = crate::access::Access { server: open.to_string(), ..access_to(&server) };
        let gaps = gaps(&asked(access, "worker-1", LONG));
        assert!(gaps.len() == 1 && gaps[0].contains("a server without https:// is not followed"), "{gaps:?}");
    }
}
