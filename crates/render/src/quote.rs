//! Text as each format takes it without giving it another meaning.

/// Columns of a comment.
const WIDTH: usize = 100;

/// A comment of one line or more, indented. Whatever the text is, no line begins otherwise.
pub(crate) fn comment(indent: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() && indent.len() + 2 + line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&format!("{indent}# {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push_str(&format!("{indent}# {line}\n"));
    }
    lines
}

/// A word of a POSIX shell (XCU 2.2.2: between apostrophes only an apostrophe has a meaning).
pub(crate) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_string();
    }
    format!("'{}'", without_controls(text).replace('\'', "'\\''"))
}

/// A double-quoted scalar (YAML 1.2, 7.3.1).
pub(crate) fn yaml(text: &str) -> String {
    let escaped = without_controls(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The lines of a block scalar, each indented.
pub(crate) fn indented(indent: &str, text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_string() } else { format!("{indent}{line}\n") };
    text.lines().map(line).collect()
}

fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\nrm -rf /\r\u{1b}[2J 'b' \"c\" $(d) `e` \\ #";

    #[test]
    fn a_comment_stays_one() {
        let lines = comment("  ", &format!("{HOSTILE} {}", "word ".repeat(50)));
        assert!(lines.lines().all(|line| line.starts_with("  # ") && line.len() <= WIDTH), "{lines}");
        assert!(lines.lines().count() > 2);
        assert_eq!(comment("", ""), "");
    }

    #[test]
    fn a_shell_gets_back_the_text() {
        for text in ["", "a b", "it's", "$(x) `y` \\ \"", "-rf", "plain-1.2/3"] {
            let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", shell(text))]).output();
            assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), text);
        }
        assert!(!shell(HOSTILE).contains('\n'));
    }

    #[test]
    fn a_scalar_has_one_line() {
        assert_eq!(yaml("a \"b\" \\ c\nd"), r#""a \"b\" \\ c d""#);
    }
}
