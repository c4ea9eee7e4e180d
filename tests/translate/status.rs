//! What clients are told about a message's way.

use drawbridge::translate::{MessageStatus, status_event};
use ruma::OwnedUserId;
use serde_json::json;

use super::world::event_id;

#[test]
fn statuses() {
    let of = |status: MessageStatus| status_event("whatsapp", &event_id("$event"), &status);
    let failed = |reason| {
        of(MessageStatus::Failed {
            reason,
            message: "Not sent to WhatsApp: why, and what to do.".to_owned(),
        })
    };
    let ghost = OwnedUserId::try_from("@wa_4915555550002:example.org").unwrap();
    let cases = json!({
        "pending": of(MessageStatus::Pending(None)),
        "pending, with a reason": of(MessageStatus::Pending(Some("WhatsApp cannot be reached.".to_owned()))),
        "sent": of(MessageStatus::Sent),
        "delivered to nobody yet": of(MessageStatus::Delivered(Vec::new())),
        "delivered": of(MessageStatus::Delivered(vec![ghost])),
        "may be tried again": of(MessageStatus::Retriable { reason: "network", message: "The file could not be read.".to_owned() }),
        "failed: unsupported": failed("unsupported_media"),
        "failed: encrypted": failed("encrypted"),
        "failed: too old": failed("too_old"),
        "failed: not allowed": failed("not_own"),
        "failed: unknown target": failed("unknown_target"),
    });
    insta::assert_json_snapshot!(cases);
}
