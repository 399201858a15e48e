//! Expressions and statements of nft's JSON (libnftables-json(5)).

use plimsoll_model::Untrusted;
use serde_json::Value;

use crate::key::{Field, IPV4, IPV6, Key, Kind};
use crate::model::{Depends, Effect, Element, Match, Opaque, Sense, Set, Statement, Term, Verdict};
use crate::numbers::Numbers;
use crate::tcp_flags;
use crate::words::words;

/// The parts of a rule that a statement stands for. Most are one; what looks at a header first asks whether the packet has it.
pub(crate) fn terms(statement: &Value) -> Vec<Term> {
    let Some((kind, body)) = statement.as_object().and_then(|parts| parts.iter().next()) else {
        return unknown(statement);
    };
    let text = || words(statement);
    let effect = |effect| vec![Term::Statement(Statement::Effect(effect))];
    let remembered = || vec![Term::Match(Match::Opaque(Opaque { text: text(), depends: Depends::History }))];
    match kind.as_str() {
        "match" => tcp_flags::in_nft(body)
            .or_else(|| matches(body))
            .unwrap_or_else(|| vec![opaque(statement, Depends::Unknown)]),
        "vmap" => verdict_map(body).unwrap_or_else(|| unknown(statement)),
        "counter" | "last" | "comment" => vec![Term::Statement(Statement::Nothing)],
        "limit" | "quota" => remembered(),
        "set" | "meter" => {
            let counts = text().as_str().contains("ct count");
            let mut terms = effect(Effect::Remembered(text()));
            terms.push(opaque(statement, if counts { Depends::Unknown } else { Depends::History }));
            terms
        }
        "ct count" => {
            let mut terms = effect(Effect::Entry(text()));
            terms.push(opaque(statement, Depends::Unknown));
            terms
        }
        "log" => effect(Effect::Log(text())),
        "dup" => effect(Effect::Copy(text())),
        "notrack" => effect(Effect::Notrack),
        "dnat" | "redirect" => effect(Effect::TranslateDestination(text())),
        "snat" | "masquerade" => effect(Effect::TranslateSource(text())),
        "tproxy" => effect(Effect::Tproxy(text())),
        "synproxy" => effect(Effect::Synproxy(text())),
        "flow" => effect(Effect::Offload(text())),
        "ct helper" | "ct expectation" => effect(Effect::Entry(text())),
        "ct timeout" => effect(Effect::TimeoutPolicy(text())),
        "mangle" => vec![Term::Statement(mangle(body, text()))],
        "secmark" => effect(Effect::Changed(text())),
        "xt" if body.get("type").and_then(Value::as_str) == Some("match") => {
            vec![opaque(statement, Depends::Unknown)]
        }
        _ => verdict(statement)
            .map_or_else(|| unknown(statement), |verdict| vec![Term::Statement(Statement::Verdict(verdict))]),
    }
}

fn unknown(statement: &Value) -> Vec<Term> {
    vec![Term::Statement(Statement::Effect(Effect::Unknown(words(statement))))]
}

fn opaque(expression: &Value, depends: Depends) -> Term {
    Term::Match(Match::Opaque(Opaque { text: words(expression), depends }))
}

