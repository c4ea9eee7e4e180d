//! Notifications: a user's identity changed, the gatekeeper has something to say, a file was put on the server again.
//!
//! ```xml
//! <notification type="encrypt" from="…" id="…"><identity/></notification>
//! <notification type="w:notice" from="s.whatsapp.net" id="…" t="…"><body>text</body></notification>
//! <notification type="mediaretry" from="…" id="the message's" t="…"><rmr jid="chat" [participant="…"]/>
//!   <encrypt><enc_p>…</enc_p><enc_iv>…</enc_iv></encrypt></notification>      or <error code="2"/> in the place of <encrypt>
//! ```
//! Which type and element the second has is the profile's to say.

use super::{Answer, groups, people, time};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId, Timestamp},
    network::interop::{
        notices, outbound,
        profile::Profile,
        wire::{Jid, Node, media_retry},
    },
    signal::{Device, Ratchets},
    store::{StoreError, StoreTxn},
};

/// The type of the notification that answers the request for a file.
pub(in crate::network::interop) const MEDIA_RETRY: &str = "mediaretry";

/// The longest notice of the gatekeeper that is passed on, in characters.
const MOST_NOTICE_CHARS: usize = 4096;

/// Takes `<notification type="encrypt"><identity/>`: the session with the user is archived and new keys are wanted. The room is
/// told when the new key is seen, which is in the fetch that follows or in the next message, whichever is first.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn identity_changed(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    notification: &Node,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(notification);
    let Some(user) = notification
        .jid("from")
        .filter(|from| notices::direct(from).is_some())
    else {
        return Ok(answer);
    };
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(answer);
    };
    outbound::forget_keys_of(txn, &row, &user).await?;
    let address = outbound::address(&user);
    let mut ratchets = Ratchets::new(&device);
    if ratchets.has_session(txn, &address).await? {
        ratchets.archive(txn, &address).await?;
        ratchets.save(txn).await?;
        answer.keys_wanted = Some(user);
    }
    Ok(answer)
}

/// Takes a notification that is not about keys.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn notification(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    profile: &Profile,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let kind = node.attr("type").unwrap_or_default();
    if kind == profile.stanzas.notice.kind {
        notice(txn, login, node, profile, now).await
    } else if kind == MEDIA_RETRY {
        media_answer(txn, login, node, now).await
    } else if kind == profile.stanzas.groups.notification {
        groups::notification(txn, login, node, &profile.stanzas.groups, now).await
    } else {
        let about_people = people::notification(txn, login, node, profile, now).await?;
        Ok(about_people.unwrap_or_else(|| Answer::ack(node)))
    }
}

/// What the gatekeeper has to say. A user can say nothing in its name.
async fn notice(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    profile: &Profile,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    let from_server = node
        .jid("from")
        .is_none_or(|from| matches!(from, Jid::Server(_)));
    let text = node
        .find(&profile.stanzas.notice.element)
        .and_then(Node::content_bytes)
        .map(readable)
        .filter(|text| !text.is_empty());
    let id = node.attr("id").map(|id| StanzaId::parse(id.into_owned()));
    let (true, Some(text), Some(Ok(id))) = (from_server, text, id) else {
        tracing::warn!(%login, "a notice of the gatekeeper says nothing");
        return Ok(answer);
    };
    let server = Jid::server(profile.user_server.clone());
    let sent_at = time(node).unwrap_or(now);
    if let Some(notice) = notices::gatekeeper(login, &server, id, text, sent_at, now) {
        txn.put_remote_message(&notice).await?;
        answer.chat = Some(notice.chat);
    }
    Ok(answer)
}

/// A notice's text as lines without control characters.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean: String = text
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .take(MOST_NOTICE_CHARS)
        .collect();
    clean.trim().to_owned()
}

/// The answer to the request to put a file on the server again: the message waits again with the file's new path, or the room is
/// told that there is none.
async fn media_answer(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    let Some((id, chat, sender)) = subject(node) else {
        tracing::warn!(%login, "an answer about a file names no message");
        return Ok(answer);
    };
    let kept = txn.kept_message(login, &chat, &sender, &id).await?;
    let Some(plaintext) = kept.and_then(|kept| kept.message.plaintext.clone()) else {
        // It was answered before, or its message was shown without its file long ago.
        return Ok(answer);
    };
    let Some(key) = media_retry::media_key(&plaintext) else {
        return Ok(answer);
    };
    let Some(found) = media_retry::read_answer(node, &key) else {
        tracing::warn!(%login, %id, "an answer about a file cannot be read");
        return Ok(answer);
    };
    let revised = found.and_then(|path| media_retry::with_path(&plaintext, &path));
    if let Some(plaintext) = revised {
        txn.revise_message(login, &chat, &sender, &id, &plaintext)
            .await?;
        answer.chat = Some(chat);
    } else {
        let when = node.attr("t").unwrap_or_default();
        let notice = notices::media_gone(login, (chat, sender), id, &when, now);
        if let Some(notice) = notice {
            txn.put_remote_message(&notice).await?;
            answer.chat = Some(notice.chat);
        }
    }
    Ok(answer)
}

/// The message an answer about a file is for. A user can answer for the own chat alone, a member of a group for the own messages.
fn subject(node: &Node) -> Option<(StanzaId, ChatId, RemoteUserId)> {
    let id = StanzaId::parse(node.attr("id")?.into_owned()).ok()?;
    let about = node.find("rmr");
    let from = node.jid("from");
    let said = about.and_then(|about| about.jid("jid"));
    let chat = match from {
        Some(from @ Jid::User { .. }) => from,
        _ => said?,
    };
    let participant = node
        .jid("participant")
        .or_else(|| about.and_then(|about| about.jid("participant")));
    let (chat, sender) = notices::member(&chat, participant.as_ref())?;
    Some((id, chat, sender))
}
