//! As much of Rust's lexical grammar as telling code from comments and text takes.

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword (`r#` removed), or a number.
    Word(String),
    /// A string literal of any sort, without its quotes.
    Text(String),
    /// `::`
    PathSep,
    /// Any other character.
    Mark(char),
}

/// A piece of code and the line it starts on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(w) if w == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// The code of a source text, comments left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
    };
    let mut found = Vec::new();
    loop {
        lexer.skip_blank_and_comments();
        let line = lexer.line;
        let Some(kind) = lexer.next() else {
            return found;
        };
        found.push(Token { kind, line });
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn skip_blank_and_comments(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(c), _) if c.is_whitespace() => {
                    self.take();
                }
                (Some('/'), Some('/')) => while self.take().is_some_and(|c| c != '\n') {},
                (Some('/'), Some('*')) => self.skip_block_comment(),
                _ => return,
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.take();
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.take();
                }
                (None, _) => return,
                _ => {}
            }
            self.take();
            if depth == 0 {
                return;
            }
        }
    }

    fn next(&mut self) -> Option<Kind> {
        let c = self.peek(0)?;
        if c == '"' {
            self.take();
            return Some(Kind::Text(self.quoted()));
        }
        if c.is_alphanumeric() || c == '_' {
            return Some(self.word());
        }
        if c == '\'' {
            return Some(self.character_or_lifetime());
        }
        self.take();
        if c == ':' && self.peek(0) == Some(':') {
            self.take();
            return Some(Kind::PathSep);
        }
        Some(Kind::Mark(c))
    }

    /// A word, or the literal it turns out to be the prefix of (`r#"…"#`, `b"…"`).
    fn word(&mut self) -> Kind {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
            self.take();
        }
        if matches!(word.as_str(), "r" | "br" | "cr") {
            let hashes = (0..256).take_while(|i| self.peek(*i) == Some('#')).count();
            if self.peek(hashes) == Some('"') {
                for _ in 0..=hashes {
                    self.take();
                }
                return Kind::Text(self.raw(hashes));
            }
            if word == "r" && hashes == 1 {
                self.take();
                return self.word();
            }
        }
        if matches!(word.as_str(), "b" | "c") {
            match self.peek(0) {
                Some('"') => {
                    self.take();
                    return Kind::Text(self.quoted());
                }
                Some('\'') => return self.character_or_lifetime(),
                _ => {}
            }
        }
        Kind::Word(word)
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '"' => break,
                '\\' => text.extend(self.take().filter(|c| *c == '"' || *c == '\\')),
                _ => text.push(c),
            }
        }
        text
    }

    fn raw(&mut self, hashes: usize) -> String {
        let mut text = String::new();
        while let Some(c) = self.take() {
            if c == '"' && (0..hashes).all(|i| self.peek(i) == Some('#')) {
                for _ in 0..hashes {
                    self.take();
                }
                break;
            }
            text.push(c);
        }
        text
    }

    fn character_or_lifetime(&mut self) -> Kind {
        self.take();
        if self.peek(0) == Some('\\') {
            self.take();
            self.take();
            while self.take().is_some_and(|c| c != '\'') {}
        } else if self.peek(1) == Some('\'') {
            self.take();
            self.take();
        }
        // A lifetime: its name follows as a word of its own, which no rule looks for.
        Kind::Mark('\'')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text)
            .into_iter()
            .filter_map(|token| match token.kind {
                Kind::Word(word) => Some(word),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn comments_and_text_are_not_code() {
        let text = "a // crate::x\n/* b /* c */ d */ e \"f \\\" g\" r#\"h \" i\"# 'j' '\\'' k";
        assert_eq!(words(text), ["a", "e", "k"]);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(words("fn f<'a>(x: &'a str) {}").last().unwrap(), "str");
    }

    #[test]
    fn lines_are_counted_inside_literals() {
        let found = tokens("\"a\nb\"\nc");
        assert_eq!(found.last().unwrap().line, 3);
    }
}