/// A verdict, in a rule or a map.
pub(crate) fn verdict(value: &Value) -> Option<Verdict> {
    let (kind, body) = value.as_object()?.iter().next()?;
    let target = || body.get("target")?.as_str().map(str::to_string);
    Some(match kind.as_str() {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "queue" => Verdict::Queue,
        "reject" => Verdict::Reject(words(value)),
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

/// What a rule looks at, how it is written, and what has to be so before.
struct Asked {
    key: Key,
    kind: Kind,
    guards: Vec<(Field, Numbers)>,
}

impl Asked {
    fn field(field: Field, kind: Kind) -> Self {
        Self { key: Key::Field(field), kind, guards: Vec::new() }
    }

    fn if_only(mut self, field: Field, numbers: Numbers) -> Self {
        self.guards.push((field, numbers));
        self
    }
}

/// A comparison; `None` where it is not understood.
fn matches(body: &Value) -> Option<Vec<Term>> {
    let (left, right, operator) = (body.get("left")?, body.get("right")?, body.get("op")?.as_str()?);
    let asked = match left.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(asked).collect::<Vec<_>>(),
        None => vec![asked(left)],
    };
    let kinds: Vec<_> = asked.iter().map(|asked| asked.kind).collect();
    let sense = match operator {
        "!=" | "!" => Sense::IsNot,
        _ => Sense::Is,
    };
    let is_flags = right.is_array() || right.get("|").is_some();
    // Where there is no entry a status is neither so nor not so.
    let is_no_status = sense == Sense::IsNot && left.get("ct").and_then(|ct| ct.get("key")?.as_str()) == Some("status");
    let set = match operator {
        // `!=` with several flags compares them all at once, which says little of either.
        "!=" if is_flags => None,
        _ if is_no_status => None,
        "in" | "==" | "!=" | "!" => set(&kinds, right),
        "<" | ">" | "<=" | ">=" => ordered(*kinds.first()?, operator, right),
        _ => None,
    };
    let whole = Value::from_iter([("match", body.clone())]);
    let opaque_side = asked.iter().find_map(|asked| match &asked.key {
        Key::Other(opaque) => Some(opaque.depends),
        _ => None,
    });
    if is_way_back(left, right) {
        return Some(vec![opaque(&whole, Depends::Flow)]);
    }
    let mut terms = guards(&asked);
    terms.push(match (set, opaque_side) {
        (Some(set), _) if asked.len() > 1 || opaque_side.is_none() => {
            Term::Match(Match::Lookup { keys: asked.into_iter().map(|asked| asked.key).collect(), set, sense })
        }
        (_, Some(depends)) => opaque(&whole, depends),
        _ => opaque(&whole, depends_on(left)),
    });
    Some(terms)
}

fn guards(asked: &[Asked]) -> Vec<Term> {
    let guards = asked.iter().flat_map(|asked| &asked.guards);
    guards
        .map(|(field, numbers)| {
            let element = Element::of(vec![numbers.clone()]);
            Term::Match(Match::Lookup {
                keys: vec![Key::Field(*field)],
                set: Set::Elements(vec![element]),
                sense: Sense::Is,
            })
        })
        .collect()
}

fn verdict_map(body: &Value) -> Option<Vec<Term>> {
    let (key, data) = (body.get("key")?, body.get("data")?);
    let asked = match key.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(asked).collect::<Vec<_>>(),
        None => vec![asked(key)],
    };
    let kinds: Vec<_> = asked.iter().map(|asked| asked.kind).collect();
    let map = if let Some(name) = data.as_str().and_then(|name| name.strip_prefix('@')) {
        Set::Named(name.to_string())
    } else {
        let pairs = data.get("set")?.as_array()?;
        let element = |pair: &Value| match pair.as_array()?.as_slice() {
            [key, value] => Some(Element { verdict: Some(verdict(value)?), ..element(&kinds, key)? }),
            _ => None,
        };
        Set::Elements(pairs.iter().map(element).collect::<Option<_>>()?)
    };
    let mut terms = guards(&asked);
    let keys = asked.into_iter().map(|asked| asked.key).collect();
    terms.push(Term::Statement(Statement::VerdictMap { keys, map }));
    Some(terms)
}

/// What a left-hand side asks for.
fn asked(expression: &Value) -> Asked {
    known(expression).unwrap_or_else(|| Asked {
        key: Key::Other(Opaque { text: words(expression), depends: depends_on(expression) }),
        kind: Kind::Number,
        guards: Vec::new(),
    })
}

fn known(expression: &Value) -> Option<Asked> {
    let (kind, body) = expression.as_object()?.iter().next()?;
    let part = |name: &str| body.get(name)?.as_str();
    match kind.as_str() {
        "payload" => payload(part("protocol")?, part("field")?),
        "meta" => meta(part("key")?),
        "ct" if body.get("dir").is_none() => match part("key")? {
            "state" | "status" => Some(Asked { key: Key::State, kind: Kind::State, guards: Vec::new() }),
            "direction" => Some(Asked { key: Key::Direction, kind: Kind::Direction, guards: Vec::new() }),
            "mark" => Some(Asked { key: Key::EntryMark { mask: u32::MAX }, kind: Kind::Number, guards: Vec::new() }),
            _ => None,
        },
        "fib" if part("result")? == "type" => {
            let flags = body.get("flags")?;
            let flag = match flags.as_array().map(Vec::as_slice) {
                Some([one]) => one.as_str()?,
                Some(_) => return None,
                None => flags.as_str()?,
            };
            match flag {
                "saddr" => Some(Asked::field(Field::SourceKind, Kind::RouteType)),
                "daddr" => Some(Asked::field(Field::DestinationKind, Kind::RouteType)),
                _ => None,
            }
        }
        "&" => {
            let [inner, mask] = body.as_array()?.as_slice() else { return None };
            let mask = u32::try_from(mask.as_u64()?).ok()?;
            let key = match known(inner)?.key {
                Key::Mark { .. } => Key::Mark { mask },
                Key::EntryMark { .. } => Key::EntryMark { mask },
                _ => return None,
            };
            Some(Asked { key, kind: Kind::Number, guards: Vec::new() })
        }
        _ => None,
    }
}

fn payload(protocol: &str, field: &str) -> Option<Asked> {
    let number = |protocol: u8| Numbers::one(protocol.into());
    let port = |field: Field| match protocol {
        "tcp" => Some(Asked::field(field, Kind::Port).if_only(Field::Protocol, number(6))),
        "udp" => Some(Asked::field(field, Kind::Port).if_only(Field::Protocol, number(17))),
        "dccp" => Some(Asked::field(field, Kind::Port).if_only(Field::Protocol, number(33))),
        "sctp" => Some(Asked::field(field, Kind::Port).if_only(Field::Protocol, number(132))),
        "udplite" => Some(Asked::field(field, Kind::Port).if_only(Field::Protocol, number(136))),
        "th" => Some(Asked::field(field, Kind::Port)),
        _ => None,
    };
    let of_family = |field, kind| match protocol {
        "ip" => Some(Asked::field(field, kind).if_only(Field::Family, Numbers::one(IPV4))),
        "ip6" => Some(Asked::field(field, kind).if_only(Field::Family, Numbers::one(IPV6))),
        _ => None,
    };
    match (protocol, field) {
        (_, "saddr") => of_family(Field::Source, Kind::Address),
        (_, "daddr") => of_family(Field::Destination, Kind::Address),
        ("ip", "protocol") => of_family(Field::Protocol, Kind::Protocol),
        (_, "sport") => port(Field::SourcePort),
        (_, "dport") => port(Field::DestinationPort),
        ("icmp", "type") => Some(Asked::field(Field::IcmpType, Kind::IcmpType).if_only(Field::Protocol, number(1))),
        ("icmpv6", "type") => {
            Some(Asked::field(Field::IcmpType, Kind::Icmpv6Type).if_only(Field::Protocol, number(58)))
        }
        _ => None,
    }
}

fn meta(key: &str) -> Option<Asked> {
    Some(match key {
        "l4proto" => Asked::field(Field::Protocol, Kind::Protocol),
        "nfproto" | "protocol" => Asked::field(Field::Family, Kind::Family),
        "iifname" | "iif" => Asked::field(Field::InInterface, Kind::Interface),
        "oifname" | "oif" => Asked::field(Field::OutInterface, Kind::Interface),
        "mark" => Asked { key: Key::Mark { mask: u32::MAX }, kind: Kind::Number, guards: Vec::new() },
        _ => return None,
    })
}

/// What the outcome of looking at an expression depends on.
fn depends_on(expression: &Value) -> Depends {
    match expression {
        Value::Array(parts) => parts.iter().map(depends_on).fold(Depends::Flow, worse),
        Value::Object(parts) => parts.iter().fold(Depends::Flow, |so_far, (kind, body)| {
            let this = match kind.as_str() {
                "ct" if matches!(body.get("key").and_then(Value::as_str), Some("state" | "direction")) => {
                    Depends::Unknown
                }
                "ct" => Depends::Entry,
                "numgen" => Depends::History,
                "meta" if body.get("key").and_then(Value::as_str) == Some("random") => Depends::History,
                "payload" | "meta" | "exthdr" | "tcp option" | "ip option" | "sctp chunk" | "rt" | "socket" | "fib"
                | "osf" | "ipsec" | "symhash" | "prefix" => Depends::Packet,
                "&" | "|" | "^" | "<<" | ">>" | "concat" => depends_on(body),
                "jhash" => body.get("expr").map_or(Depends::Unknown, depends_on),
                _ => Depends::Unknown,
            };
            worse(so_far, this)
        }),
        _ => Depends::Flow,
    }
}

/// Whether it is asked if there is a way back, to where a packet came from (`missing`, `exists`). A packet by loopback always has one
/// (`nft_fib_is_loopback` in `nft_fib.h`), and one that has none has been dropped where it came in. Which way it is, is another thing.
fn is_way_back(asked: &Value, compared_with: &Value) -> bool {
    let Some(fib) = asked.get("fib").filter(|_| compared_with.is_boolean()) else { return false };
    let is_source = |flag: &Value| flag.as_str() == Some("saddr");
    let asks_source = fib
        .get("flags")
        .is_some_and(|flags| is_source(flags) || flags.as_array().is_some_and(|all| all.iter().any(is_source)));
    asks_source && matches!(fib.get("result").and_then(Value::as_str), Some("oif" | "oifname"))
}

fn worse(one: Depends, other: Depends) -> Depends {
    one.max(other)
}

/// A right-hand side.
fn set(kinds: &[Kind], right: &Value) -> Option<Set> {
    if let Some(name) = right.as_str().and_then(|text| text.strip_prefix('@')) {
        return Some(Set::Named(name.to_string()));
    }
    let elements = match (right.get("set"), kinds) {
        (Some(Value::Array(elements)), _) => elements.iter().map(|raw| element(kinds, raw)).collect::<Option<_>>()?,
        (Some(one), _) => vec![element(kinds, one)?],
        // Flags, any of which will do.
        (None, [kind]) => vec![Element::of(vec![flags(*kind, right)?])],
        (None, _) => vec![element(kinds, right)?],
    };
    Some(Set::Elements(elements))
}

fn flags(kind: Kind, right: &Value) -> Option<Numbers> {
    let several = right.as_array().or_else(|| right.get("|").and_then(Value::as_array));
    match several {
        // Only states can be listed so; of others the bits are combined.
        Some(parts) if kind == Kind::State => parts.iter().map(|part| flags(kind, part)).collect(),
        Some(_) => None,
        None => value(kind, right),
    }
}

fn ordered(kind: Kind, operator: &str, right: &Value) -> Option<Set> {
    let than = value(kind, right)?.single()?;
    let values = match operator {
        "<" => than.checked_sub(1).map_or(Numbers::NONE, |last| Numbers::range(0, last)),
        "<=" => Numbers::range(0, than),
        ">" => than.checked_add(1).map_or(Numbers::NONE, |first| Numbers::range(first, u128::MAX)),
        _ => Numbers::range(than, u128::MAX),
    };
    Some(Set::Elements(vec![Element::of(vec![values])]))
}

/// An element of a set, without the verdict that it leads to.
pub(crate) fn element(kinds: &[Kind], raw: &Value) -> Option<Element> {
    let raw = raw.get("elem").and_then(|elem| elem.get("val")).unwrap_or(raw);
    let all = || vec![Numbers::range(0, u128::MAX); kinds.len()];
    let values = match (raw.get("concat").and_then(Value::as_array), kinds) {
        _ if raw.as_str() == Some("*") => all(),
        (Some(parts), _) if parts.len() == kinds.len() => {
            parts.iter().zip(kinds).map(|(part, kind)| value(*kind, part)).collect::<Option<_>>()?
        }
        (None, [kind]) => vec![value(*kind, raw)?],
        _ => return None,
    };
    Some(Element::of(values))
}

fn value(kind: Kind, raw: &Value) -> Option<Numbers> {
    if let Some(prefix) = raw.get("prefix") {
        let (address, length) = (prefix.get("addr")?.as_str()?, prefix.get("len")?.as_u64()?);
        return kind.read(&format!("{address}/{length}"));
    }
    if let Some([first, last]) = raw.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        let (first, last) = (value(kind, first)?, value(kind, last)?);
        return Some(Numbers::range(first.spans().first()?.first, last.spans().last()?.last));
    }
    match raw {
        Value::String(text) => kind.read(text),
        // A number stands for an interface only where it is gone.
        Value::Number(number) if kind != Kind::Interface => Some(Numbers::one(number.as_u64()?.into())),
        _ => None,
    }
}

