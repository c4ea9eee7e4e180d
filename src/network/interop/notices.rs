//! What the room is told that is no message: rows of the remote inbox made here, durable and ordered like messages.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{
    outbound,
    session::{Call, groups::GROUPS},
    wire::{self, Jid},
};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId, Timestamp},
    store::{NewRemoteMessage, OutboxRow, RemoteNotice},
};

/// The chat and the sender of what a user says directly; `None` for what is no user's address.
pub(super) fn direct(from: &Jid) -> Option<(ChatId, RemoteUserId)> {
    if matches!(from, Jid::Server(_)) || from.server_name() == GROUPS {
        return None;
    }
    let user = RemoteUserId::parse(from.bare().to_string()).ok()?;
    Some((ChatId::direct(&user), user))
}

/// The chat and the sender of what a member of a chat says; `participant` is who, where several can. In a direct chat nobody but
/// the other user can say anything.
pub(super) fn member(chat: &Jid, participant: Option<&Jid>) -> Option<(ChatId, RemoteUserId)> {
    if chat.server_name() != GROUPS {
        let other = participant.is_some_and(|participant| participant.bare() != chat.bare());
        return direct(chat).filter(|_| !other);
    }
    let id = ChatId::parse(chat.bare().to_string()).ok()?;
    direct(participant?).map(|(_, sender)| (id, sender))
}

/// That a user's identity key is another now. `None` if `from` is no user.
pub(super) fn identity_changed(
    login: LoginId,
    from: &Jid,
    sent_at: Timestamp,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let (chat, sender) = direct(from)?;
    // The time makes each change its own; a change is noticed once, in the transaction that accepts the key.
    let id = notice_id("identity", &[&from.to_string(), &now.0.to_string()])?;
    Some(notice(
        login,
        (chat, sender),
        id,
        RemoteNotice::IdentityChanged,
        sent_at,
        now,
    ))
}

/// That a user read messages of the login. A receipt that comes again makes the same id, so it is known.
pub(super) fn read(
    login: LoginId,
    by: (ChatId, RemoteUserId),
    ids: Vec<StanzaId>,
    sent_at: Timestamp,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let texts: Vec<&str> = ids.iter().map(StanzaId::as_str).collect();
    let id = notice_id("read", &texts)?;
    Some(notice(
        login,
        by,
        id,
        RemoteNotice::Read { ids },
        sent_at,
        now,
    ))
}

/// That the gatekeeper refused a message for good. `None` if the message carried no Matrix event. In a group nobody but the login
/// itself (`own`) can be the one who tells.
pub(super) fn send_failed(
    login: LoginId,
    own: Option<String>,
    row: &OutboxRow,
    reason: String,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let event_id = row.row.event_id.clone()?;
    let by = own.filter(|_| row.row.chat.is_group());
    let sender = RemoteUserId::parse(by.unwrap_or_else(|| row.row.chat.to_string())).ok()?;
    let id = notice_id("failed", &[row.row.stanza_id.as_str()])?;
    let what = RemoteNotice::SendFailed { event_id, reason };
    Some(notice(
        login,
        (row.row.chat.clone(), sender),
        id,
        what,
        now,
        now,
    ))
}

/// That the gatekeeper will not have a file put on the server again. `None` if nobody can be told.
pub(super) fn media_refused(
    login: LoginId,
    row: &OutboxRow,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let chat = row.row.chat.clone();
    let author = wire::decode(&row.row.payload)
        .ok()
        .and_then(|request| request.find("rmr")?.jid("participant"));
    let author = author.map_or_else(|| chat.to_string(), |author| author.to_string());
    let sender = RemoteUserId::parse(author).ok()?;
    let message = StanzaId::parse(outbound::wire_id(&row.row)).ok()?;
    media_gone(login, (chat, sender), message, &row.seq.to_string(), now)
}

/// That the file of a message cannot be had any more; `answer` tells the answers to several requests apart.
pub(super) fn media_gone(
    login: LoginId,
    from: (ChatId, RemoteUserId),
    message: StanzaId,
    answer: &str,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let id = notice_id("media", &[message.as_str(), answer])?;
    let what = RemoteNotice::MediaGone { id: message };
    Some(notice(login, from, id, what, now, now))
}

/// What changed in a group, under the id of the notification that told it.
pub(super) fn group(
    login: LoginId,
    by: (ChatId, RemoteUserId),
    id: StanzaId,
    what: RemoteNotice,
    sent_at: Timestamp,
    now: Timestamp,
) -> NewRemoteMessage {
    notice(login, by, id, what, sent_at, now)
}

/// That the gatekeeper counts other members in a group: the login might as well have come into it just now. The same disagreement is
/// one notice.
pub(super) fn other_members(
    login: LoginId,
    by: (ChatId, RemoteUserId),
    hashes: [&str; 2],
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let id = notice_id("members", &hashes)?;
    Some(notice(login, by, id, RemoteNotice::Joined, now, now))
}

/// That somebody calls, or called in vain: one notice for each of the two. `None` if the caller is no user.
pub(super) fn call(
    login: LoginId,
    call: &Call,
    sent_at: Timestamp,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let (mut chat, sender) = direct(&call.caller)?;
    if let Some(group) = &call.group {
        chat = ChatId::parse(group.bare().to_string()).ok()?;
    }
    let kind = if call.missed { "missed" } else { "call" };
    let id = notice_id(kind, &[&call.id])?;
    let what = RemoteNotice::Call {
        video: call.video,
        missed: call.missed,
    };
    Some(notice(login, (chat, sender), id, what, sent_at, now))
}

/// What the gatekeeper itself has to say: a message of its server, in a chat of its own.
pub(super) fn gatekeeper(
    login: LoginId,
    server: &Jid,
    stanza_id: StanzaId,
    text: String,
    sent_at: Timestamp,
    now: Timestamp,
) -> Option<NewRemoteMessage> {
    let sender = RemoteUserId::parse(server.to_string()).ok()?;
    let chat = ChatId::direct(&sender);
    let what = RemoteNotice::Gatekeeper { text };
    Some(notice(login, (chat, sender), stanza_id, what, sent_at, now))
}

/// What is told about a user, in the direct chat with them; from the gatekeeper's server, in its own chat. `name` is what makes it
/// this one. `None` for what is neither.
pub(super) fn person(
    login: LoginId,
    from: &Jid,
    name: &[&str],
    what: RemoteNotice,
    (sent_at, now): (Timestamp, Timestamp),
) -> Option<NewRemoteMessage> {
    let place = match from {
        Jid::Server(server) => {
            let sender = RemoteUserId::parse(server.as_str()).ok()?;
            (ChatId::direct(&sender), sender)
        }
        user => direct(user)?,
    };
    let id = notice_id("person", name)?;
    Some(notice(login, place, id, what, sent_at, now))
}

fn notice(
    login: LoginId,
    (chat, sender): (ChatId, RemoteUserId),
    stanza_id: StanzaId,
    what: RemoteNotice,
    sent_at: Timestamp,
    now: Timestamp,
) -> NewRemoteMessage {
    NewRemoteMessage {
        login,
        chat,
        sender,
        stanza_id,
        ciphertext_hash: Vec::new(),
        plaintext: None,
        notice: Some(what),
        sent_at,
        display_name: None,
        received_at: now,
    }
}

/// `{kind}-{hash}`: of a bounded length, whatever the ids it is made from.
fn notice_id(kind: &str, parts: &[&str]) -> Option<StanzaId> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut id = format!("{kind}-");
    for byte in &hash.finalize()[..16] {
        write!(id, "{byte:02x}").ok()?;
    }
    StanzaId::parse(id).ok()
}
