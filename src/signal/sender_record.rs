//! Records of sender keys between the store and the library: when the key came (8 bytes, milliseconds), then the library's bytes.

use libsignal_protocol::protocol::{
    SenderKeyRecord, SenderKeyRecordComponents, SignalProtocolError,
};

use crate::domain::Timestamp;

/// The most skipped message keys a record may hold, over all the chains a member has begun. A member sends in order, so they are few;
/// without a bound anybody in a group could make each message cost as much as rewriting thousands.
const MAX_SKIPPED: usize = 2000;

/// A record up to this size, in bytes, cannot hold that many.
const SMALL: usize = 64 * 1024;

/// A sender key with when it was made, or first came.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub(super) made_at: Timestamp,
    pub(super) record: SenderKeyRecord,
}

/// Reads a stored record.
pub(super) fn read(bytes: &[u8]) -> Result<StoredKey, SignalProtocolError> {
    let (time, record) = bytes
        .split_first_chunk::<8>()
        .ok_or(SignalProtocolError::InvalidProtobufEncoding)?;
    let mut record = SenderKeyRecord::deserialize(record)?;
    // As with sessions: every step is committed before its ciphertext leaves.
    record.waive_counter_lease()?;
    Ok(StoredKey {
        made_at: Timestamp(i64::from_be_bytes(*time)),
        record,
    })
}

/// Writes a record within the bounds: the skipped keys of the oldest chains go first, and in a chain the oldest.
pub(super) fn write(stored: &mut StoredKey) -> Result<Vec<u8>, SignalProtocolError> {
    let mut record = stored.record.serialize()?;
    if record.len() > SMALL {
        stored.record = bounded(stored.record.clone())?;
        record = stored.record.serialize()?;
    }
    let mut bytes = Vec::with_capacity(8 + record.len());
    bytes.extend_from_slice(&stored.made_at.0.to_be_bytes());
    bytes.extend_from_slice(&record);
    Ok(bytes)
}

fn bounded(record: SenderKeyRecord) -> Result<SenderKeyRecord, SignalProtocolError> {
    let mut components: SenderKeyRecordComponents = record.into_components()?;
    let mut left = MAX_SKIPPED;
    // The library puts the newest chain first.
    for state in &mut components.states {
        let surplus = state.message_keys.len().saturating_sub(left);
        state.message_keys.sort_by_key(|key| key.iteration);
        state.message_keys.drain(..surplus);
        left -= state.message_keys.len();
    }
    let mut record = SenderKeyRecord::from_components(components)?;
    record.waive_counter_lease()?;
    Ok(record)
}
