//! End-to-end encryption on the gatekeeper's side: X3DH sessions, the double ratchet and the sender keys of groups over the store.
//!
//! Every operation works inside a transaction the caller owns: [`Ratchets`] loads the records a message can touch, lets the
//! Signal library step over them in memory, and [`Ratchets::save`] writes back what changed. The ciphertext, or the plaintext,
//! goes into the same transaction, and nothing leaves the process before it is committed. That order is what makes it sound to
//! waive the library's counter lease: a counter whose commit is lost has never been seen by anybody.
//!
//! The steps of one login run in its lane ([`crate::store::Lane::login`]), which is the lock an address needs.
//!
//! The Signal library names addresses (phone numbers) in its own log records and errors: its log target is to be kept silent,
//! and none of its messages is passed on.

mod address;
mod device;
mod error;
mod groups;
mod keys;
mod message;
mod ratchets;
mod record;
mod sender_record;
mod snapshot;
mod steps;

pub use address::Address;
pub use device::Device;
pub use error::SignalError;
pub use groups::{OwnSenderKey, forget_sender_key};
pub use keys::{
    FIRST_KEY_ID, NewIdentity, PublicPreKey, PublicSignedPreKey, generate_identity,
    generate_prekeys, generate_signed_prekey, key_id_after, key_id_after_many, public_prekey,
    public_signed_prekey,
};
pub use message::{Bundle, Ciphertext, CiphertextKind, Decrypted};
pub use ratchets::Ratchets;
pub use steps::{archive_all_sessions, archive_session, decrypt, encrypt, establish};
