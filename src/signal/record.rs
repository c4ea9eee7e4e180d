//! Session records between the store and the library: loading, bounding, closing for sending.

use libsignal_protocol::protocol::{
    SessionChainComponents, SessionRecord, SessionRecordComponents, SignalProtocolError,
};

/// The most a stored session record may weigh, in bytes.
pub(super) const MAX_RECORD_BYTES: usize = 256 * 1024;

/// The most archived sessions a record may hold.
const MAX_ARCHIVED: usize = 40;

/// What a stored skipped message key weighs at least: two keys, an initialization vector and the seed.
const SKIPPED_KEY_BYTES: usize = 112;

/// Reads a stored record.
pub(super) fn read(bytes: &[u8]) -> Result<SessionRecord, SignalProtocolError> {
    let mut record = SessionRecord::deserialize(bytes)?;
    // Every step is committed before its ciphertext leaves, so no counter has to be skipped for safety.
    record.waive_counter_lease();
    Ok(record)
}

/// Writes a record within the bounds: the oldest archived sessions go first, then the oldest skipped keys.
pub(super) fn write(record: &mut SessionRecord) -> Result<Vec<u8>, SignalProtocolError> {
    while record.previous_session_count() > MAX_ARCHIVED {
        drop_oldest(record);
    }
    let bytes = record.serialize()?;
    if bytes.len() <= MAX_RECORD_BYTES {
        return Ok(bytes);
    }
    while record.estimated_size() > MAX_RECORD_BYTES && record.previous_session_count() > 0 {
        drop_oldest(record);
    }
    let size = record.estimated_size();
    if size > MAX_RECORD_BYTES {
        let surplus = (size - MAX_RECORD_BYTES).div_ceil(SKIPPED_KEY_BYTES);
        *record = forget_skipped(record.clone().into_components()?, surplus)?;
    }
    record.serialize()
}

fn drop_oldest(record: &mut SessionRecord) {
    let oldest = record.previous_session_count().saturating_sub(1);
    drop(record.take_previous_session(oldest));
}

fn forget_skipped(
    mut components: SessionRecordComponents,
    mut surplus: usize,
) -> Result<SessionRecord, SignalProtocolError> {
    let chains: &mut [SessionChainComponents] = components
        .current_session
        .as_mut()
        .map_or(&mut [], |session| &mut session.receiver_chains);
    // The library appends chains, so the first is the oldest.
    for chain in chains {
        let gone = surplus.min(chain.message_keys.len());
        chain.message_keys.sort_by_key(|key| key.index);
        chain.message_keys.drain(..gone);
        surplus -= gone;
    }
    let mut record = SessionRecord::from_components(components)?;
    record.waive_counter_lease();
    Ok(record)
}

/// Whether the current session may be sent over.
///
/// A session closed by [`close_for_sending`] may come back as the current one when a late message is read with it; it
/// still may not be sent over.
pub(super) fn open_for_sending(record: &SessionRecord) -> bool {
    record.session_state().is_some_and(|state| {
        state.local_registration_id() != 0 && state.has_usable_sender_chain().unwrap_or(false)
    })
}

/// Archives every session of a record and marks it so that it is never sent over again, only read with.
///
/// The mark is a local registration id of 0, which no login has and no reading depends on.
pub(super) fn close_for_sending(record: &mut SessionRecord) -> Result<(), SignalProtocolError> {
    record.archive_current_state()?;
    for index in 0..record.previous_session_count() {
        if let Some(mut state) = record.take_previous_session(index) {
            state.set_local_registration_id(0);
            record.restore_previous_session(index, state);
        }
    }
    Ok(())
}
