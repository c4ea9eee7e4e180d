//! The example file, written from the table of keys.

use std::fmt::Write as _;

use super::keys::{Content, Key, Kind, SECTIONS, Unset};

const HEAD: &str = "\
# The configuration of drawbridge.
#
# A key that is not set has the value shown here. Every key can also come from the environment, as
# DRAWBRIDGE_SECTION__KEY (two underscores). Every secret `x` can be in a file of its own, named by `x_file`, which only
# its owner may read. Paths are taken from this file's folder. Unknown keys are refused.
";

/// The whole example file.
pub(super) fn render() -> String {
    let mut out = HEAD.to_owned();
    for section in SECTIONS {
        out.push('\n');
        comment(&mut out, "", section.doc);
        line(&mut out, &format!("{}:", section.name));
        match section.content {
            Content::Keys(keys) => {
                for key in keys {
                    comment(&mut out, "  ", key.doc);
                    entry(&mut out, key);
                }
            }
            Content::List(keys, entries) => list(&mut out, keys, entries),
        }
    }
    out
}

fn entry(out: &mut String, key: &Key) {
    let name = key.name;
    let text = match (key.unset, key.kind) {
        (Unset::File(file), _) => format!("  {name}_file: {file}"),
        (Unset::Optional(text), Kind::Secret) => format!("  # {name}_file: {text}"),
        (Unset::Optional(text), _) => format!("  # {name}: {text}"),
        (Unset::Default(text) | Unset::Required(text), _) => format!("  {name}: {text}"),
    };
    line(out, &text);
}

fn list(out: &mut String, keys: &[Key], entries: &[&[(&str, &str)]]) {
    for (index, given) in entries.iter().enumerate() {
        let mut lead = "  - ";
        for key in keys {
            if index == 0 {
                comment(out, if lead == "  - " { "  " } else { "    " }, key.doc);
            }
            let given = given.iter().find(|(name, _)| *name == key.name);
            let text = match (given, key.unset) {
                (Some((_, text)), _) => *text,
                (None, Unset::Default(text)) => text,
                (None, _) => continue,
            };
            line(out, &format!("{lead}{}: {text}", key.name));
            lead = "    ";
        }
    }
}

fn comment(out: &mut String, indent: &str, doc: &str) {
    for text in doc.lines() {
        line(out, &format!("{indent}# {text}"));
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes every text");
}
