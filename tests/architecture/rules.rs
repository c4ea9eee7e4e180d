//! The rules themselves: functions from a file to what is wrong with it.

use std::path::Path;

use super::lexer::{Kind, Token, tokens};

/// Who may use whom. A name with `::` allows that part of the module alone.
pub(crate) const TABLE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("domain", &[]),
    ("imaging", &[]),
    ("config", &["domain"]),
    ("translate", &["domain"]),
    ("store", &["domain"]),
    ("signal", &["domain", "store", "clock"]),
    ("matrix", &["domain", "store", "config", "clock"]),
    (
        "encryption",
        &["domain", "store", "matrix", "config", "clock"],
    ),
    ("network", &["domain", "signal", "store", "config", "clock"]),
    ("sandbox", &["clock", "domain", "network::interop::wire"]),
    (
        "bridge",
        &[
            "domain",
            "imaging",
            "translate",
            "store",
            "matrix",
            "network",
            "config",
            "clock",
        ],
    ),
    (
        "commands",
        &["domain", "store", "matrix", "network", "bridge", "config"],
    ),
    (
        "provisioning",
        &["domain", "store", "matrix", "network", "bridge", "config"],
    ),
    ("telemetry", &["config"]),
    (
        "app",
        &[
            "clock",
            "domain",
            "config",
            "encryption",
            "translate",
            "store",
            "signal",
            "matrix",
            "network",
            "bridge",
            "commands",
            "provisioning",
            "sandbox",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "encryption",
            "matrix",
            "network",
            "sandbox",
            "store",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
];

const MAX_LINES: usize = 600;

/// A source file.
pub(crate) struct File {
    /// From the crate's root, such as `src/store/mod.rs`.
    pub(crate) path: String,
    text: String,
    tokens: Vec<Token>,
}

/// A path from the crate's root that some code names.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    path: Vec<String>,
    line: usize,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: tokens(text),
        }
    }

    /// The module a file is, from the crate's root: `src/a/b.rs` and `src/a/b/mod.rs` are both `a::b`.
    fn module(&self) -> Vec<String> {
        let path = Path::new(&self.path).with_extension("");
        let mut parts: Vec<String> = path
            .components()
            .skip(1)
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        parts.pop_if(|last| last == "mod" || last == "lib");
        parts
    }

    /// The top-level module a file belongs to; `lib` for the crate's root.
    pub(crate) fn top(&self) -> String {
        self.module()
            .first()
            .map_or_else(|| "lib".to_owned(), Clone::clone)
    }

    fn objection(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Every path from the crate's root that the code names, `use` trees spread out and `super` followed.
    fn uses(&self) -> Vec<Use> {
        let mut found = Vec::new();
        // The inline modules around the current token, each with the brace depth it opened at.
        let mut inline: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < self.tokens.len() {
            let token = &self.tokens[at];
            let rest = &self.tokens[at + 1..];
            if token.is_mark('{') {
                depth += 1;
            } else if token.is_mark('}') {
                depth -= 1;
                inline.pop_if(|(_, opened)| *opened == depth);
            } else if token.is("mod")
                && let [name, open, ..] = rest
                && let (Kind::Word(name), true) = (&name.kind, open.is_mark('{'))
            {
                inline.push((name.clone(), depth));
            } else if token.is("crate") || (self.path == "src/main.rs" && token.is("drawbridge")) {
                self.tree(at + 1, &[], &mut found);
            } else if token.is("super") && !self.follows_super(at) {
                let mut base = self.module();
                base.extend(inline.iter().map(|(name, _)| name.clone()));
                base.pop();
                at += 1;
                while let [sep, next, ..] = &self.tokens[at..]
                    && sep.kind == Kind::PathSep
                    && next.is("super")
                {
                    base.pop();
                    at += 2;
                }
                if base.is_empty() {
                    self.tree(at, &[], &mut found);
                }
                continue;
            }
            at += 1;
        }
        found
    }

    fn follows_super(&self, at: usize) -> bool {
        at >= 2 && self.tokens[at - 1].kind == Kind::PathSep && self.tokens[at - 2].is("super")
    }

    /// Reads `::a::b`, `::{a, b::c}` or `::*` from a place on; returns the place behind it.
    fn tree(&self, mut at: usize, prefix: &[String], found: &mut Vec<Use>) -> usize {
        let mut path = prefix.to_vec();
        while let [sep, next, ..] = &self.tokens[at..]
            && sep.kind == Kind::PathSep
        {
            match &next.kind {
                Kind::Word(word) => {
                    path.push(word.clone());
                    at += 2;
                }
                Kind::Mark('{') => return self.group(at + 2, &path, found),
                _ => break,
            }
        }
        if path.len() > prefix.len() {
            found.push(Use {
                path,
                line: self.tokens[at - 1].line,
            });
        }
        at
    }

    fn group(&self, mut at: usize, prefix: &[String], found: &mut Vec<Use>) -> usize {
        while let Some(token) = self.tokens.get(at) {
            match &token.kind {
                Kind::Mark('}') => return at + 1,
                Kind::Word(word) => {
                    let mut path = prefix.to_vec();
                    path.push(word.clone());
                    let before = found.len();
                    let behind = self.tree(at + 1, &path, found);
                    if found.len() == before {
                        found.push(Use {
                            path,
                            line: token.line,
                        });
                    }
                    at = behind;
                    if self.tokens.get(at).is_some_and(|next| next.is("as")) {
                        at += 2;
                    }
                }
                _ => at += 1,
            }
        }
        at
    }

    /// The code outside `#[cfg(test)]` modules.
    fn production(&self) -> &[Token] {
        if self.path.ends_with("/tests.rs") {
            return &[];
        }
        let marker = ["cfg", "test", "mod"];
        let start = self.tokens.windows(8).position(|window| {
            let words = window.iter().filter_map(|token| match &token.kind {
                Kind::Word(word) => Some(word.as_str()),
                _ => None,
            });
            window[0].is_mark('#') && words.take(3).eq(marker)
        });
        // By this project's habit the test module is the last item of its file.
        &self.tokens[..start.unwrap_or(self.tokens.len())]
    }
}

