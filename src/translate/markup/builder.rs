//! Builds the lines of a text from the elements and words of its HTML as they come.

use ruma::{MatrixToUri, MatrixUri, OwnedUserId, matrix_uri::MatrixId};

use super::{
    marks::is_mark,
    tree::{Content, Formatted, Line, Run, Style, What, Within, push_text},
};
use crate::translate::{Appearance, clean_text};

/// How deep quotes and items are shown; what is deeper is shown as if it was this deep.
const MAX_DEPTH: usize = 8;

/// What an element means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Styled(Style),
    Code,
    Link(String),
    Spoiler(String),
    /// A formula, which is also given as text within.
    Maths(String),
    Paragraph,
    Heading,
    Quote,
    /// A list, and what it begins to count with.
    List(Option<u32>),
    Item,
    Pre,
    Cell,
    /// Something on lines of its own.
    Division,
    /// Something nobody is to see.
    Hidden,
    Other,
}

impl Element {
    /// Whether it stands on lines of its own.
    pub(super) fn is_block(&self) -> bool {
        !matches!(
            self,
            Self::Styled(_)
                | Self::Code
                | Self::Link(_)
                | Self::Spoiler(_)
                | Self::Maths(_)
                | Self::Other
        )
    }
}

/// A list that is open.
struct List {
    id: u32,
    next: Option<u32>,
}

/// A link that is open, and where its words begin.
struct Link {
    address: String,
    line: usize,
    run: usize,
}

/// The lines so far.
#[derive(Default)]
pub(super) struct Builder {
    lines: Vec<Line>,
    runs: Vec<Run>,
    within: Vec<Option<Within>>,
    lists: Vec<List>,
    links: Vec<Link>,
    /// How many elements of each style are open.
    styles: [usize; 3],
    code: usize,
    hidden: usize,
    /// The text of the code block that is open, and how many are.
    pre: String,
    pres: usize,
    /// Whether an empty line belongs in front of the next paragraph.
    gap: bool,
    ids: u32,
}

impl Builder {
    fn id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    fn style(&self) -> Style {
        Style::ALL
            .into_iter()
            .zip(self.styles)
            .filter(|(_, open)| *open > 0)
            .fold(Style::PLAIN, |all, (style, _)| all.with(style))
    }

