//! What somebody says through another account: with a profile of its own a message (MSC4144), and a name in the text for clients
//! that do not know that.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{MatrixEvent, RoomEvent, clean_name, markup};

/// The key of the profile in an event's content.
const PROFILE: &str = "com.beeper.per_message_profile";
/// The keys under which others may give it.
const KEYS: [&str; 2] = [PROFILE, "m.per_message_profile"];
/// What a name in an HTML text begins and ends with that stands there only for clients that know no profiles.
const FALLBACK: (&str, &str) = ("<strong data-mx-profile-fallback", "</strong>");

/// The name under which an event is said, if it has one of its own.
#[must_use]
pub fn said_as(event: &RoomEvent) -> Option<String> {
    let mut profiles = KEYS.iter().map(|key| &event.content[*key]);
    profiles.find_map(|profile| {
        let name = clean_name(profile["displayname"].as_str()?);
        (!name.is_empty()).then_some(name)
    })
}

/// An event without the name that its text repeats from its profile.
#[must_use]
pub fn without_fallback(event: &RoomEvent) -> Cow<'_, RoomEvent> {
    let mut profiles = KEYS.iter().map(|key| &event.content[*key]);
    let Some(profile) = profiles.find(|profile| profile["has_fallback"] == true) else {
        return Cow::Borrowed(event);
    };
    let lead = format!("{}: ", profile["displayname"].as_str().unwrap_or_default());
    let mut without = event.clone();
    strip(&mut without.content, &lead);
    if without.content["m.new_content"].is_object() {
        strip(&mut without.content["m.new_content"], &lead);
    }
    Cow::Owned(without)
}

fn strip(content: &mut Value, lead: &str) {
    let body = content["body"].as_str().map(|body| {
        // An edit's outer text begins with an asterisk.
        let (mark, body) = body
            .strip_prefix("* ")
            .map_or(("", body), |rest| ("* ", rest));
        format!("{mark}{}", body.strip_prefix(lead).unwrap_or(body))
    });
    if let Some(body) = body {
        content["body"] = json!(body);
    }
    let html = content["formatted_body"].as_str().and_then(|html| {
        let start = html.find(FALLBACK.0)?;
        let end = start + html[start..].find(FALLBACK.1)? + FALLBACK.1.len();
        Some(format!("{}{}", &html[..start], &html[end..]))
    });
    if let Some(html) = html {
        content["formatted_body"] = json!(html);
    }
}

/// An event that another account sends for somebody: `id` is theirs, `name` what they are called, `avatar` their picture's address.
#[must_use]
pub fn spoken_for(
    mut event: MatrixEvent,
    id: &str,
    name: &str,
    avatar: Option<&str>,
) -> MatrixEvent {
    let mut profile = json!({ "id": id, "displayname": name });
    if let Some(avatar) = avatar {
        profile["avatar_url"] = json!(avatar);
    }
    let is_text = event.kind == "m.room.message";
    if is_text && lead(&mut event.content, name) {
        profile["has_fallback"] = json!(true);
    }
    if is_text && event.content["m.new_content"].is_object() {
        lead(&mut event.content["m.new_content"], name);
        event.content["m.new_content"][PROFILE] = profile.clone();
    }
    event.content[PROFILE] = profile;
    event
}

/// Puts a name before what a message says; `false` if there is no text it could stand before.
fn lead(content: &mut Value, name: &str) -> bool {
    let is_file = content["url"].is_string() || content["file"].is_object();
    // The body of a file without a caption is its name.
    let has_caption = content["filename"].is_string() && content["filename"] != content["body"];
    let Some(body) = content["body"].as_str().map(str::to_owned) else {
        return false;
    };
    if is_file && !has_caption {
        return false;
    }
    let html = match content["formatted_body"].as_str() {
        Some(html) => html.to_owned(),
        None => markup::escape(&body),
    };
    let escaped = markup::escape(name);
    content["body"] = json!(format!("{name}: {body}"));
    content["format"] = json!("org.matrix.custom.html");
    content["formatted_body"] = json!(format!(
        "<strong data-mx-profile-fallback>{escaped}: </strong>{html}"
    ));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_in_the_profile_and_cannot_format() {
        let event = MatrixEvent {
            kind: "m.room.message",
            content: json!({ "msgtype": "m.text", "body": "1 < 2" }),
        };
        let event = spoken_for(event, "4915155550001@s.whatsapp.net", "<b>Bob", None);
        assert_eq!(event.content["body"], "<b>Bob: 1 < 2");
        assert_eq!(
            event.content["formatted_body"],
            "<strong data-mx-profile-fallback>&lt;b&gt;Bob: </strong>1 &lt; 2"
        );
        assert_eq!(event.content[PROFILE]["displayname"], "<b>Bob");
        assert_eq!(event.content[PROFILE]["has_fallback"], true);
    }

    #[test]
    fn a_files_name_stays_its_name() {
        let event = MatrixEvent {
            kind: "m.room.message",
            content: json!({ "msgtype": "m.image", "body": "a.jpg", "filename": "a.jpg", "url": "mxc://x/y" }),
        };
        let event = spoken_for(event, "1@s", "Bob", Some("mxc://x/b"));
        assert_eq!(event.content["body"], "a.jpg");
        assert_eq!(event.content[PROFILE]["avatar_url"], "mxc://x/b");
    }

    #[test]
    fn what_is_spoken_for_somebody_can_be_told_from_it_again() {
        let event = MatrixEvent {
            kind: "m.room.message",
            content: json!({ "msgtype": "m.text", "body": "1 < 2" }),
        };
        let event = spoken_for(event, "4915155550001@s.whatsapp.net", "Bob", None);
        let json = json!({ "type": event.kind, "content": event.content }).to_string();
        let event = RoomEvent::from_json(&json).unwrap();
        assert_eq!(said_as(&event).as_deref(), Some("Bob"));
        let without = without_fallback(&event);
        assert_eq!(without.content()["body"], "1 < 2");
        assert_eq!(without.content()["formatted_body"], "1 &lt; 2");
    }
}