fn allows(rule: &str, path: &[String]) -> bool {
    let rule: Vec<&str> = rule.split("::").collect();
    path.len() >= rule.len() && rule.iter().zip(path).all(|(a, b)| a == b)
}

/// Modules use only what the table allows.
pub(crate) fn uses(file: &File) -> Vec<String> {
    let top = file.top();
    if top == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = TABLE.iter().find(|(module, _)| *module == top) else {
        return vec![file.objection(1, &format!("`{top}` has no row in the table"))];
    };
    file.uses()
        .into_iter()
        .filter(|used| used.path[0] != top && used.path[0] != "*")
        .filter(|used| !allowed.iter().any(|rule| allows(rule, &used.path)))
        .map(|used| {
            let path = used.path.join("::");
            file.objection(used.line, &format!("`{top}` may not use `{path}`"))
        })
        .collect()
}

/// Only the store contains SQL.
pub(crate) fn sql(file: &File) -> Vec<String> {
    if file.top() == "store" {
        return Vec::new();
    }
    let openings = [
        "SELECT ",
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "CREATE TABLE ",
        "CREATE INDEX ",
        "ALTER TABLE ",
        "DROP TABLE ",
        "PRAGMA ",
    ];
    let mut found = Vec::new();
    for token in &file.tokens {
        match &token.kind {
            Kind::Text(text) if openings.iter().any(|o| text.trim_start().starts_with(o)) => {
                found.push(file.objection(token.line, "SQL outside the store"));
            }
            Kind::Word(word) if word == "sqlx" => {
                found.push(file.objection(token.line, "sqlx outside the store"));
            }
            _ => {}
        }
    }
    found
}

/// Only `main.rs` exits.
pub(crate) fn exits(file: &File) -> Vec<String> {
    if file.path == "src/main.rs" {
        return Vec::new();
    }
    file.tokens
        .windows(3)
        .filter(|w| w[0].is("process") && w[1].kind == Kind::PathSep)
        .filter(|w| w[2].is("exit") || w[2].is("abort"))
        .map(|w| file.objection(w[0].line, "only main.rs may exit"))
        .collect()
}

/// `translate` and `wire` never await and never read a clock or a random source.
pub(crate) fn purity(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/translate/")
        && !file.path.starts_with("src/network/interop/wire/")
    {
        return Vec::new();
    }
    let impure = [
        "async",
        "await",
        "tokio",
        "SystemTime",
        "Instant",
        "SystemClock",
        "OsRng",
        "SysRng",
        "ThreadRng",
        "thread_rng",
        "getrandom",
        "reqwest",
        "fs",
        "env",
    ];
    let code = file.production();
    let mut found: Vec<String> = code
        .iter()
        .filter_map(|token| {
            let word = impure.iter().find(|word| token.is(word))?;
            Some(file.objection(token.line, &format!("`{word}` in a pure module")))
        })
        .collect();
    found.extend(
        code.windows(3)
            .filter(|w| w[0].is("rand") && w[1].kind == Kind::PathSep)
            .filter(|w| w[2].is("rng") || w[2].is("random"))
            .map(|w| file.objection(w[0].line, "a random source in a pure module")),
    );
    found
}

/// Every file opens with a sentence that says what it is for.
pub(crate) fn opening(file: &File) -> Vec<String> {
    let paragraph: Vec<&str> = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//! "))
        .collect();
    let is_sentence = paragraph
        .last()
        .is_some_and(|line| line.trim_end().ends_with(['.', ':']));
    if is_sentence {
        Vec::new()
    } else {
        vec![file.objection(1, "does not open with a `//!` sentence")]
    }
}