    /// Takes words.
    pub(super) fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        if self.pres > 0 {
            self.pre.push_str(&clean_text(text));
            return;
        }
        let style = self.style();
        let mut words = String::with_capacity(text.len());
        let mut after_blank = self.ends_in_blank();
        for c in clean_text(text).chars() {
            if !c.is_ascii_whitespace() {
                words.push(c);
                after_blank = false;
            } else if !after_blank {
                words.push(' ');
                after_blank = true;
            }
        }
        if words.is_empty() {
            return;
        }
        if self.code == 0 {
            push_text(&mut self.runs, style, &words);
        } else if let Some(Run {
            style: last,
            what: What::Code(code),
        }) = self.runs.last_mut()
            && *last == style
        {
            code.push_str(&words);
        } else {
            let what = What::Code(words);
            self.runs.push(Run { style, what });
        }
    }

    /// Whether white space that comes now is not seen.
    fn ends_in_blank(&self) -> bool {
        self.runs
            .iter()
            .rfind(|run| !run.words().is_empty())
            .is_none_or(|run| run.words().ends_with(' '))
    }

    /// Begins a new line.
    pub(super) fn line_break(&mut self) {
        if self.hidden > 0 {
        } else if self.pres > 0 {
            self.pre.push('\n');
        } else {
            self.push_line();
        }
    }

    /// Takes a line across.
    pub(super) fn rule(&mut self) {
        if self.hidden > 0 || self.pres > 0 {
            return;
        }
        self.end_line();
        self.runs.push(Run::text("———"));
        self.end_line();
    }

    /// Ends the line if it has begun.
    fn end_line(&mut self) {
        if self.runs.iter().any(|run| !run.words().is_empty()) {
            self.push_line();
        } else {
            self.runs.clear();
        }
    }

    fn push_line(&mut self) {
        let mut runs = std::mem::take(&mut self.runs);
        if let Some(Run {
            what: What::Text(text),
            ..
        }) = runs.last_mut()
        {
            text.truncate(text.trim_end_matches(' ').len());
        }
        self.push(Content::Text(runs));
    }

    fn push(&mut self, content: Content) {
        let within: Vec<Within> = self.within.iter().copied().flatten().collect();
        if std::mem::take(&mut self.gap)
            && let Some(last) = self.lines.last()
            && last.within == within
            && !last.is_blank()
        {
            let content = Content::Text(Vec::new());
            let within = within.clone();
            self.lines.push(Line { within, content });
        }
        self.lines.push(Line { within, content });
    }

    /// Opens an element.
    pub(super) fn open(&mut self, element: &Element) {
        if element.is_block() && self.pres == 0 && self.hidden == 0 && *element != Element::Cell {
            self.end_line();
        }
        match element {
            Element::Styled(style) => self.count(*style, true),
            Element::Heading => {
                self.gap = true;
                self.count(Style::BOLD, true);
            }
            Element::Paragraph => self.gap = true,
            Element::Code => self.code += 1,
            Element::Link(address) => {
                self.links.push(Link {
                    address: address.clone(),
                    line: self.lines.len(),
                    run: self.runs.len(),
                });
                // So that its words do not become a part of what is in front of them.
                let style = self.style();
                let what = What::Text(String::new());
                self.runs.push(Run { style, what });
            }
            Element::Spoiler(reason) if reason.trim().is_empty() => self.text("(spoiler) "),
            Element::Spoiler(reason) => self.text(&format!("(spoiler: {}) ", reason.trim())),
            Element::Quote => {
                let quote = Within::Quote(self.id());
                self.enter(quote);
            }
            Element::List(start) => {
                let id = self.id();
                self.lists.push(List { id, next: *start });
            }
            Element::Item => self.open_item(),
            Element::Pre => self.pres += 1,
            Element::Cell if !self.ends_in_blank() => self.text(" | "),
            Element::Hidden => self.hidden += 1,
            Element::Maths(_) | Element::Cell | Element::Division | Element::Other => {}
        }
    }

    fn open_item(&mut self) {
        let item = self.id();
        let (list, number) = match self.lists.last_mut() {
            Some(list) => {
                let number = list.next;
                list.next = number.map(|number| number.saturating_add(1));
                (list.id, number)
            }
            None => (0, None),
        };
        self.enter(Within::Item { list, item, number });
    }

    fn enter(&mut self, within: Within) {
        let depth = self.within.iter().flatten().count();
        self.within.push((depth < MAX_DEPTH).then_some(within));
    }

    fn count(&mut self, style: Style, opens: bool) {
        for (one, open) in Style::ALL.into_iter().zip(&mut self.styles) {
            if one == style {
                *open = if opens {
                    *open + 1
                } else {
                    open.saturating_sub(1)
                };
            }
        }
    }

    /// Closes an element.
    pub(super) fn close(&mut self, element: &Element) {
        if element.is_block() && self.pres == 0 && self.hidden == 0 && *element != Element::Cell {
            self.end_line();
        }
        match element {
            Element::Styled(style) => self.count(*style, false),
            Element::Heading => self.count(Style::BOLD, false),
            Element::Paragraph => self.gap = true,
            Element::Code => self.code = self.code.saturating_sub(1),
            Element::Link(_) => self.close_link(),
            Element::Maths(formula) if self.ends_in_blank() => self.text(formula),
            Element::Quote | Element::Item => {
                self.within.pop();
            }
            Element::List(_) => {
                self.lists.pop();
            }
            Element::Pre => {
                self.pres = self.pres.saturating_sub(1);
                if self.pres == 0 {
                    self.end_pre();
                }
            }
            Element::Hidden => self.hidden = self.hidden.saturating_sub(1),
            Element::Spoiler(_)
            | Element::Maths(_)
            | Element::Cell
            | Element::Division
            | Element::Other => {}
        }
    }

    fn end_pre(&mut self) {
        let code = std::mem::take(&mut self.pre);
        let code = code.strip_prefix('\n').unwrap_or(&code);
        let code = code.strip_suffix('\n').unwrap_or(code);
        if code.trim().is_empty() {
            return;
        }
        let block = self.id();
        for line in code.split('\n') {
            let text = line.to_owned();
            self.push(Content::Code { block, text });
        }
    }

    fn close_link(&mut self) {
        let Some(link) = self.links.pop() else {
            return;
        };
        if self.pres > 0 || self.hidden > 0 {
            return;
        }
        let style = self.style();
        let is_whole = link.line == self.lines.len() && link.run <= self.runs.len();
        let words: String = if is_whole {
            self.runs[link.run..].iter().map(Run::words).collect()
        } else {
            String::new()
        };
        if let Some(user) = user_of(&link.address) {
            if is_whole {
                self.runs.truncate(link.run);
                let name = if words.trim().is_empty() {
                    format!("@{}", user.localpart())
                } else {
                    words.trim().to_owned()
                };
                let what = What::Mention(Appearance { mxid: user, name });
                self.runs.push(Run { style, what });
            }
            return;
        }
        let Some(address) = address(&link.address) else {
            return;
        };
        if is_whole && says_the_same(words.trim(), link.address.trim()) {
            return;
        }
        let is_bare = is_whole && words.trim().is_empty();
        if is_bare {
            self.runs.truncate(link.run);
        } else {
            let before = if self.ends_in_blank() { "(" } else { " (" };
            push_text(&mut self.runs, style, before);
        }
        let what = What::Url(address);
        self.runs.push(Run { style, what });
        if !is_bare {
            push_text(&mut self.runs, style, ")");
        }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> Formatted {
        while !self.links.is_empty() {
            self.close_link();
        }
        if self.pres > 0 {
            self.end_pre();
        }
        self.end_line();
        let mut lines = self.lines;
        while lines.pop_if(|last| last.is_blank()).is_some() {}
        let leading = lines.iter().take_while(|line| line.is_blank()).count();
        lines.drain(..leading);
        Formatted { lines }
    }
}

