//! The kinds of messages that are not carried, by name, and those that no person is to see.

use waproto::whatsapp::Message;

use super::read::{nothing, unsupported};
use crate::domain::IncomingMessage;

/// A message of none of the kinds that are read.
pub(super) fn other(message: &Message) -> IncomingMessage {
    if let Some(kind) = name(message) {
        return unsupported(kind);
    }
    if is_internal(message) {
        return nothing();
    }
    unsupported("unknown")
}

fn name(message: &Message) -> Option<&'static str> {
    let m = message;
    let kinds = [
        (m.enc_reaction_message.is_set(), "reaction"),
        (m.call.is_set(), "call"),
        (m.bcall_message.is_set(), "call"),
        (m.call_log_messsage.is_set(), "call"),
        (m.scheduled_call_creation_message.is_set(), "scheduled_call"),
        (m.scheduled_call_edit_message.is_set(), "scheduled_call"),
        (m.event_message.is_set(), "event"),
        (m.event_invite_message.is_set(), "event"),
        (m.enc_event_response_message.is_set(), "event_response"),
        (m.group_invite_message.is_set(), "group_invite"),
        (m.pin_in_chat_message.is_set(), "pin"),
        (m.keep_in_chat_message.is_set(), "keep"),
        (m.poll_result_snapshot_message.is_set(), "poll_result"),
        (m.poll_result_snapshot_message_v3.is_set(), "poll_result"),
        (m.poll_add_option_message.is_set(), "poll_option"),
        (m.sticker_pack_message.is_set(), "sticker_pack"),
        (m.comment_message.is_set(), "comment"),
        (m.enc_comment_message.is_set(), "comment"),
        (m.order_message.is_set(), "order"),
        (m.invoice_message.is_set(), "invoice"),
        (m.product_message.is_set(), "product"),
        (m.send_payment_message.is_set(), "payment"),
        (m.request_payment_message.is_set(), "payment"),
        (m.decline_payment_request_message.is_set(), "payment"),
        (m.cancel_payment_request_message.is_set(), "payment"),
        (m.payment_invite_message.is_set(), "payment"),
        (m.payment_reminder_message.is_set(), "payment"),
        (m.split_payment_message.is_set(), "payment"),
        (m.template_message.is_set(), "template"),
        (m.highly_structured_message.is_set(), "template"),
        (m.template_button_reply_message.is_set(), "button_reply"),
        (m.buttons_message.is_set(), "buttons"),
        (m.buttons_response_message.is_set(), "button_reply"),
        (m.list_message.is_set(), "list"),
        (m.list_response_message.is_set(), "list_reply"),
        (m.interactive_message.is_set(), "interactive"),
        (m.interactive_response_message.is_set(), "interactive_reply"),
        (m.request_phone_number_message.is_set(), "phone_number"),
        (m.chat.is_set(), "chat"),
        (m.newsletter_admin_invite_message.is_set(), "channel_invite"),
        (
            m.newsletter_follower_invite_message_v2.is_set(),
            "channel_invite",
        ),
        (m.newsletter_admin_profile_message.is_set(), "channel"),
        (m.newsletter_admin_profile_message_v2.is_set(), "channel"),
        (
            m.newsletter_admin_profile_status_message.is_set(),
            "channel",
        ),
        (m.status_mention_message.is_set(), "status"),
        (m.group_status_mention_message.is_set(), "status"),
        (m.status_add_yours.is_set(), "status"),
        (m.group_status_message.is_set(), "status"),
        (m.group_status_message_v2.is_set(), "status"),
        (m.status_notification_message.is_set(), "status"),
        (m.status_question_answer_message.is_set(), "status"),
        (m.status_quoted_message.is_set(), "status"),
        (m.status_sticker_interaction_message.is_set(), "status"),
        (m.question_reply_message.is_set(), "question"),
        (m.question_response_message.is_set(), "question"),
        (m.rich_response_message.is_set(), "assistant"),
        (m.bot_task_message.is_set(), "assistant"),
        (m.limit_sharing_message.is_set(), "limit_sharing"),
        (m.conditional_reveal_message.is_set(), "conditional_reveal"),
        (m.secret_encrypted_message.is_set(), "encrypted"),
        (m.placeholder_message.is_set(), "placeholder"),
    ];
    let kind = kinds.iter().find(|(set, _)| *set);
    kind.map(|(_, kind)| *kind)
}

/// Keys, the state of other devices, and headings of what follows by itself.
fn is_internal(message: &Message) -> bool {
    message.sender_key_distribution_message.is_set()
        || message
            .fast_ratchet_key_sender_key_distribution_message
            .is_set()
        || message.sticker_sync_rmr_message.is_set()
        || message.album_message.is_set()
        || message.message_history_bundle.is_set()
        || message.message_history_notice.is_set()
        || message.group_root_key_share.is_set()
        || message.root_secret_distribute_message.is_set()
}
