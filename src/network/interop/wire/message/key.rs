//! `MessageKey{remoteJid=1, fromMe=2, id=3, participant=4}`: how a message names an earlier one, as whoever sends it sees that.
//!
//! `fromMe` is the sender's own message. Another one names its author in a group only; in a direct chat it can only be the other
//! side's.

use waproto::whatsapp::MessageKey;

use super::{Encoding, Reading};
use crate::{
    domain::{MessageRef, RemoteUserId, StanzaId},
    network::interop::wire::Jid,
};

/// Who an address in a message means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// The login itself.
    Login,
    /// Anybody else.
    User(RemoteUserId),
}

/// Who an address in a message means, its device left out; `None` if it is no user's.
pub(super) fn party(address: &str, reading: Reading<'_>) -> Option<Party> {
    let address = address.parse::<Jid>().ok()?.bare();
    let user = RemoteUserId::parse(address.to_string()).ok()?;
    match address {
        Jid::Server(_) => None,
        _ if user.as_str() == reading.own => Some(Party::Login),
        Jid::Interop { .. } | Jid::User { .. } => Some(Party::User(user)),
    }
}

/// The key of a message; `sender` is its author, `None` or one's own address for one's own.
pub(super) fn build(
    id: &StanzaId,
    sender: Option<&RemoteUserId>,
    how: &Encoding<'_>,
) -> MessageKey {
    let in_group = how.chat.is_group();
    let sender = sender.filter(|sender| sender.as_str() != how.own);
    MessageKey {
        remote_jid: Some(how.chat.as_str().to_owned()),
        from_me: Some(sender.is_none()),
        id: Some(id.as_str().to_owned()),
        participant: sender
            .filter(|_| in_group)
            .map(|sender| sender.as_str().to_owned()),
    }
}

/// The message a key names. Without an author it is the login's: in a direct chat there is nobody else.
pub(super) fn read(key: Option<&MessageKey>, reading: Reading<'_>) -> Option<MessageRef> {
    let key = key?;
    let id = StanzaId::parse(key.id.clone()?).ok()?;
    let sender = if key.from_me.unwrap_or(false) {
        Some(reading.sender.clone())
    } else {
        match key.participant.as_deref() {
            None | Some("") => None,
            Some(participant) => match party(participant, reading)? {
                Party::Login => None,
                Party::User(user) => Some(user),
            },
        }
    };
    Some(MessageRef { id, sender })
}