/// The user a link leads to, if it leads to one.
fn user_of(address: &str) -> Option<OwnedUserId> {
    let id = match MatrixToUri::parse(address) {
        Ok(link) => link.id().clone(),
        Err(_) => MatrixUri::parse(address).ok()?.id().clone(),
    };
    match id {
        MatrixId::User(user) => Some(user),
        _ => None,
    }
}

/// A link's address as it can stand in a text; `None` for those that are of no use there.
fn address(href: &str) -> Option<String> {
    const SCHEMES: [&str; 5] = ["https:", "http:", "mailto:", "tel:", "matrix:"];
    let href = clean_text(href.trim());
    let is_known = SCHEMES.iter().any(|scheme| {
        href.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !is_known {
        return None;
    }
    let href = href.split_whitespace().collect::<Vec<_>>().join("%20");
    // A mark at its end would not be taken for a part of it.
    let address = href.trim_end_matches(is_mark);
    let marks = href[address.len()..].chars();
    let encoded = marks.map(|mark| format!("%{:02X}", u32::from(mark)));
    Some(std::iter::once(address.to_owned()).chain(encoded).collect())
}

/// Whether a link's words are its address.
fn says_the_same(words: &str, address: &str) -> bool {
    let plain = |text: &str| -> String {
        let text = text.trim_end_matches('/');
        let text = ["https://", "http://", "mailto:", "tel:"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .unwrap_or(text);
        text.to_owned()
    };
    !words.is_empty() && plain(words) == plain(address)
}
