//! Encrypted rooms: what the bridge's own devices know, and what they read and write with it.
//!
//! The cryptography is a library's; here is where its state is kept ([`MachineStore`]).

mod store;

pub use store::{MachineStore, MachineStoreError};
