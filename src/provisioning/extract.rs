//! What is read out of requests, refused in the API's own form.

use axum::extract::{FromRequest, FromRequestParts};
use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, Deserializer, de::Error as _};
use utoipa::IntoParams;

use super::error::ApiError;

/// The longest text that names somebody or something.
pub(super) const LONGEST: usize = 255;

/// A body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(super) struct Body<T>(pub(super) T);

/// The changing parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Path<T>(pub(super) T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(super) struct Query<T>(pub(super) T);

/// For whom a program acts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "it is read before the endpoint is known; this describes it"
)]
pub(super) struct ActsFor {
    /// The Matrix id of the user it is done for. Needed with the secret; with an `OpenID` token it may only name the token's holder.
    #[param(
        min_length = 4,
        max_length = 255,
        pattern = "^@[!-9;-~]{1,120}:[a-zA-Z0-9.-]{1,120}(:[1-9][0-9]{0,3})?$",
        example = "@alice:example.org"
    )]
    user_id: Option<String>,
}

/// A login of the user's.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct LoginPath {
    /// The login's number, as `whoami` and `logins` give it.
    #[param(
        minimum = 1,
        maximum = 9_007_199_254_740_991_i64,
        example = 4_862_117_003_i64
    )]
    pub(super) login: i64,
}

/// Somebody in the eyes of a login.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct UserPath {
    /// A phone number in international form, or an address of the gatekeeper.
    #[param(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "+447700900001"
    )]
    pub(super) user: String,
}

/// A room.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RoomPath {
    /// The room's id; no alias.
    #[param(
        min_length = 2,
        max_length = 255,
        pattern = "^![!-~]+$",
        example = "!trip:example.org"
    )]
    pub(super) room_id: String,
}

/// A chat a room mirrors.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ChatPath {
    /// The chat's address, as the room's links give it.
    #[param(
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "447700900001@s.whatsapp.net"
    )]
    pub(super) chat: String,
}

/// A whole number, which some programs write with a fraction of zero.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let rounded = || {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        format!("{float:.0}").parse().ok()
    };
    let whole = number.as_i64().or_else(rounded);
    whole.ok_or_else(|| D::Error::custom("this is no whole number, or too large a one"))
}

/// A text that is neither empty nor too long and has nothing in it that is not to be seen.
pub(super) fn bounded<'t>(name: &str, text: &'t str, most: usize) -> Result<&'t str, ApiError> {
    let is_odd = |c: char| c <= '\u{1f}' || c == '\u{7f}';
    let count = text.chars().count();
    if count == 0 || count > most || text.contains(is_odd) {
        return Err(ApiError::bad(format!(
            "`{name}` needs 1 to {most} characters and no control characters"
        )));
    }
    Ok(text)
}

/// A room's id.
pub(super) fn room_id(text: &str) -> Result<OwnedRoomId, ApiError> {
    let text = bounded("room_id", text, LONGEST)?;
    if text.len() < 2 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::bad(
            "`room_id` is no room id: `!` and plain letters",
        ));
    }
    RoomId::parse(text).map_err(|error| ApiError::bad(format!("`room_id` is no room id: {error}")))
}
