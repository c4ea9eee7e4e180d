//! The crypto library's questions and wishes, in its own order.

use std::collections::HashMap;

use async_trait::async_trait;
use matrix_sdk_crypto::{
    Account, DeviceData, GossipRequest, SecretInfo, Session, TrackedUser, UserIdentityData,
    olm::{
        Curve25519PublicKey, InboundGroupSession, OlmMessageHash, OutboundGroupSession,
        PrivateCrossSigningIdentity, SenderDataType,
    },
    store::{
        CryptoStore,
        types::{
            BackupKeys, Changes, DehydratedDeviceKey, PendingChanges, RoomKeyCounts,
            RoomKeyWithheldEntry, RoomPendingKeyBundleDetails, RoomSettings,
            StoredRoomKeyBundleData,
        },
    },
};
use ruma_crypto::{
    DeviceId, OwnedDeviceId, RoomId, TransactionId, UserId, events::secret::request::SecretName,
};
use zeroize::Zeroizing;

use super::{
    MachineStore, MachineStoreError, Result, changes,
    error::unreadable,
    records::{parse, parse_room_keys},
    write::Write,
};
use crate::{
    domain::Timestamp,
    store::{MachineRecord, RecordKind},
};

fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn counted(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[async_trait]
impl CryptoStore for MachineStore {
    type Error = MachineStoreError;

    async fn load_account(&self) -> Result<Option<Account>> {
        self.account().await
    }

    async fn load_identity(&self) -> Result<Option<PrivateCrossSigningIdentity>> {
        let pickle = self.value(RecordKind::PrivateIdentity, "", "").await?;
        pickle
            .map(PrivateCrossSigningIdentity::from_pickle)
            .transpose()
            .map_err(|error| unreadable("private_identity", &error))
    }

    async fn save_changes(&self, changes: Changes) -> Result<()> {
        self.save(changes::writes(changes)).await
    }

    async fn save_pending_changes(&self, changes: PendingChanges) -> Result<()> {
        let Some(account) = changes.account else {
            return Ok(());
        };
        if account.user_id() != self.user_id || account.device_id() != self.device_id {
            return Err(MachineStoreError::OtherAccount {
                expected: self.machine.to_string(),
                got: format!("{} {}", account.user_id(), account.device_id()),
            });
        }
        let pickle = account.pickle();
        self.save(async move {
            let record = changes::record(RecordKind::Account, "", "", &pickle)?;
            Ok(vec![record])
        })
        .await?;
        self.remember(&account);
        Ok(())
    }

    async fn save_inbound_group_sessions(
        &self,
        sessions: Vec<InboundGroupSession>,
        backed_up_to_version: Option<&str>,
    ) -> Result<()> {
        self.save(async move {
            let mut writes = Vec::with_capacity(sessions.len());
            for session in &sessions {
                writes.push(changes::room_key(session, backed_up_to_version).await?);
            }
            Ok(writes)
        })
        .await
    }

    async fn get_sessions(&self, sender_key: &str) -> Result<Option<Vec<Session>>> {
        let records = self.list(RecordKind::Session, Some(sender_key)).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let keys = self.get_own_device().await?.as_device_keys().clone();
        let sessions = records.iter().map(|record| {
            let pickle = parse("session", &record.record)?;
            Session::from_pickle(keys.clone(), pickle)
                .map_err(|error| unreadable("session", &error))
        });
        sessions.collect::<Result<_>>().map(Some)
    }

    async fn get_inbound_group_session(
        &self,
        room_id: &RoomId,
        session_id: &str,
    ) -> Result<Option<InboundGroupSession>> {
        self.room_key(room_id.as_str(), session_id).await
    }

    async fn get_withheld_info(
        &self,
        room_id: &RoomId,
        session_id: &str,
    ) -> Result<Option<RoomKeyWithheldEntry>> {
        self.value(RecordKind::Withheld, room_id.as_str(), session_id)
            .await
    }

    async fn get_withheld_sessions_by_room_id(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<RoomKeyWithheldEntry>> {
        self.values(RecordKind::Withheld, Some(room_id.as_str()))
            .await
    }

    async fn get_inbound_group_sessions(&self) -> Result<Vec<InboundGroupSession>> {
        self.room_keys(None).await
    }

    async fn inbound_group_session_counts(
        &self,
        backup_version: Option<&str>,
    ) -> Result<RoomKeyCounts> {
        let (total, backed_up) = self
            .read(
                backup_version.map(str::to_owned),
                |txn, machine, version| {
                    Box::pin(async move { txn.count_room_keys(&machine, version.as_deref()).await })
                },
            )
            .await?;
        Ok(RoomKeyCounts {
            total: counted(total),
            backed_up: counted(backed_up),
        })
    }

    async fn get_inbound_group_sessions_by_room_id(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<InboundGroupSession>> {
        self.room_keys(Some(room_id.as_str())).await
    }

    async fn get_inbound_group_sessions_for_device_batch(
        &self,
        curve_key: Curve25519PublicKey,
        sender_data_type: SenderDataType,
        after_session_id: Option<String>,
        at_most: usize,
    ) -> Result<Vec<InboundGroupSession>> {
        let after = after_session_id.unwrap_or_default();
        let given = (
            curve_key.to_base64(),
            sender_data_type as i64,
            after,
            limit(at_most),
        );
        let rows = self
            .read(given, |txn, machine, (sender_key, kind, after, limit)| {
                Box::pin(async move {
                    txn.room_keys_from(&machine, &sender_key, kind, &after, limit)
                        .await
                })
            })
            .await?;
        parse_room_keys(&rows)
    }

    async fn inbound_group_sessions_for_backup(
        &self,
        backup_version: &str,
        at_most: usize,
    ) -> Result<Vec<InboundGroupSession>> {
        let rows = self
            .read(
                (backup_version.to_owned(), limit(at_most)),
                |txn, machine, (version, limit)| {
                    Box::pin(
                        async move { txn.room_keys_to_back_up(&machine, &version, limit).await },
                    )
                },
            )
            .await?;
        parse_room_keys(&rows)
    }

    async fn mark_inbound_group_sessions_as_backed_up(
        &self,
        backup_version: &str,
        room_and_session_ids: &[(&RoomId, &str)],
    ) -> Result<()> {
        let writes = room_and_session_ids
            .iter()
            .map(|(room_id, session_id)| Write::BackedUp {
                room_id: room_id.to_string(),
                session_id: (*session_id).to_owned(),
                version: backup_version.to_owned(),
            })
            .collect();
        self.save(async { Ok(writes) }).await
    }

    async fn reset_backup_state(&self) -> Result<()> {
        self.save(async { Ok(vec![Write::ResetBackups]) }).await
    }

    async fn load_backup_keys(&self) -> Result<BackupKeys> {
        Ok(BackupKeys {
            decryption_key: self.value(RecordKind::BackupKey, "", "").await?,
            backup_version: self.value(RecordKind::BackupVersion, "", "").await?,
        })
    }

    async fn load_dehydrated_device_pickle_key(&self) -> Result<Option<DehydratedDeviceKey>> {
        self.value(RecordKind::DehydratedKey, "", "").await
    }

    async fn delete_dehydrated_device_pickle_key(&self) -> Result<()> {
        self.delete(RecordKind::DehydratedKey, "").await
    }

    async fn get_outbound_group_session(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<OutboundGroupSession>> {
        let pickle = self
            .value(RecordKind::OutboundSession, room_id.as_str(), "")
            .await?;
        let Some(pickle) = pickle else {
            return Ok(None);
        };
        let own = self.own_account().await?;
        OutboundGroupSession::from_pickle(own.device_id, own.identity_keys, pickle)
            .map(Some)
            .map_err(|error| unreadable("outbound_session", &error))
    }

    async fn load_tracked_users(&self) -> Result<Vec<TrackedUser>> {
        self.values(RecordKind::TrackedUser, None).await
    }

    async fn save_tracked_users(&self, users: &[(&UserId, bool)]) -> Result<()> {
        let writes = users.iter().map(|(user_id, dirty)| {
            let user = TrackedUser {
                user_id: (*user_id).to_owned(),
                dirty: *dirty,
            };
            changes::record(RecordKind::TrackedUser, user_id.as_str(), "", &user)
        });
        let writes = writes.collect::<Result<_>>();
        self.save(async { writes }).await
    }

    async fn get_device(
        &self,
        user_id: &UserId,
        device_id: &DeviceId,
    ) -> Result<Option<DeviceData>> {
        self.value(RecordKind::Device, user_id.as_str(), device_id.as_str())
            .await
    }

    async fn get_user_devices(
        &self,
        user_id: &UserId,
    ) -> Result<HashMap<OwnedDeviceId, DeviceData>> {
        let devices: Vec<DeviceData> = self
            .values(RecordKind::Device, Some(user_id.as_str()))
            .await?;
        let devices = devices.into_iter();
        Ok(devices
            .map(|device| (device.device_id().to_owned(), device))
            .collect())
    }

    async fn get_own_device(&self) -> Result<DeviceData> {
        self.get_device(&self.user_id, &self.device_id)
            .await?
            .ok_or_else(|| self.no_account())
    }

    async fn get_user_identity(&self, user_id: &UserId) -> Result<Option<UserIdentityData>> {
        self.value(RecordKind::Identity, user_id.as_str(), "").await
    }

    async fn is_message_known(&self, message_hash: &OlmMessageHash) -> Result<bool> {
        let known = self
            .bytes(
                RecordKind::MessageHash,
                &message_hash.sender_key,
                &message_hash.hash,
            )
            .await?;
        Ok(known.is_some())
    }

    async fn get_outgoing_secret_requests(
        &self,
        request_id: &TransactionId,
    ) -> Result<Option<GossipRequest>> {
        self.request(request_id.as_str()).await
    }

    async fn get_secret_request_by_info(
        &self,
        secret_info: &SecretInfo,
    ) -> Result<Option<GossipRequest>> {
        self.request_about(&secret_info.as_key()).await
    }

    async fn get_unsent_secret_requests(&self) -> Result<Vec<GossipRequest>> {
        self.unsent_requests().await
    }

    async fn delete_outgoing_secret_requests(&self, request_id: &TransactionId) -> Result<()> {
        let write = Write::DeleteRequest(request_id.to_string());
        self.save(async { Ok(vec![write]) }).await
    }

    async fn get_secrets_from_inbox(
        &self,
        secret_name: &SecretName,
    ) -> Result<Vec<Zeroizing<String>>> {
        let records = self
            .list(RecordKind::Secret, Some(secret_name.as_str()))
            .await?;
        let secrets = records.into_iter().map(|record| {
            String::from_utf8(record.record)
                .map(Zeroizing::new)
                .map_err(|error| unreadable("secret", &error.utf8_error()))
        });
        secrets.collect()
    }

    async fn delete_secrets_from_inbox(&self, secret_name: &SecretName) -> Result<()> {
        self.delete(RecordKind::Secret, secret_name.as_str()).await
    }

    async fn get_room_settings(&self, room_id: &RoomId) -> Result<Option<RoomSettings>> {
        self.value(RecordKind::RoomSettings, room_id.as_str(), "")
            .await
    }

    async fn get_received_room_key_bundle_data(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
    ) -> Result<Option<StoredRoomKeyBundleData>> {
        self.value(RecordKind::KeyBundle, room_id.as_str(), user_id.as_str())
            .await
    }

    async fn get_pending_key_bundle_details_for_room(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<RoomPendingKeyBundleDetails>> {
        self.value(RecordKind::PendingBundle, room_id.as_str(), "")
            .await
    }

    async fn get_all_rooms_pending_key_bundles(&self) -> Result<Vec<RoomPendingKeyBundleDetails>> {
        self.values(RecordKind::PendingBundle, None).await
    }

    async fn has_downloaded_all_room_keys(&self, room_id: &RoomId) -> Result<bool> {
        let known = self.bytes(RecordKind::KeysDownloaded, room_id.as_str(), "");
        Ok(known.await?.is_some())
    }

    async fn get_custom_value(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.bytes(RecordKind::Custom, key, "").await
    }

    async fn set_custom_value(&self, key: &str, value: Vec<u8>) -> Result<()> {
        let write = Write::Put(MachineRecord {
            kind: RecordKind::Custom,
            scope: key.to_owned(),
            name: String::new(),
            record: value,
        });
        self.save(async { Ok(vec![write]) }).await
    }

    async fn remove_custom_value(&self, key: &str) -> Result<()> {
        self.delete(RecordKind::Custom, key).await
    }

    async fn try_take_leased_lock(
        &self,
        lease_duration_ms: u32,
        key: &str,
        holder: &str,
    ) -> Result<Option<u64>> {
        let now = self.now();
        let until = Timestamp(now.0.saturating_add(lease_duration_ms.into()));
        let generation = self
            .change(
                (key.to_owned(), holder.to_owned(), now, until),
                |txn, machine, (name, holder, now, until)| {
                    Box::pin(
                        async move { txn.take_lease(&machine, &name, &holder, now, until).await },
                    )
                },
            )
            .await?;
        let number = generation.map(u64::try_from).transpose();
        number.map_err(|error| unreadable("lease", &error))
    }

    async fn next_batch_token(&self) -> Result<Option<String>> {
        self.value(RecordKind::SyncToken, "", "").await
    }

    // The database is not closed with this: the rest of the bridge uses it too.
    async fn close(&self) -> Result<()> {
        *self.open.write().await = false;
        Ok(())
    }

    async fn reopen(&self) -> Result<()> {
        *self.open.write().await = true;
        Ok(())
    }

    async fn get_size(&self) -> Result<Option<usize>> {
        let size = self.read((), |txn, machine, ()| {
            Box::pin(async move { txn.machine_size(&machine).await })
        });
        Ok(Some(counted(size.await?)))
    }
}

impl MachineStore {
    /// Forgets the records of a scope.
    async fn delete(&self, kind: RecordKind, scope: &str) -> Result<()> {
        let write = Write::Delete {
            kind,
            scope: scope.to_owned(),
        };
        self.save(async { Ok(vec![write]) }).await
    }
}
