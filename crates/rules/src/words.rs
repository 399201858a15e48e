//! nft's JSON expressions as a person reads them: nearly as nft writes them.

use plimsoll_model::Untrusted;
use serde_json::{Map, Value};

/// How deep expressions are followed.
const DEEPEST: usize = 24;

/// A list of statements, as one rule.
pub(crate) fn rule(statements: &[Value]) -> Untrusted {
    let words: Vec<_> = statements.iter().map(|statement| written(statement, DEEPEST)).collect();
    Untrusted::from(words.join(" ").as_str())
}

/// An expression or statement.
pub(crate) fn words(value: &Value) -> Untrusted {
    Untrusted::from(written(value, DEEPEST).as_str())
}

fn written(value: &Value, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "…".to_string() };
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => joined(values, ",", depth),
        Value::Object(parts) => object(parts, depth),
        other => other.to_string(),
    }
}

fn joined(values: &[Value], between: &str, depth: usize) -> String {
    values.iter().map(|value| written(value, depth)).collect::<Vec<_>>().join(between)
}

fn object(parts: &Map<String, Value>, depth: usize) -> String {
    let Some((kind, value)) = parts.iter().next().filter(|_| parts.len() == 1) else { return named(parts, depth) };
    let part = |name: &str| value.get(name).map(|part| written(part, depth)).unwrap_or_default();
    let pair = |between: &str| value.as_array().map(|pair| joined(pair, between, depth)).unwrap_or_default();
    match kind.as_str() {
        "match" => {
            let operator = match part("op").as_str() {
                "==" | "in" => " ".to_string(),
                other => format!(" {other} "),
            };
            format!("{}{operator}{}", part("left"), part("right"))
        }
        "payload" if value.get("field").is_some() => format!("{} {}", part("protocol"), part("field")),
        "meta" => format!("meta {}", part("key")),
        "ct" => ["ct".to_string(), part("dir"), part("key")]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        "fib" => format!("fib {} {}", part("flags").replace(',', " . "), part("result")),
        "prefix" => format!("{}/{}", part("addr"), part("len")),
        "range" => pair("-"),
        "concat" => pair(" . "),
        "set" if value.is_array() => format!("{{ {} }}", pair(", ")),
        "set" if value.get("set").is_some() => {
            format!("{} {} {{ {} {} }}", part("op"), part("set"), part("elem"), part("stmt"))
        }
        "&" | "|" | "^" | "<<" | ">>" => format!("({})", pair(&format!(" {kind} "))),
        "mangle" => format!("{} set {}", part("key"), part("value")),
        "vmap" => format!("{} vmap {}", part("key"), part("data")),
        "map" => format!("{} map {}", part("key"), part("data")),
        "jump" | "goto" => format!("{kind} {}", part("target")),
        "elem" => part("val"),
        "counter" => "counter".to_string(),
        _ => format!("{kind} {}", written(value, depth)).trim_end().to_string(),
    }
}

fn named(parts: &Map<String, Value>, depth: usize) -> String {
    let words = parts.iter().map(|(name, value)| format!("{name} {}", written(value, depth)).trim_end().to_string());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_reads_nearly_as_nft_writes_it() {
        let statements = json!([
            { "match": { "op": "==", "left": { "payload": { "protocol": "ip", "field": "saddr" } },
                         "right": { "prefix": { "addr": "10.0.0.0", "len": 8 } } } },
            { "match": { "op": "in", "left": { "ct": { "key": "state" } }, "right": ["established", "related"] } },
            { "counter": { "packets": 1, "bytes": 2 } },
            { "jump": { "target": "other" } },
        ]);
        assert_eq!(
            rule(statements.as_array().unwrap()).to_string(),
            "ip saddr 10.0.0.0/8 ct state established,related counter jump other"
        );
    }
}
