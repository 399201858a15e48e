//! Which metrics an expression of Prometheus names.

use std::collections::BTreeSet;

/// What is followed by a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// The metrics that are named. Whether the expression is well formed is for promtool to say.
pub(crate) fn metrics(expression: &str) -> BTreeSet<&str> {
    let mut metrics = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if let Some(close) = closing(first) {
            rest = behind(rest, close);
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|next: char| next.is_ascii_alphanumeric() || next == '.');
        } else if is_of_a_name(first) {
            let name = rest.split(|next| !is_of_a_name(next)).next().unwrap_or(rest);
            rest = rest.strip_prefix(name).unwrap_or_default().trim_start();
            if GROUPING.contains(&name) {
                rest = if rest.starts_with('(') { behind(rest, ')') } else { rest };
            } else if !KEYWORDS.contains(&name) && !is_a_function(rest) {
                metrics.insert(name);
            }
        } else {
            rest = rest.split_at(first.len_utf8()).1;
        }
    }
    metrics
}

/// What ends a string, a selector or a range.
fn closing(first: char) -> Option<char> {
    match first {
        '"' | '\'' | '`' => Some(first),
        '{' => Some('}'),
        '[' => Some(']'),
        _ => None,
    }
}

/// What comes behind what the first character opens: behind the next of these that stands in no string.
fn behind(text: &str, close: char) -> &str {
    let is_in_string = matches!(close, '"' | '\'' | '`');
    let mut quote = None;
    let mut is_escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match quote {
            _ if is_escaped => is_escaped = false,
            Some('"' | '\'') if next == '\\' => is_escaped = true,
            Some(open) if next == open => quote = None,
            None if next == close => return text.split_at(at + next.len_utf8()).1,
            None if is_in_string => is_escaped = next == '\\' && close != '`',
            None if matches!(next, '"' | '\'' | '`') => quote = Some(next),
            Some(_) | None => {}
        }
    }
    ""
}

fn is_of_a_name(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_' || next == ':'
}

fn is_a_function(rest: &str) -> bool {
    rest.starts_with('(') || ["by ", "without "].iter().any(|grouping| rest.starts_with(grouping))
}

#[test]
fn metrics_are_found_among_everything_else() {
    let expression = r#"max by (host, a) (label_replace(rate(x_total{a="}b", c=~`d`}[5m]) and on (job) y:z > bool 0.5e3, "h", "$1", "in\"s", "(.+)"))
        or topk(3, w) unless on() v{e='f"'} offset 5m"#;
    assert_eq!(metrics(expression).into_iter().collect::<Vec<_>>(), ["v", "w", "x_total", "y:z"]);
}
