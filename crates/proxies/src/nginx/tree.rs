//! NGINX's configuration as a tree, with the files that are included in the place of the word that includes them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::words::{End, Statement, Word, Words};
use crate::configuration::shown;
use crate::files::{Bounded, is_pattern};
use crate::rewrite::Source;
use crate::{Error, Gap, Place};

/// How deep blocks, and files in files, may be nested. What people write has six.
const DEEPEST: usize = 64;

/// All that was read.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) sources: Vec<Source>,
    pub(super) top: Vec<Directive>,
    pub(super) gaps: Vec<Gap>,
}

/// A directive with its block, if it has one.
#[derive(Debug)]
pub(super) struct Directive {
    /// Its file, of the tree's.
    pub(super) source: usize,
    pub(super) line: usize,
    /// Its name and what follows. Never empty.
    pub(super) words: Vec<Word>,
    pub(super) block: Option<Block>,
    /// From its name to behind its `;` or `}`.
    pub(super) at: Range<usize>,
}

/// What is between braces.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) directives: Vec<Directive>,
    /// Where the closing brace stands, in the file of the directive.
    pub(super) close: usize,
}

impl Tree {
    pub(super) fn read(first: &Path, files: &mut Bounded<'_>) -> Result<Self, Error> {
        let bytes = files.read_needed(first)?;
        let folder = first.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut reader = Reader { files, folder, sources: Vec::new(), gaps: Vec::new(), open: Vec::new() };
        let top = reader.file(first, &bytes, 0)?;
        Ok(Self { sources: reader.sources, top, gaps: reader.gaps })
    }

    pub(super) fn source(&self, directive: &Directive) -> &Source {
        // Every directive is made with the number of a source that is there.
        #[expect(clippy::indexing_slicing, reason = "the reader numbers sources as it adds them")]
        &self.sources[directive.source]
    }

    pub(super) fn place(&self, directive: &Directive) -> Place {
        Place::new(&self.source(directive).path, directive.line)
    }
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", |word| &word.text)
    }

    /// What follows its name.
    pub(super) fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The first word behind its name.
    pub(super) fn argument(&self) -> Option<&Word> {
        self.words.get(1)
    }

    pub(super) fn inside(&self) -> &[Directive] {
        self.block.as_ref().map_or(&[], |block| &block.directives)
    }
}

struct Reader<'a, 'b> {
    files: &'a mut Bounded<'b>,
    /// The first file's folder, to which names of others are relative.
    folder: PathBuf,
    sources: Vec<Source>,
    gaps: Vec<Gap>,
    /// The files in which the reader is.
    open: Vec<PathBuf>,
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &Path, bytes: &[u8], depth: usize) -> Result<Vec<Directive>, Error> {
        let number = self.sources.len();
        self.sources.push(Source::new(path, bytes.to_vec()));
        self.open.push(path.to_path_buf());
        let file = File { path, source: number };
        let (directives, _) = self.block(&file, &mut Words::new(bytes), depth, &End::File)?;
        self.open.pop();
        Ok(directives)
    }

    /// Reads up to the end of a block or a file; with where that is.
    fn block(
        &mut self,
        file: &File<'_>,
        words: &mut Words<'_>,
        depth: usize,
        until: &End,
    ) -> Result<(Vec<Directive>, usize), Error> {
        let mut directives = Vec::new();
        loop {
            let statement = words.statement(&mut self.files.budget).map_err(|stop| {
                Error::stopped(stop, file.path, |fault| Error::syntax(self.place(file, fault.at), fault.problem))
            })?;
            let place = self.place(file, statement.begin);
            match &statement.end {
                end if end == until => return Ok((directives, statement.until.saturating_sub(1))),
                End::Close => return Err(Error::syntax(place, "a `}` that closes nothing")),
                End::File => return Err(Error::syntax(place, "the file ends before the `}` of a block")),
                _ if depth >= DEEPEST => return Err(Error::syntax(place, "blocks or files are nested too deep")),
                End::Simple if statement.words.first().is_some_and(|word| word.text == "include") => {
                    directives.extend(self.include(&place, &statement, depth)?);
                }
                End::Simple => directives.push(file.directive(statement, None, place.line)),
                End::Lua => {
                    let name = statement.words.first().map_or_else(|| "".into(), Word::shown);
                    self.gaps.push(place.gap(format!("{name}: Lua is not followed; it may send requests elsewhere")));
                }
                End::Block => {
                    let (inside, close) = self.block(file, words, depth + 1, &End::Close)?;
                    let block = Block { directives: inside, close };
                    directives.push(file.directive(statement, Some(block), place.line));
                }
            }
        }
    }

    fn include(&mut self, place: &Place, statement: &Statement, depth: usize) -> Result<Vec<Directive>, Error> {
        let [_, pattern] = statement.words.as_slice() else {
            return Err(Error::syntax(place.clone(), "`include` takes one file"));
        };
        let path = self.folder.join(&pattern.text);
        let paths = if is_pattern(&pattern.text) { self.files.matching(&path)? } else { vec![path] };
        let mut directives = Vec::new();
        for path in paths {
            if self.open.contains(&path) {
                return Err(Error::Cycle { place: place.clone(), file: path });
            }
            match self.files.read(&path)? {
                Ok(bytes) => directives.extend(self.file(&path, &bytes, depth + 1)?),
                Err(answer) => {
                    let what = format!("{} could not be read ({answer}); what it sets is not known", shown(&path));
                    self.gaps.push(place.clone().gap(what));
                }
            }
        }
        Ok(directives)
    }

    fn place(&self, file: &File<'_>, at: usize) -> Place {
        self.sources.get(file.source).map_or_else(|| Place::new(file.path, 1), |source| source.place(at))
    }
}

struct File<'a> {
    path: &'a Path,
    source: usize,
}

impl File<'_> {
    fn directive(&self, statement: Statement, block: Option<Block>, line: usize) -> Directive {
        let end = block.as_ref().map_or(statement.until, |block| block.close + 1);
        let (words, at) = (statement.words, statement.begin..end);
        Directive { source: self.source, line, words, block, at }
    }
}
