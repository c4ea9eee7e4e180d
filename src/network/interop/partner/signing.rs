//! The Partner's signing key: RSA in a PEM file, the tokens made with it, and its rotation.
//!
//! The gatekeepers fetch the public keys now and then, so a new key is published before it signs and an old one after it
//! did: `key.pem` signs, `key.pem.next` and for a week `key.pem.previous` are only published.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs1::DecodeRsaPrivateKey as _,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
    traits::PublicKeyParts as _,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{domain::Timestamp, network::interop::profile::Profile};

/// How long a key is published after it signed last; its tokens were good for an hour or so.
const RETENTION: Duration = Duration::from_hours(7 * 24);

/// The length of keys made here.
const BITS: usize = 2048;

/// Why the signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read or written.
    #[error("the signing key {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Others than the owner may read its file.
    #[error("others may read the signing key {}: run chmod 600 on it", .0.display())]
    Open(PathBuf),
    /// Its file is no RSA private key.
    #[error("{} is no RSA private key of at least {BITS} bits in PEM", .0.display())]
    Malformed(PathBuf),
    /// No key could be made.
    #[error("no signing key could be made")]
    Generate,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed: {0}")]
pub struct TokenError(#[from] jsonwebtoken::errors::Error);

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A next key was made and is published. Rotate again when the gatekeepers have fetched it.
    Prepared,
    /// The next key signs now, and the one before it stays published.
    Switched,
}

/// A public key as the JWKS shows it.
#[derive(Clone)]
struct Published {
    kid: String,
    n: String,
    e: String,
}

/// The key that signs, and the public halves of those around it.
pub struct SigningKey {
    key: EncodingKey,
    published: Vec<Published>,
}

impl SigningKey {
    /// Loads the key from its file, and those of its rotation beside it; makes one if there is none.
    ///
    /// # Errors
    /// Says what is wrong with which file.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, KeyError> {
        let next = beside(path, "next");
        if !path.exists() && next.exists() {
            // A rotation was interrupted between its two renames.
            fs::rename(&next, path).map_err(|source| failed(path, source))?;
        }
        let current = match load(path)? {
            Some(key) => key,
            None => generate(path)?,
        };
        let mut published = vec![Published::of(&current)];
        if let Some(next) = load(&next)? {
            published.push(Published::of(&next));
        }
        let previous = beside(path, "previous");
        if let Some(key) = load(&previous)? {
            let retired = fs::metadata(&previous)
                .and_then(|metadata| metadata.modified())
                .map_err(|source| failed(&previous, source))?;
            if retired + RETENTION > system_time(now) {
                published.push(Published::of(&key));
            }
        }
        let pem = current
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Malformed(path.to_owned()))?;
        Ok(Self {
            key: EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| KeyError::Malformed(path.to_owned()))?,
            published,
        })
    }

    /// Goes one step of a rotation, in the files alone: the program reads them at its start.
    ///
    /// # Errors
    /// Says what is wrong with which file.
    pub fn rotate(path: &Path, now: Timestamp) -> Result<Rotation, KeyError> {
        let next = beside(path, "next");
        if load(&next)?.is_none() {
            generate(&next)?;
            return Ok(Rotation::Prepared);
        }
        let previous = beside(path, "previous");
        // Its time of modification says from when on it did not sign any more.
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(system_time(now)))
            .and_then(|()| fs::rename(path, &previous))
            .and_then(|()| fs::rename(&next, path))
            .map_err(|source| failed(path, source))?;
        Ok(Rotation::Switched)
    }

    /// The JWKS.
    #[must_use]
    pub fn public_keys(&self) -> Value {
        let keys: Vec<_> = self
            .published
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid,
                    "kty": "RSA",
                    "alg": "RS256",
                    "use": "sig",
                    "n": key.n,
                    "e": key.e,
                })
            })
            .collect();
        json!({ "keys": keys })
    }

    /// The token that vouches for a user, as the profile wants it.
    ///
    /// # Errors
    /// The signing's.
    pub fn token(
        &self,
        profile: &Profile,
        visible_id: &str,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        let template = &profile.token;
        let mut claims: Map<String, Value> = template
            .claims
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(text) => Value::String(profile.fill(text, visible_id)),
                    other => other.clone(),
                };
                (name.clone(), value)
            })
            .collect();
        let issued = now.seconds();
        claims.insert("iat".to_owned(), issued.into());
        let expires = issued.saturating_add(i64::from(template.lifetime_seconds));
        claims.insert("exp".to_owned(), expires.into());
        for (name, value) in [("iss", &template.issuer), ("aud", &template.audience)] {
            if let Some(value) = value {
                claims.insert(name.to_owned(), profile.fill(value, visible_id).into());
            }
        }
        let mut header = Header::new(Algorithm::RS256);
        header.kid = self.published.first().map(|key| key.kid.clone());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

impl Published {
    fn of(key: &RsaPrivateKey) -> Self {
        let public = RsaPublicKey::from(key);
        let n = URL_SAFE_NO_PAD.encode(public.n().to_bytes_be());
        let e = URL_SAFE_NO_PAD.encode(public.e().to_bytes_be());
        // RFC 7638: the required members in this order, without spaces.
        let thumbprint = Sha256::digest(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
        Self {
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            n,
            e,
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        source,
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn load(path: &Path) -> Result<Option<RsaPrivateKey>, KeyError> {
    let pem = match fs::read_to_string(path) {
        Ok(pem) => Zeroizing::new(pem),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    if fs::metadata(path)
        .map_err(|source| failed(path, source))?
        .permissions()
        .mode()
        & 0o077
        != 0
    {
        return Err(KeyError::Open(path.to_owned()));
    }
    RsaPrivateKey::from_pkcs8_pem(&pem)
        .ok()
        .or_else(|| RsaPrivateKey::from_pkcs1_pem(&pem).ok())
        .filter(|key| key.n().bits() >= BITS)
        .map(Some)
        .ok_or_else(|| KeyError::Malformed(path.to_owned()))
}

/// Makes a key and its file, which is there whole or not at all.
fn generate(path: &Path) -> Result<RsaPrivateKey, KeyError> {
    let key =
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(|_| KeyError::Generate)?;
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|_| KeyError::Generate)?;
    let unfinished = beside(path, "new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(|source| failed(path, source))?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|source| failed(path, source))?;
    Ok(key)
}
