//! What somebody says through another account: with a profile of its own a message (MSC4144), and a name in the text for clients
//! that do not know that.

use serde_json::{Value, json};

use super::{MatrixEvent, markup};

/// The key of the profile in an event's content.
const PROFILE: &str = "com.beeper.per_message_profile";

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
}
