//! What a group is, as its room shows it: name, topic, picture.

use serde_json::json;

use super::sync::Sync;
use crate::{
    bridge::context::{Bridge, BridgeError},
    domain::GroupFacts,
    store::{GroupShown, Lane},
};

impl Bridge {
    /// Shows what a group is, each thing only if it is another than the room shows; whether the picture has to come later.
    pub(super) async fn show_facts(&self, sync: &mut Sync) -> Result<bool, BridgeError> {
        let facts = sync.group.facts();
        let mut shown = sync.group.shown_facts();
        if sync.group.portal.linked {
            self.keep_facts(sync, facts).await?;
            return Ok(false);
        }
        let (mut renamed, mut later) = (false, false);
        if shown.subject != facts.subject {
            let name = json!({ "name": facts.subject });
            self.state_by(sync, true, "m.room.name", "", &name).await?;
            shown.subject.clone_from(&facts.subject);
            self.keep_facts(sync, shown.clone()).await?;
            renamed = true;
        }
        if shown.description != facts.description {
            let topic = json!({ "topic": facts.description.clone().unwrap_or_default() });
            self.state_by(sync, true, "m.room.topic", "", &topic)
                .await?;
            shown.description.clone_from(&facts.description);
        }
        if shown.picture != facts.picture {
            match self.show_picture(sync, facts.picture.as_deref()).await {
                Err(error) if error.is_transient() => {
                    tracing::debug!(room = %sync.room_id, %error, "the picture of a group comes later");
                    later = true;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    shown.picture.clone_from(&facts.picture);
                    renamed = true;
                }
            }
        }
        if renamed {
            let avatar = sync.group.row.as_ref();
            let avatar = avatar.and_then(|row| row.shown.avatar.as_deref());
            let name = Some(facts.subject.as_str());
            let state = self.bridge_state(&sync.group.portal, name, avatar);
            for (kind, key, content) in &state {
                self.state_by(sync, false, kind, key, content).await?;
            }
        }
        self.keep_facts(sync, shown).await?;
        Ok(later)
    }

    /// Sets the room's picture.
    async fn show_picture(&self, sync: &mut Sync, id: Option<&str>) -> Result<(), BridgeError> {
        let avatar = match (id, sync.group.login) {
            (Some(id), Some(login)) => {
                let key = &sync.group.portal.key;
                self.group_picture(login, key, id).await?
            }
            _ => None,
        };
        let shown = sync.group.row.as_ref().map(|row| row.shown.avatar.clone());
        if shown.flatten() != avatar {
            let content = match &avatar {
                Some(uri) => json!({ "url": uri }),
                None => json!({}),
            };
            self.state_by(sync, true, "m.room.avatar", "", &content)
                .await?;
        }
        if let Some(row) = &mut sync.group.row {
            row.shown.avatar = avatar;
        }
        Ok(())
    }

    /// Notes what the room shows of the group.
    pub(super) async fn keep_facts(
        &self,
        sync: &mut Sync,
        facts: GroupFacts,
    ) -> Result<(), BridgeError> {
        let Some(row) = &mut sync.group.row else {
            return Ok(());
        };
        let shown = GroupShown {
            facts: Some(facts),
            avatar: row.shown.avatar.clone(),
        };
        if sync.stored.as_ref() == Some(&shown) {
            return Ok(());
        }
        row.shown = shown.clone();
        sync.stored = Some(shown.clone());
        let key = sync.group.portal.key.clone();
        self.db
            .step(Lane::room(&sync.group.portal.id.to_string()), move |txn| {
                let (key, shown) = (key.clone(), shown.clone());
                Box::pin(async move {
                    txn.set_group_shown(&key.gatekeeper, &key.chat, &shown)
                        .await
                })
            })
            .await?;
        Ok(())
    }
}
