//! Formatted text: Matrix HTML and the gatekeeper's marks, each read into and written from one small tree.
//!
//! The tree ([`tree`]) is a list of lines, each with the quotes and list items it is in and the pieces of text it consists of.
//! So nothing here recurses, however deep the input nests, and a line can be taken away or cut without touching the others.
//!
//! # Marks
//! `*bold*`, `_italic_`, `~struck~`, `` `code` ``, ```` ```block``` ````, `- item`, `1. item`, `> quote`. A mark opens before a
//! character that is not white space, where no letter or digit is in front of it, and closes behind a character that is not white
//! space, where no letter or digit follows; it ends with its line. Formatting that cannot be had under these rules (within a
//! word) is left out, the text is kept. Within code and addresses nothing is a mark.
//!
//! # Text that only looks like marks
//! A mark character that would format by accident gets [`NEUTRALISER`] in front of it, and that character is dropped again in
//! front of a mark character by the way back, and only there.

mod builder;
mod glyphs;
mod marks;
mod read_html;
mod read_marks;
mod split;
mod tree;
mod write_html;
mod write_marks;

use ruma::{OwnedUserId, UserId};

pub(super) use read_marks::People;
pub(super) use split::split_marks;
pub(super) use tree::Formatted;

use super::Appearance;
use crate::domain::RemoteUserId;

/// Keeps a mark character from formatting: the zero-width space. It may stand where a line may break, which in front of a mark
/// is so anyway; the word joiner would glue the mark to the word before it.
pub(super) const NEUTRALISER: char = '\u{200b}';

/// Text with the gatekeeper's marks, and whom it mentions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Marked {
    /// The text.
    pub(super) text: String,
    /// The users named in it as `@` and the user part of the address, each once.
    pub(super) mentions: Vec<RemoteUserId>,
}

/// What a text with marks looks like in Matrix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// The text as it was typed, mentioned users by their names.
    pub(super) body: String,
    /// The HTML, if anything is formatted.
    pub(super) html: Option<String>,
    /// The users it mentions, each once.
    pub(super) mentions: Vec<OwnedUserId>,
}

/// Reads the HTML of a message.
pub(super) fn from_html(html: &str) -> Formatted {
    read_html::read(html)
}

/// Reads a text in which nothing is formatted; the ids of users who are mentioned become mentions.
pub(super) fn from_plain(text: &str, mentioned: &[OwnedUserId]) -> Formatted {
    Formatted::plain(text, mentioned)
}

/// Writes marks. Users whose address `people` knows are mentioned by it, others are named.
pub(super) fn to_marks(
    formatted: &Formatted,
    people: &dyn Fn(&UserId) -> Option<RemoteUserId>,
) -> Marked {
    write_marks::write(formatted, people)
}

/// Reads a text with marks.
pub(super) fn show(text: &str, people: &People) -> Shown {
    let read = read_marks::read(text, people);
    let formatted = &read.formatted;
    let has_form = formatted.is_formatted() && !formatted.is_blank();
    Shown {
        html: has_form.then(|| write_html::write(formatted)),
        body: read.plain,
        mentions: read.mentions,
    }
}

/// A text as HTML in which nothing is formatted.
pub(super) fn escape(text: &str) -> String {
    write_html::escape(text).replace('\n', "<br>")
}

/// What is called in a text by its name: with the `@` in front that some clients leave out.
fn at_name(who: &Appearance) -> String {
    if who.name.starts_with('@') {
        who.name.clone()
    } else {
        format!("@{}", who.name)
    }
}
