//! What the crypto library wants stored, as rows.

use matrix_sdk_crypto::{
    GossipRequest,
    olm::InboundGroupSession,
    store::types::{Changes, SecretsInboxItem},
};
use serde::Serialize;

use super::{Result, error::unwritable, write::Write};
use crate::store::{KeyRequestRow, MachineRecord, RecordKind, RoomKeyRow};

/// A record of a kind, as JSON.
pub(super) fn record(
    kind: RecordKind,
    scope: &str,
    name: &str,
    value: &impl Serialize,
) -> Result<Write> {
    Ok(Write::Put(MachineRecord {
        kind,
        scope: scope.to_owned(),
        name: name.to_owned(),
        record: json(kind.as_str(), value)?,
    }))
}

fn json(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| unwritable(what, &error))
}

/// A room key, in a version of the backup or where it was.
pub(super) async fn room_key(
    session: &InboundGroupSession,
    backed_up_in: Option<&str>,
) -> Result<Write> {
    let pickle = session.pickle().await;
    Ok(Write::PutRoomKey {
        key: RoomKeyRow {
            room_id: session.room_id().to_string(),
            session_id: session.session_id().to_owned(),
            sender_key: session.sender_key().to_base64(),
            sender_kind: session.sender_data_type() as i64,
            backed_up_in: backed_up_in.map(str::to_owned),
            record: json("room key", &pickle)?,
        },
        keeps_backup: backed_up_in.is_none() && pickle.backed_up,
    })
}

fn request(request: &GossipRequest) -> Result<Write> {
    Ok(Write::PutRequest(KeyRequestRow {
        request_id: request.request_id.to_string(),
        info: request.info.as_key(),
        sent: request.sent_out,
        record: json("key request", request)?,
    }))
}

fn secret(item: &SecretsInboxItem) -> Write {
    Write::Put(MachineRecord {
        kind: RecordKind::Secret,
        scope: item.secret_name.as_str().to_owned(),
        // Several of one name are kept beside each other.
        name: format!("{:032x}", rand::random::<u128>()),
        record: item.secret.as_bytes().to_vec(),
    })
}

/// Everything that is to be stored, as one list.
pub(super) async fn writes(changes: Changes) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    if let Some(identity) = &changes.private_identity {
        let pickle = identity.pickle().await;
        writes.push(record(RecordKind::PrivateIdentity, "", "", &pickle)?);
    }
    for session in &changes.sessions {
        writes.push(record(
            RecordKind::Session,
            &session.sender_key().to_base64(),
            session.session_id(),
            &session.pickle().await,
        )?);
    }
    for session in &changes.inbound_group_sessions {
        writes.push(room_key(session, None).await?);
    }
    for session in &changes.outbound_group_sessions {
        let pickle = session.pickle().await;
        let room = session.room_id().as_str();
        writes.push(record(RecordKind::OutboundSession, room, "", &pickle)?);
    }
    for item in &changes.key_requests {
        writes.push(request(item)?);
    }
    writes.extend(changes.secrets.iter().map(secret));
    people(&changes, &mut writes)?;
    singles(&changes, &mut writes)?;
    rooms(&changes, &mut writes)?;
    Ok(writes)
}

fn people(changes: &Changes, writes: &mut Vec<Write>) -> Result<()> {
    let devices = &changes.devices;
    for device in devices.new.iter().chain(&devices.changed) {
        writes.push(record(
            RecordKind::Device,
            device.user_id().as_str(),
            device.device_id().as_str(),
            device,
        )?);
    }
    for device in &devices.deleted {
        writes.push(Write::DeleteOne {
            kind: RecordKind::Device,
            scope: device.user_id().to_string(),
            name: device.device_id().to_string(),
        });
    }
    let identities = &changes.identities;
    for identity in identities.new.iter().chain(&identities.changed) {
        let user = identity.user_id().as_str();
        writes.push(record(RecordKind::Identity, user, "", identity)?);
    }
    for hash in &changes.message_hashes {
        writes.push(record(
            RecordKind::MessageHash,
            &hash.sender_key,
            &hash.hash,
            &(),
        )?);
    }
    Ok(())
}

fn singles(changes: &Changes, writes: &mut Vec<Write>) -> Result<()> {
    if let Some(token) = &changes.next_batch_token {
        writes.push(record(RecordKind::SyncToken, "", "", token)?);
    }
    if let Some(key) = &changes.backup_decryption_key {
        writes.push(record(RecordKind::BackupKey, "", "", key)?);
    }
    if let Some(version) = &changes.backup_version {
        writes.push(record(RecordKind::BackupVersion, "", "", version)?);
    }
    if let Some(key) = &changes.dehydrated_device_pickle_key {
        writes.push(record(RecordKind::DehydratedKey, "", "", key)?);
    }
    Ok(())
}

fn rooms(changes: &Changes, writes: &mut Vec<Write>) -> Result<()> {
    for (room, sessions) in &changes.withheld_session_info {
        for (session, entry) in sessions {
            writes.push(record(RecordKind::Withheld, room.as_str(), session, entry)?);
        }
    }
    for (room, settings) in &changes.room_settings {
        writes.push(record(
            RecordKind::RoomSettings,
            room.as_str(),
            "",
            settings,
        )?);
    }
    for bundle in &changes.received_room_key_bundles {
        writes.push(record(
            RecordKind::KeyBundle,
            bundle.bundle_data.room_id.as_str(),
            bundle.sender_user.as_str(),
            bundle,
        )?);
    }
    for room in &changes.room_key_backups_fully_downloaded {
        writes.push(record(RecordKind::KeysDownloaded, room.as_str(), "", &())?);
    }
    for (room, details) in &changes.rooms_pending_key_bundle {
        writes.push(match details {
            Some(details) => record(RecordKind::PendingBundle, room.as_str(), "", details)?,
            None => Write::Delete {
                kind: RecordKind::PendingBundle,
                scope: room.to_string(),
            },
        });
    }
    Ok(())
}
