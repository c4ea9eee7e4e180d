//! What became of a Matrix user's message, as their client shows it (`com.beeper.message_send_status`).

use ruma::{EventId, OwnedUserId};
use serde_json::{Value, json};

/// The type of the event.
pub const STATUS_EVENT: &str = "com.beeper.message_send_status";

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageStatus {
    /// It is being sent and takes longer than usual; why, in a sentence, if there is something to say.
    Pending(Option<String>),
    /// The other side has it.
    Sent,
    /// It reached these users; none yet, but that will be told.
    Delivered(Vec<OwnedUserId>),
    /// It was not sent; sending it again may help.
    Retriable {
        /// The reason, as in [`Unbridgeable`](crate::domain::Unbridgeable).
        reason: &'static str,
        /// The sentence its sender is told.
        message: String,
    },
    /// It will never be sent.
    Failed {
        /// The reason, as in [`Unbridgeable`](crate::domain::Unbridgeable).
        reason: &'static str,
        /// The sentence its sender is told.
        message: String,
    },
}

/// The content of the event that tells a client what became of an event. `network` is an identifier that stays the same, such as
/// the gatekeeper's entry in the configuration.
#[must_use]
pub fn status_event(network: &str, event_id: &EventId, status: &MessageStatus) -> Value {
    let mut content = json!({
        "network": network,
        "m.relates_to": { "rel_type": "m.reference", "event_id": event_id },
        "status": match status {
            MessageStatus::Pending(_) => "PENDING",
            MessageStatus::Sent | MessageStatus::Delivered(_) => "SUCCESS",
            MessageStatus::Retriable { .. } => "FAIL_RETRIABLE",
            MessageStatus::Failed { .. } => "FAIL_PERMANENT",
        },
    });
    match status {
        MessageStatus::Pending(Some(message)) => content["message"] = json!(message),
        MessageStatus::Delivered(users) => content["delivered_to_users"] = json!(users),
        MessageStatus::Retriable { reason, message }
        | MessageStatus::Failed { reason, message } => {
            content["reason"] = json!(client_reason(reason));
            content["message"] = json!(message);
        }
        MessageStatus::Pending(None) | MessageStatus::Sent => {}
    }
    content
}

/// A reason of ours as one of those clients know.
fn client_reason(reason: &str) -> &'static str {
    match reason {
        "too_old" => "m.event_too_old",
        "encrypted" | "malformed_file" => "com.beeper.undecryptable_event",
        "not_own" | "not_logged_in" | "not_allowed" | "blocked" => "m.no_permission",
        "network" | "unreachable" | "no_session" | "media" => "m.foreign_network_error",
        "stopped" | "not_connected" => "m.bridge_unavailable",
        "unknown_target" | "malformed" | "empty" => "m.event_not_handled",
        _ => "com.beeper.unsupported_event",
    }
}
