//! The rest of a ghost's profile: its picture, and what it is on the other side.
//!
//! A worker of its own brings these, a few at a time, so that a message waits for none. A picture whose id is stored is not fetched
//! again; the same file is uploaded once, whoever shows it.

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        incoming::ToUpload,
        workers::Outcome,
    },
    domain::{ChatId, GatekeeperId, MediaDetails, MediaKind, Picture, RemoteUserId},
    imaging,
    store::{GhostRow, Lane},
};

/// The largest picture of a profile, in bytes.
const LARGEST: usize = 5 * 1024 * 1024;

impl Bridge {
    /// Brings the profile of a ghost up to date.
    pub(in crate::bridge) async fn carry_profile(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Outcome {
        if !self.is_introduced() {
            return Outcome::Retry;
        }
        let Ok(_one_of_few) = self.people.pace.acquire().await else {
            return Outcome::Done;
        };
        match self.bring_profile(gatekeeper, remote).await {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::Retry,
            Err(error) => {
                tracing::warn!(%gatekeeper, %error, "the profile of a contact could not be shown");
                Outcome::Done
            }
        }
    }

    /// The picture of somebody is another one, or may be.
    pub(in crate::bridge) async fn renew_picture(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<(), BridgeError> {
        let row = self.ghost_row(gatekeeper, remote).await?;
        if !row.registered {
            return Ok(());
        }
        // Stored first: it is fetched even if the process ends before.
        self.store_ghost_picture(&row, None, row.avatar.clone())
            .await?;
        self.people
            .profiles
            .wake((gatekeeper.clone(), remote.clone()));
        Ok(())
    }

    async fn bring_profile(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<(), BridgeError> {
        let row = self.ghost_row(gatekeeper, remote).await?;
        if !row.registered {
            return Ok(());
        }
        self.tell_identity(&row).await?;
        if row.picture.is_some() {
            return Ok(());
        }
        match self.fetch_picture(gatekeeper, remote).await? {
            None | Some(Picture::Same) => Ok(()),
            Some(Picture::None) => self.show_ghost_picture(&row, "", None).await,
            Some(Picture::Jpeg { id, bytes }) => {
                self.show_ghost_picture(&row, &id, Some(bytes)).await
            }
        }
    }

    /// The picture as the first login sees it that knows them and sees one; `None` if nobody could be asked.
    async fn fetch_picture(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<Option<Picture>, BridgeError> {
        let network = self.network(gatekeeper)?;
        let of = ChatId::direct(remote);
        let mut found = None;
        for login in self.logins_knowing(gatekeeper, remote).await? {
            match network.picture(login.id, &of, None).await {
                Ok(picture @ Picture::Jpeg { .. }) => return Ok(Some(picture)),
                Ok(picture) => found = Some(picture),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%gatekeeper, login = %login.id, %error, "a picture is not to be had");
                }
            }
        }
        Ok(found)
    }

    async fn show_ghost_picture(
        &self,
        row: &GhostRow,
        id: &str,
        bytes: Option<Vec<u8>>,
    ) -> Result<(), BridgeError> {
        let uri = match bytes {
            Some(bytes) => self.upload_avatar(bytes).await?,
            None => None,
        };
        if uri != row.avatar {
            let ghost = self
                .client
                .ghost(&self.ghost_id(&row.gatekeeper, &row.remote_id));
            ghost.set_avatar(uri.as_deref()).await?;
        }
        self.store_ghost_picture(row, Some(id.to_owned()), uri)
            .await
    }

    /// Brings a picture to the homeserver, the same one once; its address, `None` for what is no picture.
    pub(in crate::bridge) async fn upload_avatar(
        &self,
        bytes: Vec<u8>,
    ) -> Result<Option<String>, BridgeError> {
        let Some(look) = imaging::look(&bytes).filter(|_| bytes.len() <= LARGEST) else {
            return Ok(None);
        };
        let hash = Sha256::digest(&bytes);
        let key = format!("avatar/{}", self.effect_id(&[&hex(&hash)]));
        let details = MediaDetails::new(MediaKind::Image, look.mime_type);
        let size = bytes.len() as u64;
        let bytes = Bytes::from(bytes);
        let file = ToUpload {
            details: &details,
            size,
            bytes: &|| futures_util::stream::iter([Ok(bytes.clone())]).boxed(),
            // Profiles are for everybody, and so are the names and pictures of rooms.
            encrypted: false,
        };
        match self.upload(&key, file).await? {
            Ok(file) => Ok(Some(file.uri)),
            Err(why) => {
                tracing::debug!(why, "a picture was not taken");
                Ok(None)
            }
        }
    }

    async fn store_ghost_picture(
        &self,
        row: &GhostRow,
        picture: Option<String>,
        avatar: Option<String>,
    ) -> Result<(), BridgeError> {
        let row = row.clone();
        self.db
            .step(Lane::room(&row.mxid.clone()), move |txn| {
                let (row, picture, avatar) = (row.clone(), picture.clone(), avatar.clone());
                Box::pin(async move {
                    // The name is another worker's.
                    let now = txn.ghost(&row.gatekeeper, &row.remote_id).await?;
                    let mut now = now.unwrap_or(row);
                    now.picture = picture;
                    now.avatar = avatar;
                    txn.put_ghost(&now).await
                })
            })
            .await?;
        Ok(())
    }

    /// Tells, in fields of the profile that some clients read, whom a ghost stands for; once, and again when that changes.
    async fn tell_identity(&self, row: &GhostRow) -> Result<(), BridgeError> {
        let key = identity_key(row);
        let fields = self.identity(row);
        let text = Value::Object(fields.clone()).to_string();
        let told = self.kept(&key).await?;
        if told.as_deref() == Some(&text) {
            return Ok(());
        }
        let before: Map<String, Value> = told
            .and_then(|told| serde_json::from_str(&told).ok())
            .unwrap_or_default();
        let ghost = self
            .client
            .ghost(&self.ghost_id(&row.gatekeeper, &row.remote_id));
        for (name, value) in &fields {
            // What one field is refused for, the others are, too.
            if before.get(name) != Some(value) && !ghost.set_profile_field(name, value).await? {
                break;
            }
        }
        self.keep(&key, Some(&text)).await
    }

    /// Whether the profile tells whom a ghost stands for, as it is to be told.
    pub(super) async fn is_identity_told(&self, row: &GhostRow) -> Result<bool, BridgeError> {
        let told = self.kept(&identity_key(row)).await?;
        let wanted = Value::Object(self.identity(row)).to_string();
        Ok(told.as_deref() == Some(&wanted))
    }

    fn identity(&self, row: &GhostRow) -> Map<String, Value> {
        let mut identifiers = Vec::new();
        if self.settings.people.phone_in_profile
            && let Some(phone) = self.phone_of(&row.gatekeeper, &row.remote_id)
        {
            identifiers.push(format!("tel:{phone}"));
        }
        [
            ("com.beeper.bridge.network", json!(row.gatekeeper)),
            ("com.beeper.bridge.service", json!(row.gatekeeper)),
            ("com.beeper.bridge.remote_id", json!(row.remote_id)),
            ("com.beeper.bridge.identifiers", json!(identifiers)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// The phone number somebody's address is, in international form, at a gatekeeper whose addresses are phone numbers.
    pub(in crate::bridge) fn phone_of(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Option<String> {
        let (digits, _) = remote.as_str().split_once('@')?;
        let is_number =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let phone = format!("+{digits}");
        let network = self.network(gatekeeper).ok()?;
        // Where there are user names, digits are a number the gatekeeper gave.
        let has_names = network.address("somebody").is_ok();
        let meant = network.address(&phone).ok()?;
        (is_number && !has_names && meant == *remote).then_some(phone)
    }
}

/// Under which key is kept what a ghost's profile tells of whom it stands for.
pub(super) fn identity_key(row: &GhostRow) -> String {
    format!("identity/{}", row.mxid)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
