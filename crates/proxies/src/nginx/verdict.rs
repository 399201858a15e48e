//! What speaks for and against an upstream's connections being kept.

use std::collections::HashSet;

use crate::configuration::said;
use crate::{Keeping, Opens, Pool, Reason, Remedy, Rewrite, Write};

/// What was found of one upstream.
#[derive(Default)]
pub(super) struct Verdict {
    because: Vec<Reason>,
    rewrites: Vec<Rewrite>,
    /// What of both is there already: an upstream may have thousands of locations.
    seen: (HashSet<Reason>, HashSet<Rewrite>),
    by_hand: Vec<String>,
    /// What a person is told in place of all else.
    instead: Option<&'static str>,
    unknown: Vec<Reason>,
    by_nature: Option<Reason>,
    cautions: Vec<String>,
}

impl Verdict {
    /// Connections are not kept, and this keeps them.
    pub(super) fn not_kept(&mut self, reason: Reason, rewrites: impl IntoIterator<Item = Rewrite>) {
        self.because(reason);
        for rewrite in rewrites {
            if self.seen.1.insert(rewrite.clone()) {
                self.rewrites.push(rewrite);
            }
        }
    }

    /// Connections are not kept, and a person has to see how they can be.
    pub(super) fn by_hand(&mut self, reason: Reason, words: String) {
        self.because(reason);
        self.by_hand.push(words);
    }

    /// Whatever else is found, it is not for Plimsoll to write: these words are told.
    pub(super) fn only_by_hand(&mut self, words: &'static str) {
        self.instead = Some(words);
    }

    pub(super) fn unknown(&mut self, reason: Reason) {
        self.unknown.push(reason);
    }

    pub(super) fn by_nature(&mut self, reason: Reason) {
        self.by_nature = Some(reason);
    }

    pub(super) fn caution(&mut self, words: String) {
        if !self.cautions.contains(&words) {
            self.cautions.push(words);
        }
    }

    pub(super) fn keeping(self, pool: Pool) -> Keeping {
        if let Some(because) = self.by_nature {
            return Keeping::ByNature { opens: Opens::EachRequest, because };
        }
        if self.because.is_empty() {
            return if self.unknown.is_empty() {
                Keeping::Kept(pool)
            } else {
                Keeping::Unknown { because: self.unknown }
            };
        }
        let write = if let Some(words) = self.instead {
            Write::ByHand(said(words))
        } else if self.by_hand.is_empty() {
            Write::Rewrites(self.rewrites)
        } else {
            let rewrites = self.rewrites.iter().map(ToString::to_string);
            Write::ByHand(said(&self.by_hand.into_iter().chain(rewrites).collect::<Vec<_>>().join("; ")))
        };
        let mut cautions: Vec<_> = self.cautions.iter().map(|words| said(words)).collect();
        cautions.extend(self.unknown.iter().map(|reason| said(&format!("not known: {reason}"))));
        let remedy = Remedy { write, then: pool, cautions };
        Keeping::NotKept { opens: Opens::EachRequest, because: self.because, remedy }
    }

    fn because(&mut self, reason: Reason) {
        if self.seen.0.insert(reason.clone()) {
            self.because.push(reason);
        }
    }
}
