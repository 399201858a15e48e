//! `plimsoll explain`: a finding, in words.

mod json;
pub(crate) mod markdown;
mod near;
mod pages;

use anstyle::Style;
use anyhow::bail;
use plimsoll_model::{FindingId, NoSuchFinding};

use self::pages::Page;
use crate::arguments::ExplainArguments;
use crate::output;
use crate::wrap::{WIDTH, paragraph};

/// Writes the page of a finding, or a line of each.
pub(crate) fn run(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let pages = || FindingId::ALL.iter().copied().map(Page::of).collect::<Vec<_>>();
    let written = match (&arguments.id, arguments.json) {
        (None, false) => list(&pages()),
        (None, true) => json::list(&pages())?,
        (Some(asked), false) => render(&Page::of(find(asked)?)),
        (Some(asked), true) => match find(asked) {
            Ok(id) => json::page(&Page::of(id))?,
            Err(error) => {
                // Whoever reads documents gets one; why there is no more goes to standard error too.
                output::write(&json::failed(asked, &error), arguments.color).ok();
                return Err(error);
            }
        },
    };
    output::write(&written, arguments.color)
}

/// What there is to say of a finding: headings, and markdown below each.
pub(crate) fn sections(id: FindingId) -> Vec<(&'static str, &'static str)> {
    Page::of(id).sections.into_iter().map(|section| (section.heading, section.text)).collect()
}

fn find(asked: &str) -> anyhow::Result<FindingId> {
    asked.parse().or_else(|NoSuchFinding| {
        let near = near::near(asked);
        let hint = match near.as_slice() {
            [] => String::new(),
            near => {
                format!("perhaps {} was meant; ", near.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" or "))
            }
        };
        bail!("explain: there is no finding {asked:?}: {hint}`plimsoll explain` lists them all")
    })
}

fn list(pages: &[Page]) -> String {
    let width = pages.iter().map(|page| page.id.as_str().len()).max().unwrap_or(0);
    let mut text = format!("{} findings; `plimsoll explain ID` says more of one:\n", pages.len());
    for page in pages {
        text.push_str(&paragraph(&format!("  {:<width$}  ", page.id), page.title));
    }
    text
}

fn render(page: &Page) -> String {
    let bold = Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}: {}\n", page.id, page.title);
    for section in &page.sections {
        text.push_str(&format!("\n{bold}{}{bold:#}\n{}", section.heading, markdown::render(section.text, WIDTH)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_id_is_answered_with_those_that_are_near() {
        let error = find("tabel-full").unwrap_err().to_string();
        assert!(error.contains("\"tabel-full\"") && error.contains("table-full or namespace-full"), "{error}");
        let error = find("\u{1b}[2J").unwrap_err().to_string();
        assert!(!error.contains("perhaps") && !error.contains('\u{1b}'), "{error}");
        assert!(error.contains("`plimsoll explain` lists them all"), "{error}");
    }
}
