//! `partner`: what the gatekeepers reach the bridge by.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, check,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "partner",
    doc: "What the gatekeepers see of the bridge: its public keys, where they announce messages, and the media it hosts.",
    content: Content::Keys(&[
        Key::new(
            "listen",
            Unset::Default("\"127.0.0.1:29332\""),
            "Where the bridge listens for the gatekeepers; in live use behind a reverse proxy with TLS.",
        ),
        Key::new(
            "address",
            Unset::Default("\"http://127.0.0.1:29332\""),
            "Where the gatekeepers reach that: in live use a public https address.",
        ),
        Key::path(
            "signing_key_file",
            Unset::Default("partner_signing_key.pem"),
            "The private key (RSA, PEM) that signs the bridge's tokens; made if there is none.",
        ),
        Key::path(
            "media_dir",
            Unset::Default("partner_media"),
            "Where the ciphertext of sent media is kept for the gatekeepers to fetch.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct PartnerConfig {
    /// `host:port` to listen on.
    pub listen: String,
    /// Public base URL.
    pub address: Url,
    /// The signing key's file.
    pub signing_key_file: PathBuf,
    /// The folder of hosted media.
    pub media_dir: PathBuf,
}

impl PartnerConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check::listen(&self.listen)
            .map_err(|reason| ConfigError::invalid("partner.listen", reason))?;
        check::base_url(&self.address)
            .map_err(|reason| ConfigError::invalid("partner.address", reason))
    }
}