/// How the elements of a set of this type are written; none where one of them is not understood.
pub(crate) fn kinds_of_type(name: &Value) -> Vec<Kind> {
    let names = match name {
        Value::Array(names) => names.as_slice(),
        one => std::slice::from_ref(one),
    };
    names.iter().map(kind_of_type).collect::<Option<_>>().unwrap_or_default()
}

fn kind_of_type(name: &Value) -> Option<Kind> {
    Some(match name.as_str()? {
        "ipv4_addr" | "ipv6_addr" => Kind::Address,
        "inet_proto" => Kind::Protocol,
        "inet_service" => Kind::Port,
        "ifname" | "iface_index" => Kind::Interface,
        "icmp_type" => Kind::IcmpType,
        "icmpv6_type" => Kind::Icmpv6Type,
        "nf_proto" => Kind::Family,
        "fib_addrtype" => Kind::RouteType,
        "ct_state" => Kind::State,
        "ct_dir" => Kind::Direction,
        "mark" | "integer" => Kind::Number,
        _ => return None,
    })
}

/// `meta … set`, `ct … set`, and headers that are written.
fn mangle(body: &Value, text: Untrusted) -> Statement {
    let key = |of: &str| body.get("key").and_then(|key| key.get(of)?.get("key")?.as_str());
    let value = body.get("value").unwrap_or(&Value::Null);
    Statement::Effect(match (key("meta"), key("ct")) {
        (Some("mark"), _) => mark(value, text),
        (Some("nftrace"), _) => return Statement::Nothing,
        (_, Some("mark")) => Effect::EntryMark(text),
        (_, Some("zone")) => Effect::Zone(text),
        (_, Some(_)) => Effect::Entry(text),
        _ => match body.get("key").map(written).unwrap_or_default() {
            fields if fields.is_empty() => Effect::Changed(text),
            fields => Effect::Rewritten { fields, text },
        },
    })
}

