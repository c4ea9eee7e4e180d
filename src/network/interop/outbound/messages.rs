//! Messages and read receipts into the outbox.

use super::{
    GroupRules, READ, address,
    groups::{self, Sealed},
    padded, stanza,
};
use crate::{
    domain::{ChatId, LoginId, Outgoing, RemoteUserId, StanzaId, Timestamp},
    network::{
        Enqueued, NetworkError, Origin,
        interop::wire::{
            self, Jid, Node,
            message::{Encoding, Envelope},
        },
    },
    signal::{Device, Ratchets, SignalError},
    store::{LoginState, NewOutboxRow, OutboxKind, StoreError, StoreTxn},
};

/// Encrypts a message into the outbox. `groups` says how groups are written to.
///
/// # Errors
/// The outer error is the store's; the inner one says why the message can never be sent, then nothing was written.
pub async fn enqueue(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    message: &Outgoing,
    origin: &Origin,
    groups: GroupRules<'_>,
    now: Timestamp,
) -> Result<Result<Enqueued, NetworkError>, StoreError> {
    if txn.outbox_knows(login, &message.id).await? {
        return Ok(Ok(Enqueued::Known));
    }
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(Err(NetworkError::NoSuchLogin));
    };
    // A logout that the gatekeeper has not confirmed yet: nothing would send the stanza any more.
    if row.state == LoginState::LoggedOut {
        return Ok(Err(NetworkError::NoSuchLogin));
    }
    let how = Encoding {
        chat: &message.chat,
        own: row.remote_login.as_deref().unwrap_or_default(),
        now,
        nonce: rand::random(),
    };
    let plaintext = wire::message::encode(&message.content, &message.context, &how);
    let mut ratchets = Ratchets::new(&device);
    let sealed = if message.chat.is_group() {
        let envelope = Envelope::of(&message.content);
        let of = (&message.chat, &message.id);
        let what = (plaintext.as_slice(), &envelope);
        groups::seal(txn, &mut ratchets, &row, of, what, (groups, now)).await?
    } else {
        seal(txn, &mut ratchets, message, &plaintext).await?
    };
    let sealed = match sealed {
        Ok(Some(sealed)) => sealed,
        Ok(None) => return Ok(Ok(Enqueued::NoSession)),
        Err(error) => return Ok(Err(error)),
    };
    // First the new sender key takes the place of the one before, then it is noted who has it.
    ratchets.save(txn).await?;
    for address in &sealed.given {
        txn.put_sender_key_share(login, &message.chat, address.as_str())
            .await?;
    }
    let queued = txn
        .queue(&NewOutboxRow {
            login,
            stanza_id: message.id.clone(),
            chat: message.chat.clone(),
            kind: OutboxKind::Message,
            payload: wire::encode(&sealed.stanza),
            plaintext,
            portal: Some(origin.portal),
            event_id: Some(origin.event_id.clone()),
            part: origin.part,
            created_at: now,
        })
        .await?;
    if queued && message.chat.is_group() {
        txn.put_group_recipients(login, &message.chat, &message.id, &sealed.recipients)
            .await?;
    }
    fail::fail_point!("encrypt.before_commit");
    Ok(Ok(if queued {
        Enqueued::Queued
    } else {
        Enqueued::Known
    }))
}

/// The stanza that brings a message to one user, the ratchets not saved yet; `None` if there is no session.
async fn seal(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    message: &Outgoing,
    plaintext: &[u8],
) -> Result<Result<Option<Sealed>, NetworkError>, StoreError> {
    let recipient = match recipient(&message.chat) {
        Ok(recipient) => recipient,
        Err(error) => return Ok(Err(error)),
    };
    let encrypted = ratchets
        .encrypt(txn, &address(&recipient), &padded(plaintext))
        .await?;
    Ok(match encrypted {
        Ok(ciphertext) => {
            let envelope = Envelope::of(&message.content);
            let stanza = stanza(&recipient, &message.id, &envelope, ciphertext, None);
            Ok(Some(Sealed {
                stanza,
                given: Vec::new(),
                recipients: Vec::new(),
            }))
        }
        Err(SignalError::NoSession) => Ok(None),
        Err(error) => Err(NetworkError::Unsendable(error.to_string())),
    })
}

/// Queues a read receipt for messages of one sender, oldest first.
///
/// # Errors
/// The store's.
pub async fn enqueue_read(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    chat: &ChatId,
    sender: &RemoteUserId,
    ids: &[StanzaId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let Ok(to) = chat.as_str().parse::<Jid>() else {
        tracing::warn!(%login, "a read receipt for an unusable address is left out");
        return Ok(());
    };
    // A receipt is known by its first message, so that has to be one that none was known by yet. A message can come up again, with
    // what was shown of it later.
    let mut named = None;
    for (at, id) in ids.iter().enumerate() {
        let Ok(stanza_id) = StanzaId::parse(format!("{READ}{id}")) else {
            continue;
        };
        if !txn.outbox_knows(login, &stanza_id).await? {
            named = Some((at, stanza_id));
            break;
        }
    }
    let Some((at, stanza_id)) = named else {
        return Ok(());
    };
    let first = &ids[at];
    let rest: Vec<&StanzaId> = ids[..at].iter().chain(&ids[at + 1..]).collect();
    let mut receipt = Node::new("receipt")
        .with("id", first.as_str())
        .with("to", &to)
        .with("type", "read")
        .with("t", now.seconds().to_string());
    if chat.direct_user().as_ref() != Some(sender)
        && let Ok(participant) = sender.as_str().parse::<Jid>()
    {
        receipt = receipt.with("participant", participant);
    }
    if !rest.is_empty() {
        let list = rest.iter().fold(Node::new("list"), |list, id| {
            list.child(Node::new("item").with("id", id.as_str()))
        });
        receipt = receipt.child(list);
    }
    txn.queue(&NewOutboxRow {
        login,
        stanza_id,
        chat: chat.clone(),
        kind: OutboxKind::Receipt,
        payload: wire::encode(&receipt),
        plaintext: Vec::new(),
        portal: None,
        event_id: None,
        part: 0,
        created_at: now,
    })
    .await?;
    Ok(())
}

/// Who gets a message to a direct chat.
fn recipient(chat: &ChatId) -> Result<Jid, NetworkError> {
    match chat.as_str().parse() {
        Ok(Jid::Server(_)) | Err(_) => Err(NetworkError::Unsendable(
            "this chat has no address that can be written to".to_owned(),
        )),
        Ok(jid) => Ok(jid),
    }
}
