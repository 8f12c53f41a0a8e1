//! Reads Rust source as tokens: what a file imports, which texts it holds, which modules are tests.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One Rust file without its tests.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Every path with more than one segment, from the crate's name on where that can be told.
    pub(crate) paths: Vec<Path>,
    /// Every string literal outside attributes.
    pub(crate) texts: Vec<Text>,
    /// Modules declared under `#[cfg(test)]` whose text is in a file of its own.
    pub(crate) test_modules: Vec<String>,
}

/// A path as the code names it, made absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Named in a `use`, so its first segment is a crate or a module, never a local variable.
    pub(crate) imported: bool,
}

/// A string literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) line: usize,
    pub(crate) value: String,
    /// It is the argument of `include_str!`, or part of it.
    pub(crate) included: bool,
}

/// Names that a crate's root re-exports, and the path each stands for.
pub(crate) type Reexports = BTreeMap<String, Vec<String>>;

impl Source {
    /// Reads the text of a module, such as `["windlass", "store", "memory"]`.
    pub(crate) fn read(module: &[&str], text: &str) -> Self {
        let tokens: TokenStream = text
            .parse()
            .expect("source that cargo built has valid tokens");
        let mut source = Self::default();
        let module = module.iter().map(ToString::to_string).collect();
        source.walk(&Scope::new(module, &tokens), tokens, false);
        source
    }

    /// What `pub use room::Name` in a crate's root makes of `crate::Name`.
    pub(crate) fn reexports(&self) -> Reexports {
        let named = self.paths.iter().filter(|path| path.imported);
        named
            .filter_map(|path| Some((path.segments.last()?.clone(), path.segments.clone())))
            .collect()
    }

    fn walk(&mut self, scope: &Scope, tokens: TokenStream, included: bool) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            at = self.step(scope, &trees, at, included);
        }
    }

    /// Reads what starts at `at`, and says where the next thing starts.
    fn step(&mut self, scope: &Scope, trees: &[TokenTree], at: usize, included: bool) -> usize {
        if let Some(attribute) = attribute(trees, at) {
            let end = at
                + if is_punct(trees.get(at + 1), '!') {
                    3
                } else {
                    2
                };
            return if is_for_tests(attribute) {
                self.skip_test_item(trees, end)
            } else {
                end
            };
        }
        match &trees[at] {
            TokenTree::Ident(word) if word == "use" => self.read_use(scope, trees, at + 1),
            TokenTree::Ident(word) if word == "mod" => self.read_module(scope, trees, at),
            TokenTree::Ident(word) if word == "include_str" => {
                if let Some(TokenTree::Group(argument)) = trees.get(at + 2) {
                    self.walk(scope, argument.stream(), true);
                }
                at + 3
            }
            TokenTree::Ident(_) => self.read_path(scope, trees, at),
            TokenTree::Group(group) => {
                self.walk(scope, group.stream(), included);
                at + 1
            }
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                self.texts
                    .extend(unquote(&literal.to_string()).map(|value| Text {
                        line,
                        value,
                        included,
                    }));
                at + 1
            }
            TokenTree::Punct(_) => at + 1,
        }
    }

    /// `mod name { .. }` is walked as a module of its own.
    fn read_module(&mut self, scope: &Scope, trees: &[TokenTree], at: usize) -> usize {
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
            (trees.get(at + 1), trees.get(at + 2))
        else {
            return at + 1;
        };
        let module = [scope.module.as_slice(), &[name.to_string()]].concat();
        self.walk(&Scope::new(module, &body.stream()), body.stream(), false);
        at + 3
    }

    /// The item after `#[cfg(test)]`: up to its `;`, its body, or its `,`.
    fn skip_test_item(&mut self, trees: &[TokenTree], mut at: usize) -> usize {
        let first = at;
        let is_use = is_word(trees.get(at), "use");
        while let Some(tree) = trees.get(at) {
            at += 1;
            match tree {
                TokenTree::Group(g) if g.delimiter() == Delimiter::Brace && !is_use => break,
                TokenTree::Punct(p) if p.as_char() == ';' || p.as_char() == ',' => break,
                _ => {}
            }
        }
        let item = &trees[first..at];
        if let Some(place) = item.iter().position(|tree| is_word(Some(tree), "mod"))
            && let Some(TokenTree::Ident(name)) = item.get(place + 1)
            && is_punct(item.get(place + 2), ';')
        {
            self.test_modules.push(name.to_string());
        }
        at
    }

    fn read_use(&mut self, scope: &Scope, trees: &[TokenTree], at: usize) -> usize {
        let end = (at..trees.len())
            .find(|i| is_punct(trees.get(*i), ';'))
            .unwrap_or(trees.len());
        self.read_use_tree(scope, &[], &trees[at..end]);
        end + 1
    }

    /// `a::b`, `a::{b, c::d}`, `a as b`, `*`.
    fn read_use_tree(&mut self, scope: &Scope, prefix: &[String], trees: &[TokenTree]) {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        for tree in trees {
            match tree {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) => {
                    line = word.span().start().line;
                    segments.push(word.to_string());
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|tree| is_punct(Some(tree), ',')) {
                        if !branch.is_empty() {
                            self.read_use_tree(scope, &segments, branch);
                        }
                    }
                    return;
                }
                TokenTree::Punct(p) if p.as_char() == '*' => {
                    line = p.span().start().line;
                    segments.push("*".to_owned());
                }
                _ => {}
            }
        }
        if segments.len() > prefix.len() && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        self.keep(scope, line, segments, true);
    }

    /// A path in an expression or a type.
    fn read_path(&mut self, scope: &Scope, trees: &[TokenTree], mut at: usize) -> usize {
        let mut segments = Vec::new();
        let line = trees[at].span().start().line;
        while let Some(TokenTree::Ident(word)) = trees.get(at) {
            segments.push(word.to_string());
            at += 1;
            if !(is_punct(trees.get(at), ':') && is_punct(trees.get(at + 1), ':')) {
                break;
            }
            at += 2;
        }
        if segments.len() > 1 {
            self.keep(scope, line, segments, false);
        }
        at
    }

    fn keep(&mut self, scope: &Scope, line: usize, segments: Vec<String>, imported: bool) {
        let segments = scope.absolute(segments);
        self.paths.push(Path {
            line,
            segments,
            imported,
        });
    }
}

