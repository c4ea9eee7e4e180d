//! Writes HTML that has nothing but the tags of the tree and links to users.

use super::{
    at_name,
    tree::{Content, Formatted, Line, Run, Style, What, Within},
};

/// Writes a text as HTML.
pub(super) fn write(formatted: &Formatted) -> String {
    let mut writer = Writer::default();
    for line in &formatted.lines {
        writer.line(line);
    }
    writer.close_code();
    writer.close_to(0);
    writer.html
}

/// A text in which no character means anything to HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[derive(Default)]
struct Writer {
    html: String,
    /// What the last line was in.
    open: Vec<Within>,
    /// The code block the last line was of.
    code: Option<u32>,
    /// Whether the last line was text, so that a break has to follow before another one.
    after_text: bool,
}

impl Writer {
    fn line(&mut self, line: &Line) {
        if let Content::Code { block, text } = &line.content
            && self.code == Some(*block)
        {
            self.html.push('\n');
            self.html.push_str(&escape(text));
            return;
        }
        self.close_code();
        self.move_to(&line.within);
        match &line.content {
            Content::Text(runs) => {
                if self.after_text {
                    self.html.push_str("<br>");
                }
                self.runs(runs);
                self.after_text = true;
            }
            Content::Code { block, text } => {
                self.html.push_str("<pre><code>");
                // The first line break behind the tag is not shown.
                if text.is_empty() {
                    self.html.push('\n');
                }
                self.html.push_str(&escape(text));
                self.code = Some(*block);
            }
        }
    }

    fn close_code(&mut self) {
        if self.code.take().is_some() {
            self.html.push_str("</code></pre>");
            self.after_text = false;
        }
    }

    /// Closes and opens quotes, lists and items so that what follows is in these.
    fn move_to(&mut self, within: &[Within]) {
        let same = self
            .open
            .iter()
            .zip(within)
            .take_while(|(a, b)| a == b)
            .count();
        if same == self.open.len() && same == within.len() {
            return;
        }
        let stays_in_list = match (self.open.get(same), within.get(same)) {
            (Some(Within::Item { list: a, .. }), Some(Within::Item { list: b, .. })) => a == b,
            _ => false,
        };
        if stays_in_list {
            self.close_to(same + 1);
            self.html.push_str("</li><li>");
            self.open[same] = within[same];
        } else {
            self.close_to(same);
        }
        for next in &within[self.open.len()..] {
            match next {
                Within::Quote(_) => self.html.push_str("<blockquote>"),
                Within::Item { number: None, .. } => self.html.push_str("<ul><li>"),
                Within::Item {
                    number: Some(1), ..
                } => self.html.push_str("<ol><li>"),
                Within::Item {
                    number: Some(start),
                    ..
                } => {
                    let start = start.to_string();
                    self.html.extend(["<ol start=\"", &start, "\"><li>"]);
                }
            }
            self.open.push(*next);
        }
        self.after_text = false;
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            self.html.push_str(match self.open.pop() {
                Some(Within::Quote(_)) => "</blockquote>",
                Some(Within::Item { number: None, .. }) => "</li></ul>",
                Some(Within::Item { .. }) => "</li></ol>",
                None => "",
            });
            self.after_text = false;
        }
    }

    fn runs(&mut self, runs: &[Run]) {
        let mut open: Vec<Style> = Vec::new();
        for run in runs {
            let stays = open
                .iter()
                .take_while(|style| run.style.has(**style))
                .count();
            self.close_styles(&mut open, stays);
            for style in Style::ALL {
                if run.style.has(style) && !open.contains(&style) {
                    self.html.extend(["<", tag(style), ">"]);
                    open.push(style);
                }
            }
            match &run.what {
                What::Text(text) | What::Url(text) => self.html.push_str(&escape(text)),
                What::Code(code) => {
                    self.html.extend(["<code>", &escape(code), "</code>"]);
                }
                What::Mention(who) => {
                    let link = escape(&who.mxid.matrix_to_uri().to_string());
                    let name = escape(&at_name(who));
                    self.html
                        .extend(["<a href=\"", &link, "\">", &name, "</a>"]);
                }
            }
        }
        self.close_styles(&mut open, 0);
    }

    fn close_styles(&mut self, open: &mut Vec<Style>, keep: usize) {
        while open.len() > keep {
            if let Some(style) = open.pop() {
                self.html.extend(["</", tag(style), ">"]);
            }
        }
    }
}

fn tag(style: Style) -> &'static str {
    if style == Style::BOLD {
        "strong"
    } else if style == Style::ITALIC {
        "em"
    } else {
        "del"
    }
}
