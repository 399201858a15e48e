//! What pictures have in common: no scripts, nothing fetched, readable on light and on dark.

/// Letters of a title that fit.
const MOST_LETTERS: usize = 100;

/// Colours that colour-blind people can tell apart (Okabe and Ito), on light and on dark.
pub(crate) const COLOURS: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8f3f"),
    ("#009e73", "#2fd0a3"),
    ("#b0558c", "#e59cc6"),
    ("#8a6d00", "#f0e442"),
    ("#555555", "#bbbbbb"),
];

/// How a picture begins.
pub(crate) fn begin(title: &str, width: f64, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\">\n{}<title>{title}</title>\n",
        style()
    )
}

/// What classes mean: curves `c0` and on in colours of their own, text, grids.
fn style() -> String {
    let colours = |of: fn(&(&'static str, &'static str)) -> &'static str| -> String {
        let classes = COLOURS.iter().enumerate();
        classes.map(|(number, pair)| [".c", &number.to_string(), "{stroke:", of(pair), "}"].concat()).collect()
    };
    format!(
        "<style>\n\
         svg{{color:#222;font:13px system-ui,sans-serif}}\n\
         text{{fill:currentColor}}.title{{font-size:14px;font-weight:600}}.note{{font-size:12px;opacity:.75}}\n\
         .end{{text-anchor:end}}.middle{{text-anchor:middle}}\n\
         path,polyline{{fill:none;stroke:currentColor}}.grid{{opacity:.18}}\n\
         .limit{{stroke-width:1.5;stroke-dasharray:6 4;opacity:.8}}\n\
         .curve{{stroke-width:2}}.live{{stroke-width:1.5;stroke-dasharray:3 3;opacity:.8}}\n\
         {}\n@media (prefers-color-scheme:dark){{svg{{color:#ddd}}{}}}\n</style>\n",
        colours(|(light, _)| light),
        colours(|(_, dark)| dark)
    )
}

/// Text at a place.
pub(crate) fn text(x: f64, y: f64, class: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>\n", escaped(words))
}

/// No longer than fits.
pub(crate) fn cut(words: &str) -> String {
    if words.chars().count() <= MOST_LETTERS {
        return words.to_string();
    }
    words.chars().take(MOST_LETTERS - 1).chain(['…']).collect()
}

/// For XML, which some characters cannot stand in at all.
pub(crate) fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            c if c.is_control() => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_ends_a_text() {
        assert_eq!(
            escaped("</text><script>\"'&\u{1b}\u{ffff}"),
            "&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}"
        );
        assert_eq!(cut(&"x".repeat(500)).chars().count(), MOST_LETTERS);
    }
}
