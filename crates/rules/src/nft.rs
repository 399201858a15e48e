//! The ruleset as `nft -j list ruleset` tells it.
//!
//! Nothing is taken for granted: what is not understood becomes an `Unknown` in its place, so that nobody takes a rule for
//! weaker or stronger than it is.

use std::collections::HashMap;

use plimsoll_model::Untrusted;
use serde_json::Value;

use crate::expression::{element, kinds_of_type, terms, verdict};
use crate::key::Kind;
use crate::model::{
    Base, Chain, ChainKind, Element, Family, Hook, Known, NamedSet, Origin, Policy, Rule, Ruleset, Table,
};
use crate::words;

/// The answer is not a listing of nft's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NftError {
    /// It is no JSON.
    #[error("what `nft -j list ruleset` wrote is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON without a list of objects.
    #[error("what `nft -j list ruleset` wrote has no list named `nftables`; is it nft's?")]
    NoList,
}

/// Reads a listing.
pub(crate) fn read(json: &str) -> Result<Ruleset, NftError> {
    let listing: Value = serde_json::from_str(json)?;
    let objects = listing.get("nftables").and_then(Value::as_array).ok_or(NftError::NoList)?;
    let mut ruleset = Ruleset::default();
    let mut places = HashMap::new();
    for object in objects {
        let Some((kind, body)) = object.as_object().and_then(|parts| parts.iter().next()) else {
            ruleset.unknown.push(words::words(object));
            continue;
        };
        if take(&mut ruleset, &mut places, kind, body).is_none() {
            ruleset.unknown.push(words::words(object));
        }
    }
    for dormant in objects.iter().filter_map(|object| object.get("table")).filter(|body| is_dormant(body)) {
        let family = family(dormant);
        let name = dormant.get("name").and_then(Value::as_str);
        let is_it = |table: &&mut Table| Some(table.family) == family && Some(table.name.as_str()) == name;
        // No packet comes to it.
        for chain in ruleset.tables.iter_mut().filter(is_it).flat_map(|table| &mut table.chains) {
            chain.base = None;
        }
    }
    Ok(ruleset)
}

/// Where chains are in their tables, by the index of the table and their name: some tables have tens of thousands.
type Places = HashMap<(usize, String), usize>;

/// Takes an object; `None` where it is not understood.
fn take(ruleset: &mut Ruleset, places: &mut Places, kind: &str, body: &Value) -> Option<()> {
    match kind {
        // Objects that rules name; what they do is said where they are named.
        "metainfo" | "counter" | "quota" | "limit" | "ct helper" | "ct timeout" | "ct expectation" | "secmark"
        | "synproxy" | "flowtable" => {}
        "table" => {
            let (family, name) = (family(body)?, text(body, "name")?);
            ruleset.tables.push(Table { origin: Origin::Nft, family, name, chains: Vec::new(), sets: Vec::new() });
        }
        "chain" => {
            // Where there is no hook, other chains send packets to it.
            let base = if body.get("hook").is_some() { Some(base(body)?) } else { None };
            let chain = Chain { name: text(body, "name")?, base, rules: Vec::new() };
            let (at, table) = table_of(ruleset, body)?;
            places.insert((at, chain.name.clone()), table.chains.len());
            table.chains.push(chain);
        }
        "set" | "map" => {
            let set = named_set(body)?;
            table_of(ruleset, body)?.1.sets.push(set);
        }
        "rule" => {
            let name = text(body, "chain")?;
            let rule = rule(body)?;
            let (at, table) = table_of(ruleset, body)?;
            table.chains.get_mut(*places.get(&(at, name))?)?.rules.push(rule);
        }
        _ => return None,
    }
    Some(())
}

fn table_of<'a>(ruleset: &'a mut Ruleset, body: &Value) -> Option<(usize, &'a mut Table)> {
    let (family, name) = (family(body)?, body.get("table")?.as_str()?);
    ruleset.tables.iter_mut().enumerate().find(|(_, table)| table.family == family && table.name == name)
}

fn is_dormant(body: &Value) -> bool {
    let is = |flag: &Value| flag.as_str() == Some("dormant");
    body.get("flags").is_some_and(|flags| is(flags) || flags.as_array().is_some_and(|flags| flags.iter().any(is)))
}

fn family(body: &Value) -> Option<Family> {
    Family::named(body.get("family")?.as_str()?)
}

fn text(body: &Value, part: &str) -> Option<String> {
    body.get(part)?.as_str().map(str::to_string)
}

/// How packets come to a base chain.
fn base(body: &Value) -> Option<Base> {
    let devices = match body.get("dev").or_else(|| body.get("devices")) {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_string).collect(),
        _ => Vec::new(),
    };
    Some(Base {
        hook: Hook::named(body.get("hook")?.as_str()?)?,
        priority: body.get("prio")?.as_i64()?.try_into().ok()?,
        kind: match body.get("type")?.as_str()? {
            "filter" => ChainKind::Filter,
            "route" => ChainKind::Route,
            "nat" => ChainKind::Nat,
            _ => return None,
        },
        policy: match body.get("policy").map(Value::as_str) {
            None | Some(Some("accept")) => Policy::Accept,
            Some(Some("drop")) => Policy::Drop,
            _ => return None,
        },
        devices,
    })
}

fn rule(body: &Value) -> Option<Rule> {
    let statements = body.get("expr")?.as_array()?;
    Some(Rule {
        handle: body.get("handle").and_then(Value::as_u64),
        comment: body.get("comment").and_then(Value::as_str).map(Untrusted::from),
        text: words::rule(statements),
        terms: statements.iter().flat_map(terms).collect(),
    })
}

fn named_set(body: &Value) -> Option<NamedSet> {
    let kinds = body.get("type").map(kinds_of_type).unwrap_or_default();
    let raw = match body.get("elem") {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let is_verdict_map = body.get("map").and_then(Value::as_str) == Some("verdict");
    let mut elements: Vec<_> = raw.iter().filter_map(|raw| element_of_set(&kinds, raw, is_verdict_map)).collect();
    // What stands for all others is looked at last.
    elements.sort_by_key(stands_for_all);
    let flags = body.get("flags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let changes = flags.iter().any(|flag| matches!(flag.as_str(), Some("dynamic" | "timeout")));
    let known = match (elements.len() == raw.len() && !kinds.is_empty(), changes) {
        (_, true) => Known::Changing,
        (true, false) => Known::Constant,
        (false, false) => Known::InPart,
    };
    Some(NamedSet { name: text(body, "name")?, elements, known })
}

fn stands_for_all(element: &Element) -> bool {
    element.values.iter().all(|values| values.has(0) && values.has(u128::MAX))
}

/// An element of a set, or a key of a map with what it leads to and its comment. Of maps whose values are no verdicts only the keys are kept.
fn element_of_set(kinds: &[Kind], raw: &Value, leads_to: bool) -> Option<Element> {
    match raw.as_array().map(Vec::as_slice) {
        Some([key, value]) => {
            let verdict = if leads_to { Some(verdict(value)?) } else { None };
            let comment = key.pointer("/elem/comment").and_then(Value::as_str).map(Untrusted::from);
            Some(Element { verdict, comment, ..element(kinds, key)? })
        }
        _ => element(kinds, raw),
    }
}
