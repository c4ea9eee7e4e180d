//! What the page writes and tells.

use axum::{Extension, Json, extract::Path, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, Reference, contact, sendable};
use crate::{
    domain::Typing,
    network::interop::wire::Jid,
    sandbox::{
        contacts::{
            ContactHandle,
            content::{Card, Composed, Content, Location, Preview},
        },
        http::Cast,
    },
};

/// How many options a poll may have.
const MOST_OPTIONS: usize = 12;
/// How many people a text may mention.
const MOST_MENTIONS: usize = 64;

/// A contact and one of its chats.
type ChatPath = Path<(String, String)>;
type Written = Result<Json<Value>, ApiError>;

fn written(id: &str) -> Json<Value> {
    Json(json!({"id": id}))
}

#[derive(Deserialize)]
pub(super) struct Saying {
    text: String,
    quotes: Option<Reference>,
    #[serde(default)]
    mentions: Vec<String>,
    #[serde(default)]
    everybody: bool,
    preview: Option<Linked>,
}

/// What a link in a text leads to, as its sender says.
#[derive(Deserialize)]
struct Linked {
    url: String,
    title: String,
    #[serde(default)]
    description: String,
}

impl Saying {
    fn composed(self) -> Result<Composed, ApiError> {
        sendable(&self.text)?;
        let mut addresses = self.mentions.iter().map(|address| address.parse::<Jid>());
        if self.mentions.len() > MOST_MENTIONS || addresses.any(|address| address.is_err()) {
            return Err(ApiError::bad("some of these cannot be mentioned"));
        }
        let preview = match self.preview {
            Some(Linked { url, .. }) if !self.text.contains(&url) => {
                return Err(ApiError::bad("a preview is of a link that is in the text"));
            }
            linked => linked.map(|linked| Preview {
                url: linked.url,
                title: linked.title,
                description: linked.description,
                thumbnail: Vec::new(),
            }),
        };
        Ok(Composed {
            content: Content::Text { preview },
            mentions: self.mentions,
            mentions_everybody: self.everybody,
            ..Composed::text(self.text)
        })
    }
}

/// The same message as an answer to another.
pub(super) fn answering(
    contact: &ContactHandle,
    chat: &str,
    quotes: Option<&Reference>,
    message: Composed,
) -> Composed {
    let Some(Reference { side, id }) = quotes else {
        return message;
    };
    let own = contact.jid().to_string();
    let sender = chat.parse().ok().and_then(|jid| {
        let original = contact.message_of(&jid, false, id)?;
        original.sender.map(|sender| sender.to_string())
    });
    let author = match &sender {
        _ if side.is_mine() => own.as_str(),
        Some(sender) => sender,
        None => chat,
    };
    message.answering(id, author)
}

pub(super) async fn text(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(mut said): Json<Saying>,
) -> Written {
    let contact = contact(&cast, &id)?;
    let quotes = said.quotes.take();
    let message = answering(&contact, &chat, quotes.as_ref(), said.composed()?);
    Ok(written(&contact.send(&chat, message).await?))
}

#[derive(Deserialize)]
pub(super) struct Place {
    latitude: f64,
    longitude: f64,
    #[serde(default)]
    name: String,
}

pub(super) async fn location(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(place): Json<Place>,
) -> Written {
    let on_earth = place.latitude.abs() <= 90.0 && place.longitude.abs() <= 180.0;
    if !on_earth {
        return Err(ApiError::bad(
            "a place has a latitude up to 90 and a longitude up to 180",
        ));
    }
    let location = Location {
        name: Some(place.name).filter(|name| !name.is_empty()),
        ..Location::at(place.latitude, place.longitude)
    };
    let contact = contact(&cast, &id)?;
    Ok(written(&contact.send_location(&chat, location).await?))
}

#[derive(Deserialize)]
pub(super) struct Person {
    name: String,
    phone: String,
}