/// No file is longer than can be read in one go.
pub(crate) fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        vec![file.objection(lines, &format!("{lines} lines, {MAX_LINES} allowed"))]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(path: &str, text: &str) -> Vec<String> {
        let uses = File::new(path, text).uses();
        uses.into_iter().map(|used| used.path.join("::")).collect()
    }

    #[test]
    fn finds_plain_grouped_and_inline_paths() {
        let text = "use crate::{a::{self, B as C}, d};\nfn f() { crate::e::g::<u8>(); }";
        assert_eq!(paths("src/x.rs", text), ["a::self", "a::B", "d", "e::g"]);
    }

    #[test]
    fn follows_super_out_of_a_module_but_not_out_of_its_parts() {
        assert_eq!(paths("src/a/b.rs", "use super::c;"), Vec::<String>::new());
        assert_eq!(paths("src/a/b.rs", "use super::super::c::D;"), ["c::D"]);
        let nested = "mod tests { use super::super::c; } use super::super::d;";
        assert_eq!(paths("src/a/b.rs", nested), ["d"]);
    }

    #[test]
    fn objects_to_a_use_the_table_does_not_allow() {
        let wrong = [
            ("src/domain/ids.rs", "use crate::store::StoreError;"),
            (
                "src/matrix/client.rs",
                "use crate::{domain::X, network::Network};",
            ),
            (
                "src/sandbox/x.rs",
                "use crate::network::interop::session::Session;",
            ),
            ("src/bridge/x.rs", "fn f() { crate::app::App::build(); }"),
            ("src/translate/x.rs", "use super::super::clock;"),
            ("src/newcomer.rs", ""),
        ];
        for (path, text) in wrong {
            assert_eq!(uses(&File::new(path, text)).len(), 1, "{path}: {text}");
        }
        let right = [
            (
                "src/matrix/client.rs",
                "use crate::{domain::X, store::Y};\n// crate::network",
            ),
            (
                "src/sandbox/x.rs",
                "use crate::network::interop::wire::Node;",
            ),
            (
                "src/store/x.rs",
                "use super::model::A; use crate::store::error::B;",
            ),
        ];
        for (path, text) in right {
            assert_eq!(uses(&File::new(path, text)), Vec::<String>::new());
        }
    }

    #[test]
    fn objects_to_sql_and_sqlx_outside_the_store() {
        let text = "const Q: &str = \"SELECT 1 FROM t\";";
        assert_eq!(sql(&File::new("src/bridge/x.rs", text)).len(), 1);
        assert_eq!(sql(&File::new("src/app.rs", "use sqlx::Pool;")).len(), 1);
        assert!(sql(&File::new("src/store/x.rs", text)).is_empty());
        assert!(
            sql(&File::new(
                "src/app.rs",
                "// SELECT 1\nlet a = \"a SELECT b\";"
            ))
            .is_empty()
        );
    }

    #[test]
    fn objects_to_an_exit_outside_main() {
        let text = "fn f() { std::process::exit(1) }";
        assert_eq!(exits(&File::new("src/cli/run.rs", text)).len(), 1);
        assert!(exits(&File::new("src/main.rs", text)).is_empty());
    }

    #[test]
    fn objects_to_clocks_randomness_and_awaiting_in_pure_modules() {
        for text in [
            "async fn f() {}",
            "fn f() { SystemTime::now(); }",
            "fn f() { rand::rng(); }",
        ] {
            assert_eq!(
                purity(&File::new("src/translate/x.rs", text)).len(),
                1,
                "{text}"
            );
            assert_eq!(
                purity(&File::new("src/network/interop/wire/x.rs", text)).len(),
                1
            );
            assert!(purity(&File::new("src/bridge/x.rs", text)).is_empty());
        }
        let tested =
            "fn f(r: &mut impl rand::Rng) {}\n#[cfg(test)]\nmod tests { fn g() { rand::rng(); } }";
        assert!(purity(&File::new("src/translate/x.rs", tested)).is_empty());
    }

    #[test]
    fn objects_to_a_missing_purpose_and_to_length() {
        assert_eq!(opening(&File::new("src/x.rs", "use a;")).len(), 1);
        assert_eq!(
            opening(&File::new("src/x.rs", "//! no full stop\nuse a;")).len(),
            1
        );
        assert!(
            opening(&File::new(
                "src/x.rs",
                "//! What it is,\n//! in two lines.\n//!\n//! x"
            ))
            .is_empty()
        );
        assert_eq!(length(&File::new("src/x.rs", &"\n".repeat(601))).len(), 1);
        assert!(length(&File::new("src/x.rs", &"\n".repeat(600))).is_empty());
    }
}
