//! Signal sessions over the store, against a peer that shares nothing with them but the protocol.

#![expect(
    clippy::unwrap_used,
    reason = "a failed precondition of a test is a failed test"
)]

mod group_changes;
mod group_inbound;
mod group_outbound;
mod group_receipts;
mod group_retries;
mod group_world;
mod inbound;
mod machine;
mod outbound;
mod peer;
mod prekeys;
mod receipts;
mod retries;
mod sessions;
mod stanzas;
mod world;
