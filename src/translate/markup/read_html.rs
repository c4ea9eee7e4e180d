//! Reads Matrix HTML: tokens into lines, in one pass and without a document tree.
//!
//! Only the tokenizer of the HTML library is used. A tree as browsers build it can be as deep as the document is long, and
//! freeing a tree of 10,000 levels, for which 50 KB are enough, exhausts the stack and ends the process.

use std::cell::RefCell;

use html5ever::{
    Attribute,
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};

use super::{
    builder::{Builder, Element},
    tree::{Formatted, Style},
};

/// The most elements that are open at one time; those deeper are as if they were not there.
const MAX_OPEN: usize = 100;

/// Reads a document.
pub(super) fn read(html: &str) -> Formatted {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    // The only thing that could interrupt it is a script, which the sink never reports.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().builder.finish()
}

#[derive(Default)]
struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        self.0.borrow_mut().take(token)
    }
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    /// The elements that are open, by name.
    open: Vec<(String, Element)>,
    /// How many more are open that were too deep.
    deeper: usize,
}

impl Reader {
    fn take(&mut self, token: Token) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) => self.builder.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return self.start(&tag),
            Token::TagToken(tag) => self.end(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        if self.take_void(name, &tag.attrs) {
            return TokenSinkResult::Continue;
        }
        self.close_implied(name);
        if self.open.len() >= MAX_OPEN {
            self.deeper += 1;
        } else {
            let element = element(name, &tag.attrs);
            self.builder.open(&element);
            self.open.push((name.to_owned(), element));
        }
        match name {
            "script" | "style" => TokenSinkResult::RawData(RawKind::Rawtext),
            _ => TokenSinkResult::Continue,
        }
    }

    /// Takes an element that has no content.
    fn take_void(&mut self, name: &str, attributes: &[Attribute]) -> bool {
        match name {
            "br" => self.builder.line_break(),
            "hr" => self.builder.rule(),
            "img" => {
                let words = attribute(attributes, "alt")
                    .filter(|alt| !alt.trim().is_empty())
                    .or_else(|| attribute(attributes, "title"));
                self.builder.text(words.unwrap_or_default());
            }
            "wbr" | "input" | "source" | "embed" | "link" | "meta" | "col" | "area" | "base"
            | "track" => {}
            _ => return false,
        }
        true
    }

    /// Some elements end where another one of their kind begins.
    fn close_implied(&mut self, name: &str) {
        let (ended, within): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol"]),
            "tr" => (&["tr"], &["table"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "a" => (&["a"], &[]),
            _ => return,
        };
        let found = self
            .open
            .iter()
            .rposition(|(open, _)| ended.contains(&&**open) || within.contains(&&**open));
        if let Some(at) = found
            && ended.contains(&&*self.open[at].0)
        {
            self.close(at);
        }
    }

    fn end(&mut self, name: &str) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some(at) = self.open.iter().rposition(|(open, _)| open == name) {
            self.close(at);
        } else if name == "p" || name == "br" {
            self.builder.line_break();
        }
    }

    /// Closes an element and the blocks within it. Formatting that is open within goes on behind it, as in browsers.
    fn close(&mut self, at: usize) {
        if !self.open[at].1.is_block() {
            let (_, element) = self.open.remove(at);
            self.builder.close(&element);
            return;
        }
        let mut stays = Vec::new();
        while self.open.len() > at + 1 {
            match self.open.pop() {
                Some((_, element)) if element.is_block() => self.builder.close(&element),
                Some(inline) => stays.push(inline),
                None => break,
            }
        }
        if let Some((_, element)) = self.open.pop() {
            self.builder.close(&element);
        }
        self.open.extend(stays.into_iter().rev());
    }
}

/// The value of an attribute.
fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| &*attribute.name.local == name)
        .map(|attribute| &*attribute.value)
}

fn element(name: &str, attributes: &[Attribute]) -> Element {
    match name {
        "strong" | "b" => Element::Styled(Style::BOLD),
        "em" | "i" => Element::Styled(Style::ITALIC),
        "del" | "s" | "strike" => Element::Styled(Style::STRIKE),
        "code" | "tt" | "kbd" | "samp" => Element::Code,
        "a" => attribute(attributes, "href")
            .map_or(Element::Other, |href| Element::Link(href.to_owned())),
        "p" => Element::Paragraph,
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "summary" => Element::Heading,
        "blockquote" => Element::Quote,
        "ul" | "menu" => Element::List(None),
        "ol" => {
            let start = attribute(attributes, "start").and_then(|start| start.trim().parse().ok());
            Element::List(Some(start.unwrap_or(1)))
        }
        "li" => Element::Item,
        "pre" => Element::Pre,
        "td" | "th" => Element::Cell,
        "div" | "tr" | "table" | "caption" | "thead" | "tbody" | "tfoot" | "details" | "dl"
        | "dt" | "dd" | "section" | "article" | "header" | "footer" | "figure" | "figcaption"
        | "center" => Element::Division,
        "mx-reply" | "script" | "style" | "template" => Element::Hidden,
        _ => attribute(attributes, "data-mx-spoiler").map_or_else(
            || {
                attribute(attributes, "data-mx-maths")
                    .map_or(Element::Other, |maths| Element::Maths(maths.to_owned()))
            },
            |reason| Element::Spoiler(reason.to_owned()),
        ),
    }
}