/// A module, and the modules it declares: what names in it are relative to.
#[derive(Debug)]
struct Scope {
    module: Vec<String>,
    children: Vec<String>,
}

impl Scope {
    fn new(module: Vec<String>, body: &TokenStream) -> Self {
        let trees: Vec<TokenTree> = body.clone().into_iter().collect();
        let declared = trees.windows(2).filter(|pair| is_word(pair.first(), "mod"));
        let children = declared.map(|pair| pair[1].to_string()).collect();
        Self { module, children }
    }

    /// Resolves `crate`, `self`, `super` and the module's own children.
    fn absolute(&self, segments: Vec<String>) -> Vec<String> {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate") => self.module[..1].to_vec(),
            Some("self" | "super") => self.module.clone(),
            Some(name) if self.children.iter().any(|child| child == name) => self.module.clone(),
            _ => return segments,
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ => base.push(segment),
            }
        }
        base
    }
}

fn attribute(trees: &[TokenTree], at: usize) -> Option<&Group> {
    let hash = is_punct(trees.get(at), '#');
    let inner = usize::from(is_punct(trees.get(at + 1), '!'));
    match trees.get(at + 1 + inner) {
        Some(TokenTree::Group(g)) if hash && g.delimiter() == Delimiter::Bracket => Some(g),
        _ => None,
    }
}

fn is_for_tests(attribute: &Group) -> bool {
    let text = attribute.stream().to_string();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not")
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == wanted)
}

fn is_word(tree: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(tree, Some(TokenTree::Ident(word)) if word == wanted)
}

/// What a string literal says, near enough to look for words in it.
fn unquote(literal: &str) -> Option<String> {
    let start = literal.find('"')?;
    let end = literal.rfind('"')?;
    let is_text = literal[..start].chars().all(|c| matches!(c, 'r' | '#'));
    (is_text && start < end).then(|| literal[start + 1..end].replace("\\n", "\n"))
}

#[test]
fn paths_are_made_absolute_and_tests_are_left_out() {
    let source = Source::read(
        &["windlass", "store", "memory"],
        r##"
        //! Talks of `crate::engine`, which is no import.
        use crate::{model::{self, JobId as Id}, db};
        use super::super::engine::*;
        pub(super) mod inner { use super::Thing; }
        fn f() -> crate::telemetry::Outage { tokio::select! { _ = sqlx::query(Q) => {} } }
        #[cfg(test)]
        use crate::testing::{self, drain};
        #[cfg(test)]
        mod tests { use crate::jobs::X; const Q: &str = "select 1"; }
        #[cfg(all(test, feature = "sqlite"))]
        mod more;
        const Q: &str = include_str!("sql/q.sql");
        const R: &str = r#"raw"#;
        "##,
    );
    let paths: Vec<String> = source.paths.iter().map(|p| p.segments.join("::")).collect();
    assert_eq!(
        paths,
        [
            "windlass::model",
            "windlass::model::JobId",
            "windlass::db",
            "windlass::engine::*",
            "windlass::store::memory::Thing",
            "windlass::telemetry::Outage",
            "tokio::select",
            "sqlx::query",
        ]
    );
    assert_eq!(source.paths[3].line, 4);
    assert_eq!(source.test_modules, ["more"]);
    let texts: Vec<(&str, bool)> = source
        .texts
        .iter()
        .map(|t| (&*t.value, t.included))
        .collect();
    assert_eq!(texts, [("sql/q.sql", true), ("raw", false)]);
}

#[test]
fn a_roots_reexports_are_read() {
    let root = Source::read(
        &["windlass"],
        "pub mod engine; pub use engine::{Client, Job}; pub use crate::model::State;",
    );
    let reexports = root.reexports();
    assert_eq!(reexports["Job"], ["windlass", "engine", "Job"]);
    assert_eq!(reexports["State"], ["windlass", "model", "State"]);
}
