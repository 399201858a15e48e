//! Where a directive stands, and what is in force there.

use std::rc::Rc;

use super::tree::Directive;

/// The blocks around a directive, the outermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'t> {
    levels: Vec<Rc<Level<'t>>>,
}

#[derive(Debug)]
struct Level<'t> {
    block: &'t Directive,
    /// Those of its directives that are asked for: a block may have thousands of others.
    directives: Vec<&'t Directive>,
}

/// Directives that are inherited, and are asked for.
const ASKED: [&str; 5] =
    ["proxy_set_header", "proxy_http_version", "proxy_redirect", "proxy_ssl_name", "fastcgi_keep_conn"];

/// What is sent as a header field.
pub(super) struct Headers<'t> {
    /// The `proxy_set_header` in force: those of one level.
    pub(super) set: Vec<&'t Directive>,
    /// Whether they are of a level further out than where a directive could be put in.
    pub(super) are_inherited: bool,
}

impl<'t> Scope<'t> {
    pub(super) fn inside(&self, block: &'t Directive) -> Self {
        let mut levels = self.levels.clone();
        let directives = block.inside().iter().filter(|inner| ASKED.contains(&inner.name())).collect();
        levels.push(Rc::new(Level { block, directives }));
        Self { levels }
    }

    /// The directive of a name that is in force: the innermost.
    pub(super) fn effective(&self, name: &str) -> Option<&'t Directive> {
        let mut levels = self.levels.iter().rev();
        levels.find_map(|level| level.directives.iter().copied().rfind(|directive| directive.name() == name))
    }

    /// All directives of a name that are in force: those of the innermost level that has any.
    pub(super) fn all_effective(&self, name: &str) -> Vec<&'t Directive> {
        let of_level = |level: &Rc<Level<'t>>| -> Vec<_> {
            level.directives.iter().copied().filter(|directive| directive.name() == name).collect()
        };
        self.levels.iter().rev().map(of_level).find(|all| !all.is_empty()).unwrap_or_default()
    }

    /// Header fields are inherited only where a level sets none of its own (`ngx_http_proxy_module`).
    pub(super) fn headers(&self) -> Headers<'t> {
        for (number, level) in self.levels.iter().enumerate().rev().filter(|(_, level)| takes_headers(level.block)) {
            let set: Vec<_> =
                level.directives.iter().copied().filter(|inner| inner.name() == "proxy_set_header").collect();
            if !set.is_empty() {
                return Headers { set, are_inherited: number < self.settable() };
            }
        }
        Headers { set: Vec::new(), are_inherited: false }
    }

    /// The innermost block into which header fields can be put: `if` and `limit_except` take none.
    pub(super) fn innermost_settable(&self) -> Option<&'t Directive> {
        self.levels.get(self.settable()).map(|level| level.block)
    }

    /// Whether what is set must be put into a block further out than where the directive itself stands.
    pub(super) fn is_in_condition(&self) -> bool {
        self.settable() + 1 < self.levels.len()
    }

    /// The `server` block of `http`.
    pub(super) fn server(&self) -> Option<&'t Directive> {
        self.levels.get(1).map(|level| level.block).filter(|block| block.name() == "server")
    }

    /// The innermost `location`.
    pub(super) fn location(&self) -> Option<&'t Directive> {
        self.levels.iter().map(|level| level.block).rfind(|block| block.name() == "location")
    }

    fn settable(&self) -> usize {
        self.levels.iter().rposition(|level| takes_headers(level.block)).unwrap_or(0)
    }
}

/// Whether a block takes `proxy_set_header` and its like.
fn takes_headers(block: &Directive) -> bool {
    matches!(block.name(), "http" | "server" | "location")
}
