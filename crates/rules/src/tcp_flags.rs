//! Flags of TCP (RFC 9293, 3.1), and what rules ask of them.

use serde_json::Value;

use crate::key::{Field, Key};
use crate::model::{Element, Match, Sense, Set, Term};
use crate::numbers::Numbers;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

const NAMES: [(&str, u8); 8] = [
    ("fin", 0x01),
    ("syn", SYN),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", ACK),
    ("urg", 0x20),
    ("ecn", 0x40),
    ("cwr", 0x80),
];

/// A comparison of nft's; `None` where it compares something else, or is not understood.
pub(crate) fn in_nft(body: &Value) -> Option<Vec<Term>> {
    let (left, right, operator) = (body.get("left")?, body.get("right")?, body.get("op")?.as_str()?);
    let (asked, mask) = match left.get("&").and_then(Value::as_array).map(Vec::as_slice) {
        Some([inner, mask]) => (inner, Some(combined(mask)?)),
        _ => (left, None),
    };
    let payload = asked.get("payload")?;
    let part = |name: &str| payload.get(name)?.as_str();
    if (part("protocol"), part("field")) != (Some("tcp"), Some("flags")) {
        return None;
    }
    let whole = mask.unwrap_or(u8::MAX);
    let (mask, values, sense) = match (operator, mask) {
        ("==", _) => (whole, one_of(right)?, Sense::Is),
        ("!=", _) => (whole, one_of(right)?, Sense::IsNot),
        // Any of them is set, or none of them.
        ("in", None) => (combined(right)?, Numbers::one(0), Sense::IsNot),
        ("!", None) => (combined(right)?, Numbers::one(0), Sense::Is),
        _ => return None,
    };
    let protocol = lookup(Key::Field(Field::Protocol), Numbers::one(6), Sense::Is);
    Some(vec![protocol, lookup(Key::TcpFlags { mask }, values, sense)])
}

/// `--tcp-flags MASK SET` of iptables.
pub(crate) fn in_iptables(mask: &str, set: &str, sense: Sense) -> Option<Term> {
    let read = |text: &str| match text {
        "NONE" => Some(0),
        "ALL" => Some(0x3f),
        names => names.split(',').map(named).try_fold(0, |all, one| Some(all | one?)),
    };
    Some(lookup(Key::TcpFlags { mask: read(mask)? }, Numbers::one(read(set)?.into()), sense))
}

fn lookup(key: Key, values: Numbers, sense: Sense) -> Term {
    Term::Match(Match::Lookup { keys: vec![key], set: Set::Elements(vec![Element::of(vec![values])]), sense })
}

/// The values of a right-hand side: flags that are combined, or several such in a set.
fn one_of(right: &Value) -> Option<Numbers> {
    let one = |value: &Value| combined(value).map(|flags| Numbers::one(flags.into()));
    match right.get("set") {
        Some(Value::Array(elements)) => elements.iter().map(one).collect(),
        Some(single) => one(single),
        None => one(right),
    }
}

/// Flags by name or number, or several of them.
fn combined(value: &Value) -> Option<u8> {
    match value {
        Value::String(name) => named(name),
        Value::Number(number) => u8::try_from(number.as_u64()?).ok(),
        Value::Array(parts) => parts.iter().map(combined).try_fold(0, |all, one| Some(all | one?)),
        Value::Object(_) => combined(value.get("|")?),
        _ => None,
    }
}

fn named(name: &str) -> Option<u8> {
    let number = || name.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    known.map(|(_, flag)| *flag).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(body: &Value) -> Option<(u8, Vec<u128>, Sense)> {
        match in_nft(body)?.pop()? {
            Term::Match(Match::Lookup { keys, set: Set::Elements(elements), sense }) => match keys.as_slice() {
                [Key::TcpFlags { mask }] => {
                    let values = &elements[0].values[0];
                    Some((*mask, (0..256).filter(|flags| values.has(*flags)).collect(), sense))
                }
                _ => None,
            },
            _ => None,
        }
    }

    #[test]
    fn comparisons_are_read_as_nft_writes_them() {
        let flags = json!({ "payload": { "protocol": "tcp", "field": "flags" } });
        let four = json!({ "&": [flags, ["fin", "syn", "rst", "ack"]] });
        let compared = |op: &str, left: &Value, right: Value| asked(&json!({ "op": op, "left": left, "right": right }));
        assert_eq!(compared("==", &four, json!("syn")), Some((0x17, vec![2], Sense::Is)));
        assert_eq!(compared("!=", &four, json!({ "|": ["syn", "ack"] })), Some((0x17, vec![0x12], Sense::IsNot)));
        assert_eq!(compared("in", &flags, json!(["syn", "ack"])), Some((0x12, vec![0], Sense::IsNot)));
        assert_eq!(compared("!", &flags, json!("syn")), Some((2, vec![0], Sense::Is)));
        assert_eq!(compared("==", &flags, json!({ "set": ["syn", "ack"] })), Some((0xff, vec![2, 0x10], Sense::Is)));
        assert_eq!(compared("==", &flags, json!("@named")), None);
        let port = json!({ "payload": { "protocol": "tcp", "field": "dport" } });
        assert_eq!(compared("==", &port, json!(443)), None);
    }
}
