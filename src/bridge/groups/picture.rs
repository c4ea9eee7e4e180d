//! Pictures of groups: fetched once an id, uploaded once.

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        incoming::ToUpload,
        routes::PortalRoute,
    },
    domain::{LoginId, MediaDetails, MediaKind, Picture, PortalKey},
    store::Lane,
};

impl Bridge {
    /// The address of a group's picture at the homeserver; `None` if it cannot be had.
    pub(in crate::bridge) async fn group_picture(
        &self,
        login: LoginId,
        key: &PortalKey,
        id: &str,
    ) -> Result<Option<String>, BridgeError> {
        let place = self.picture_key(key, id);
        if let Some(known) = self.known_upload(&place).await?.filter(|known| known.done) {
            return Ok(Some(known.uri));
        }
        let network = self.network(&key.gatekeeper)?;
        match network.picture(login, &key.chat, None).await {
            Ok(Picture::Jpeg { bytes, .. }) => self.upload_group_picture(&place, bytes).await,
            Ok(Picture::None | Picture::Same) => Ok(None),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::info!(%login, %error, "the picture of a group cannot be had");
                Ok(None)
            }
        }
    }

    fn picture_key(&self, key: &PortalKey, id: &str) -> String {
        self.effect_id(&["picture", key.gatekeeper.as_str(), key.chat.as_str(), id])
    }

    async fn upload_group_picture(
        &self,
        place: &str,
        jpeg: Vec<u8>,
    ) -> Result<Option<String>, BridgeError> {
        let size = jpeg.len() as u64;
        let details = MediaDetails::new(MediaKind::Image, "image/jpeg");
        let jpeg = Bytes::from(jpeg);
        let file = ToUpload {
            details: &details,
            size,
            bytes: &|| futures_util::stream::iter([Ok(jpeg.clone())]).boxed(),
            // State of a room is never encrypted.
            encrypted: false,
        };
        match self.upload(place, file).await? {
            Ok(file) => Ok(Some(file.uri)),
            Err(reason) => {
                tracing::warn!(reason, "the picture of a group cannot be shown");
                Ok(None)
            }
        }
    }

    /// Asks for a group's picture if only that it changed was told, and not which it is.
    pub(super) async fn check_picture(&self, route: &PortalRoute) -> Result<(), BridgeError> {
        let key = &route.portal.key;
        let group = self.view_group(route.portal.id).await?;
        let facts = group.facts();
        let Some(login) = group.login else {
            return Ok(());
        };
        if facts.picture != group.shown_facts().picture {
            return Ok(());
        }
        let network = self.network(&key.gatekeeper)?;
        let known = facts.picture.as_deref();
        let picture = match network.picture(login, &key.chat, known).await {
            Ok(Picture::Same) => return Ok(()),
            Ok(Picture::None) => None,
            Ok(Picture::Jpeg { id, bytes }) => {
                self.upload_group_picture(&self.picture_key(key, &id), bytes)
                    .await?;
                Some(id)
            }
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                tracing::info!(%login, %error, "the picture of a group cannot be had");
                return Ok(());
            }
        };
        if picture == facts.picture {
            return Ok(());
        }
        let key = key.clone();
        self.db
            .step(Lane::login(login), move |txn| {
                let (key, picture) = (key.clone(), picture.clone());
                Box::pin(async move {
                    if let Some(mut row) = txn.group(&key.gatekeeper, &key.chat).await? {
                        row.facts.picture = picture;
                        txn.put_group(&row).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}
