//! The gatekeeper's signing key: its key set for Partners and the tokens of its push calls, and of the Partner it plays.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::{
    RsaPrivateKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    disk::{Change, DiskError, Snapshot, Table},
    flavour::Flavour,
};
use crate::domain::Timestamp;

/// How long a token is valid, in seconds.
const LIFETIME: i64 = 3600;
const BITS: usize = 2048;

/// An RSA key that signs with RS256.
pub(super) struct Signing {
    key: EncodingKey,
    kid: String,
    modulus: String,
    exponent: String,
}

impl Signing {
    /// The stored key, or a new one with the change that stores it. Making one takes the better part of a second: to be called
    /// where blocking is allowed.
    pub(super) fn load(snapshot: &Snapshot, changes: &mut Vec<Change>) -> Result<Self, DiskError> {
        let corrupt = |reason: String| DiskError::Corrupt {
            table: "keys",
            reason,
        };
        let stored = snapshot[&Table::Keys]
            .iter()
            .find(|(key, _)| key == b"signing");
        let pem = if let Some((_, pem)) = stored {
            String::from_utf8(pem.clone()).map_err(|error| corrupt(error.to_string()))?
        } else {
            // rsa 0.9 takes the generator of its own generation of rand.
            let made = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
                .and_then(|key| Ok(key.to_pkcs8_pem(LineEnding::LF)?))
                .map_err(|error| corrupt(error.to_string()))?;
            let pem = made.as_bytes().to_vec();
            changes.push(Change::Put(Table::Keys, b"signing".to_vec(), pem));
            made.to_string()
        };
        let private =
            RsaPrivateKey::from_pkcs8_pem(&pem).map_err(|error| corrupt(error.to_string()))?;
        let key = EncodingKey::from_rsa_pem(pem.as_bytes())
            .map_err(|error| corrupt(error.to_string()))?;
        let modulus = private.n().to_bytes_be();
        Ok(Self {
            key,
            kid: URL_SAFE_NO_PAD.encode(&Sha256::digest(&modulus)[..12]),
            modulus: URL_SAFE_NO_PAD.encode(modulus),
            exponent: URL_SAFE_NO_PAD.encode(private.e().to_bytes_be()),
        })
    }

    /// The key set, `{"keys":[{kid,kty,alg,use,n,e}]}`.
    pub(super) fn key_set(&self) -> Value {
        json!({"keys": [{
            "kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig",
            "n": self.modulus, "e": self.exponent,
        }]})
    }

    /// The token of a user of the Partner the sandbox plays, whose key is this one too: making another takes its time.
    pub(super) fn user_token(
        &self,
        issuer: &str,
        flavour: Flavour,
        visible_id: &str,
        now: Timestamp,
    ) -> String {
        self.sign(&json!({
            "iss": issuer, "aud": flavour.issuer(), "sub": visible_id,
            "iat": now.seconds(), "exp": now.seconds() + LIFETIME,
        }))
    }

    /// The token of a call to a Partner at `origin`.
    pub(super) fn token(&self, flavour: Flavour, origin: &str, now: Timestamp) -> String {
        let iat = now.seconds();
        self.sign(&json!({
            "iss": flavour.issuer(), "aud": origin, "iat": iat, "exp": iat + LIFETIME,
        }))
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("an RSA key signs any JSON")
    }
}