pub(super) async fn card(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(Person { name, phone }): Json<Person>,
) -> Written {
    let digits = phone.strip_prefix('+').unwrap_or(&phone);
    let is_number = !digits.is_empty()
        && digits.len() <= 20
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b' ');
    if !is_number || name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(ApiError::bad("a card needs a name and a phone number"));
    }
    // RFC 6350, 3.4: these have a meaning in values.
    let escaped = name
        .replace('\\', "\\\\")
        .replace(',', "\\,")
        .replace(';', "\\;");
    let plain = digits.replace(' ', "");
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:;{escaped};;;\nFN:{escaped}\nTEL;type=CELL;waid={plain}:+{digits}\nEND:VCARD"
    );
    let contact = contact(&cast, &id)?;
    let cards = vec![Card { name, vcard }];
    Ok(written(&contact.send_contacts(&chat, cards).await?))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    question: String,
    options: Vec<String>,
    #[serde(default)]
    several: bool,
}

pub(super) async fn poll(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(poll): Json<Asked>,
) -> Written {
    let question = sendable(&poll.question)?;
    let options: Vec<&str> = poll.options.iter().map(String::as_str).collect();
    let mut different = options.clone();
    different.sort_unstable();
    different.dedup();
    let usable = (2..=MOST_OPTIONS).contains(&options.len())
        && different.len() == options.len()
        && options.iter().all(|option| !option.trim().is_empty());
    if !usable {
        return Err(ApiError::bad(
            "a poll needs 2 to 12 options, each different",
        ));
    }
    let contact = contact(&cast, &id)?;
    let selectable = u32::from(!poll.several);
    let id = contact
        .send_poll(&chat, question, &options, selectable)
        .await?;
    Ok(written(&id))
}

#[derive(Deserialize)]
pub(super) struct Invitation {
    name: String,
}

/// An invitation to an event: a kind the bridge does not carry.
pub(super) async fn event(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(Invitation { name }): Json<Invitation>,
) -> Written {
    let invitation = Composed {
        text: sendable(&name)?.to_owned(),
        ..Composed::of(Content::Event)
    };
    let contact = contact(&cast, &id)?;
    Ok(written(&contact.send(&chat, invitation).await?))
}

#[derive(Deserialize)]
pub(super) struct Timer {
    seconds: u32,
}

pub(super) async fn timer(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(Timer { seconds }): Json<Timer>,
) -> Written {
    let contact = contact(&cast, &id)?;
    Ok(written(&contact.set_timer(&chat, seconds).await?))
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    video: bool,
}

pub(super) async fn call(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(Call { video }): Json<Call>,
) -> Written {
    let contact = contact(&cast, &id)?;
    Ok(written(&contact.call(&chat, video).await?))
}

#[derive(Deserialize)]
pub(super) struct HangUp {
    call: String,
}

pub(super) async fn hang_up(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(HangUp { call }): Json<HangUp>,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.hang_up(&chat, &call)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn read(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.mark_read(&chat)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Doing {
    Composing,
    Recording,
    Paused,
}

#[derive(Deserialize)]
pub(super) struct Does {
    state: Doing,
}

pub(super) async fn typing(
    Extension(cast): Extension<Cast>,
    Path((id, chat)): ChatPath,
    Json(Does { state }): Json<Does>,
) -> Result<StatusCode, ApiError> {
    let state = match state {
        Doing::Composing => Typing::Composing,
        Doing::Recording => Typing::Recording,
        Doing::Paused => Typing::Paused,
    };
    contact(&cast, &id)?.typing(&chat, state)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Online {
    online: bool,
}

pub(super) async fn online(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(Online { online }): Json<Online>,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.set_online(online)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Presence {
    present: bool,
}

pub(super) async fn present(
    Extension(cast): Extension<Cast>,
    Path(id): Path<String>,
    Json(Presence { present }): Json<Presence>,
) -> Result<StatusCode, ApiError> {
    contact(&cast, &id)?.presence(present)?;
    Ok(StatusCode::NO_CONTENT)
}
