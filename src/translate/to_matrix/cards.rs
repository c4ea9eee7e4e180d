//! Places and contact cards.

use serde_json::json;

use super::{MatrixContext, MatrixEvent, notices, text};
use crate::{
    domain::{ContactCard, Location},
    translate::{clean_name, clean_text, names::is_invisible, text::shortened},
};

/// The longest line shown of a card or a place, in characters.
const MAX_LINE: usize = 300;
/// The most lines shown of one card, and the most cards.
const MAX_LINES: usize = 40;

/// A place (`m.location` with the fields of MSC3488).
pub(super) fn location(location: &Location, about: &MatrixContext) -> Vec<MatrixEvent> {
    let (lat, lon) = (location.latitude, location.longitude);
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        return notices::notice(&format!(
            "{} sent a place that cannot be read. Open the app to see it.",
            notices::sender(about)
        ));
    }
    let mut uri = format!("geo:{lat},{lon}");
    if let Some(metres) = location.accuracy {
        uri = format!("{uri};u={metres}");
    }
    let texts = [&location.name, &location.address];
    let mut lines: Vec<String> = texts
        .into_iter()
        .flatten()
        .map(|text| one_line(text))
        .filter(|line| !line.is_empty())
        .collect();
    lines.dedup();
    let described = lines.join(", ");
    let what = if location.live {
        "Live location"
    } else {
        "Location"
    };
    let body = if described.is_empty() {
        format!("{what}: {lat}, {lon}")
    } else {
        format!("{what}: {described} ({lat}, {lon})")
    };
    let mut place = json!({ "uri": uri });
    if !described.is_empty() {
        place["description"] = json!(described);
    }
    let asset = if location.live { "m.self" } else { "m.pin" };
    let mut events = about.related_below(MatrixEvent::message(json!({
        "msgtype": "m.location",
        "body": body,
        "geo_uri": uri,
        "org.matrix.msc1767.text": body,
        "org.matrix.msc3488.location": place,
        "org.matrix.msc3488.asset": { "type": asset },
        "m.mentions": {},
    })));
    if location.live {
        events.extend(notices::notice(&format!(
            "{} shares their live location. Only where it began is shown here; open the app to follow it.",
            notices::sender(about)
        )));
    }
    events
}

/// Contact cards: each one's name and what it says, line by line.
pub(super) fn contacts(contacts: &[ContactCard], about: &MatrixContext) -> Vec<MatrixEvent> {
    let mut cards: Vec<String> = contacts.iter().take(MAX_LINES).map(card).collect();
    if contacts.len() > MAX_LINES {
        let more = contacts.len() - MAX_LINES;
        cards.push(format!(
            "(and {more} more contacts: open the app to see them)"
        ));
    }
    about.related(text::literal(&cards.join("\n\n")))
}

fn card(contact: &ContactCard) -> String {
    let mut name = clean_name(&contact.name);
    let mut lines = Vec::new();
    for property in properties(&contact.vcard) {
        if property.name == "FN" && name.is_empty() {
            name = clean_name(&property.value);
        }
        if lines.len() < MAX_LINES {
            lines.extend(property.shown());
        }
    }
    let name = if name.is_empty() {
        "somebody without a name"
    } else {
        &name
    };
    lines.insert(0, format!("Contact: {name}"));
    lines.join("\n")
}

/// A line of a vCard (RFC 6350), its value as text.
struct Property {
    name: String,
    /// What the values of its `TYPE` are.
    types: Vec<String>,
    value: String,
}

impl Property {
    /// The line as people read it, if it is for them.
    fn shown(&self) -> Option<String> {
        let label = match self.name.as_str() {
            "TEL" => "Phone",
            "EMAIL" => "E-mail",
            "ORG" => "Organisation",
            "TITLE" => "Title",
            "ADR" => "Address",
            "URL" => "Web",
            "BDAY" => "Birthday",
            "NOTE" => "Note",
            "NICKNAME" => "Nickname",
            _ => return None,
        };
        let value = one_line(&self.value);
        if value.is_empty() {
            return None;
        }
        let types: Vec<&str> = self
            .types
            .iter()
            .map(String::as_str)
            .filter(|of| !matches!(*of, "pref" | "internet" | "voice"))
            .collect();
        Some(if types.is_empty() {
            format!("{label}: {value}")
        } else {
            format!("{label} ({}): {value}", types.join(", "))
        })
    }
}

fn properties(vcard: &str) -> Vec<Property> {
    let unfolded = clean_text(vcard).replace("\n ", "").replace("\n\t", "");
    unfolded.lines().filter_map(property).collect()
}

fn property(line: &str) -> Option<Property> {
    let (head, value) = line.split_once(':')?;
    let mut parameters = head.split(';');
    // A group in front of the name binds lines together (`item1.TEL`).
    let name = parameters.next()?.rsplit('.').next()?.trim();
    let types = parameters
        .flat_map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or(("TYPE", parameter));
            let is_type = key.eq_ignore_ascii_case("TYPE");
            value
                .trim_matches('"')
                .split(',')
                .filter(move |_| is_type)
                .map(|of| clean_name(of).to_ascii_lowercase())
                .collect::<Vec<_>>()
        })
        .filter(|of| !of.is_empty())
        .collect();
    Some(Property {
        name: name.to_ascii_uppercase(),
        types,
        value: unescaped(value),
    })
}

/// A value as text: its parts with commas between, its escapes undone.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => text.push(' '),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            ';' if text.is_empty() || text.ends_with(", ") => {}
            ';' => text.push_str(", "),
            c => text.push(c),
        }
    }
    text.trim_end_matches([',', ' ']).to_owned()
}

/// A text in one line, without characters that hide something or turn its direction.
fn one_line(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| c.is_whitespace() || !is_invisible(*c))
        .collect();
    let text = clean_text(&text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&text, MAX_LINE)
}
