//! Blocks of Lua, of which only the end is looked for.

/// The length of a block with its braces, of a text that begins with one; nothing if it does not end.
///
/// Braces in strings and comments are none (the Lua 5.1 reference manual, 2.1).
pub(super) fn length(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        at += match rest {
            [] => return None,
            [b'-', b'-', comment @ ..] => match level(comment) {
                Some(level) => 2 + long(comment, level)?,
                None => 2 + line(comment),
            },
            [quote @ (b'"' | b'\''), string @ ..] => 1 + quoted(string, *quote)?,
            [b'[', ..] => level(rest).map_or(Some(1), |level| long(rest, level))?,
            [b'{', ..] => {
                depth += 1;
                1
            }
            [b'}', ..] => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
                1
            }
            _ => 1,
        };
    }
}

fn line(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())
}

/// The length of a string with its closing quote.
fn quoted(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// How many `=` a long bracket has, `[==[`, if one begins.
fn level(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"[")?;
    let level = inner.iter().take_while(|byte| **byte == b'=').count();
    (inner.get(level) == Some(&b'[')).then_some(level)
}

/// The length of a long bracket up to behind its end, `]==]`.
fn long(text: &[u8], level: usize) -> Option<usize> {
    let end = [b"]", "=".repeat(level).as_bytes(), b"]"].concat();
    let begin = level + 2;
    let found = text.get(begin..)?.windows(end.len()).position(|window| window == end)?;
    Some(begin + found + end.len())
}
