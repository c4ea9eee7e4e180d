//! Requests to put a received file on the server again.

use super::MEDIA_REQUEST;
use crate::{
    domain::{ChatId, LoginId, MediaKey, MessageRef, StanzaId, Timestamp},
    network::interop::{
        profile::{MediaRetryTo, Profile},
        wire::{self, Jid, media_retry},
    },
    store::{NewOutboxRow, OutboxKind, StoreError, StoreTxn},
};

/// Queues the request for the file of a message somebody else sent. One that was queued before is sent once more.
///
/// # Errors
/// The store's.
pub async fn enqueue_media_request(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    profile: &Profile,
    chat: &ChatId,
    message: &MessageRef,
    key: &MediaKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let to = match profile.stanzas.media_retry.to {
        MediaRetryTo::Chat => chat.as_str().parse().ok(),
        MediaRetryTo::Server => Some(Jid::server(profile.user_server.clone())),
        MediaRetryTo::Own => txn
            .login(login)
            .await?
            .and_then(|row| row.remote_login)
            .and_then(|own| own.parse::<Jid>().ok()),
    };
    let (Some(to), Ok(of), Ok(stanza_id)) = (
        to,
        chat.as_str().parse::<Jid>(),
        StanzaId::parse(format!("{MEDIA_REQUEST}{}", message.id)),
    ) else {
        tracing::warn!(%login, id = %message.id, "a file cannot be asked for at an unusable address");
        return Ok(());
    };
    // In a group it is its author who is asked.
    let author = message
        .sender
        .as_ref()
        .filter(|_| chat.is_group() && to == of)
        .and_then(|author| author.as_str().parse::<Jid>().ok());
    let request = media_retry::request(key, message, &of, rand::random())
        .with("to", &to)
        .with_opt("participant", author);
    let payload = wire::encode(&request);
    let row = NewOutboxRow {
        login,
        stanza_id,
        chat: chat.clone(),
        kind: OutboxKind::MediaRequest,
        payload,
        plaintext: Vec::new(),
        portal: None,
        event_id: None,
        part: 0,
        created_at: now,
    };
    if !txn.queue(&row).await? {
        txn.requeue(login, &row.stanza_id, &row.payload).await?;
    }
    Ok(())
}