/// The fields that are others once this is written.
fn written(key: &Value) -> Vec<Field> {
    let Some(payload) = key.get("payload") else { return Vec::new() };
    match (payload.get("field").and_then(Value::as_str), known(key).map(|asked| asked.key)) {
        (_, Some(Key::Field(Field::Source))) => vec![Field::Source, Field::SourceKind],
        // It may be routed elsewhere by it.
        (_, Some(Key::Field(Field::Destination))) => {
            vec![Field::Destination, Field::DestinationKind, Field::OutInterface]
        }
        (_, Some(Key::Field(field))) => vec![field],
        // Bits at an offset can be anything, and behind another header all is.
        (None | Some("nexthdr"), _) => Field::ALL.to_vec(),
        _ => Vec::new(),
    }
}

/// The mark that a value makes of a packet's.
fn mark(value: &Value, text: Untrusted) -> Effect {
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    if let Some(value) = number(value) {
        return Effect::Mark { value, mask: u32::MAX };
    }
    let is_mark = |value: &Value| value.get("meta").and_then(|meta| meta.get("key")?.as_str()) == Some("mark");
    let pair = |of: &Value, operator: &str| match of.get(operator)?.as_array()?.as_slice() {
        [one, other] => Some((one.clone(), number(other)?)),
        _ => None,
    };
    let kept = |of: &Value| match pair(of, "&") {
        Some((inner, kept)) if is_mark(&inner) => Some(kept),
        _ => is_mark(of).then_some(u32::MAX),
    };
    if let Some((inner, added)) = pair(value, "|")
        && let Some(kept) = kept(&inner)
    {
        return Effect::Mark { value: added, mask: !kept | added };
    }
    match kept(value) {
        Some(kept) => Effect::Mark { value: 0, mask: !kept },
        None if depends_on(value) == Depends::Entry => Effect::MarkFromEntry(text),
        None => Effect::MarkUnknown(text),
    }
}
