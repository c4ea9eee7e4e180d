//! The certificate chain a chat server proves itself with: root key → intermediate → leaf, whose key is the server's
//! Noise static key.
//!
//! `CertChain{leaf, intermediate}`, each `{details, signature}`; the signature is XEdDSA by the issuer over the bytes of
//! `details`. The root is no certificate but a key of the profile, with serial 0.

use std::ops::Range;

use libsignal_protocol::protocol::{PrivateKey, PublicKey};
use rand::{CryptoRng, Rng};
use waproto::{
    buffa::{Message as _, MessageField},
    whatsapp::{
        CertChain,
        cert_chain::{NoiseCertificate, noise_certificate::Details},
    },
};

use super::noise::public_key;
use crate::domain::Timestamp;

const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;

/// Why a chain is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not the protobuf it should be, or a part is missing.
    #[error("the {0} certificate is malformed or missing")]
    Malformed(&'static str),
    /// It names another issuer than the one above it.
    #[error("the {0} certificate names another issuer")]
    Issuer(&'static str),
    /// Its signature is not its issuer's.
    #[error("the {0} certificate is not signed by its issuer: is root_key the right one?")]
    Signature(&'static str),
    /// It is not valid yet.
    #[error("the {0} certificate is not valid yet: is the clock right?")]
    NotYet(&'static str),
    /// It is not valid any more.
    #[error("the {0} certificate has expired: is the clock right?")]
    Expired(&'static str),
    /// The leaf vouches for another key than the server's.
    #[error("the certificate is for another server key")]
    OtherKey,
}

/// Signs a chain for a server's static public key, as the sandbox's own gatekeeper does. `validity` is in whole seconds.
///
/// # Panics
/// Never: every 32 bytes are a private key.
pub fn issue_chain<R: CryptoRng + Rng>(
    root_private: &[u8; 32],
    intermediate_private: &[u8; 32],
    leaf_public: &[u8; 32],
    validity: &Range<Timestamp>,
    rng: &mut R,
) -> Vec<u8> {
    let mut certify = |issuer: &[u8; 32], serial, issuer_serial, key: &[u8; 32]| {
        let seconds = |time: Timestamp| u64::try_from(time.seconds()).unwrap_or(0);
        let details = Details {
            serial: Some(serial),
            issuer_serial: Some(issuer_serial),
            key: Some(key.to_vec()),
            not_before: Some(seconds(validity.start)),
            not_after: Some(seconds(validity.end)),
        }
        .encode_to_vec();
        let signature = PrivateKey::deserialize(issuer)
            .and_then(|key| key.calculate_signature(&details, rng))
            .expect("every 32 bytes are a private key");
        MessageField::some(NoiseCertificate {
            details: Some(details),
            signature: Some(signature.to_vec()),
        })
    };
    let intermediate_public = public_key(intermediate_private);
    CertChain {
        intermediate: certify(
            root_private,
            INTERMEDIATE_SERIAL,
            ROOT_SERIAL,
            &intermediate_public,
        ),
        leaf: certify(
            intermediate_private,
            LEAF_SERIAL,
            INTERMEDIATE_SERIAL,
            leaf_public,
        ),
    }
    .encode_to_vec()
}

/// Checks that a chain leads from the root key to the server's static key and is valid `now`.
///
/// # Errors
/// Says why not.
pub fn verify_chain(
    chain: &[u8],
    root_key: &[u8; 32],
    server_static: &[u8; 32],
    now: Timestamp,
) -> Result<(), CertificateError> {
    let chain =
        CertChain::decode_from_slice(chain).map_err(|_| CertificateError::Malformed("server's"))?;
    let root = Issuer {
        serial: ROOT_SERIAL,
        key: *root_key,
    };
    let intermediate = root.verify(chain.intermediate.as_option(), "intermediate", now)?;
    let leaf = intermediate.verify(chain.leaf.as_option(), "leaf", now)?;
    if leaf.key == *server_static {
        Ok(())
    } else {
        Err(CertificateError::OtherKey)
    }
}

struct Issuer {
    serial: u32,
    key: [u8; 32],
}

impl Issuer {
    /// Checks one certificate of this issuer; what it certifies may issue the next.
    fn verify(
        &self,
        certificate: Option<&NoiseCertificate>,
        name: &'static str,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let malformed = CertificateError::Malformed(name);
        let certificate = certificate.ok_or(malformed)?;
        let signed = certificate.details.as_deref().ok_or(malformed)?;
        let signature = certificate.signature.as_deref().ok_or(malformed)?;
        let issuer = PublicKey::from_djb_public_key_bytes(&self.key).map_err(|_| malformed)?;
        if !issuer.verify_signature(signed, signature) {
            return Err(CertificateError::Signature(name));
        }
        let details = Details::decode_from_slice(signed).map_err(|_| malformed)?;
        if details.issuer_serial.unwrap_or(ROOT_SERIAL) != self.serial {
            return Err(CertificateError::Issuer(name));
        }
        let now = u64::try_from(now.seconds()).unwrap_or(0);
        if now < details.not_before.ok_or(malformed)? {
            return Err(CertificateError::NotYet(name));
        }
        if now > details.not_after.ok_or(malformed)? {
            return Err(CertificateError::Expired(name));
        }
        let key = details.key.as_deref().ok_or(malformed)?;
        Ok(Self {
            serial: details.serial.ok_or(malformed)?,
            key: key.try_into().map_err(|_| malformed)?,
        })
    }
}
