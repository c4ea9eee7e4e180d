//! Ghosts: the Matrix users that stand for the gatekeeper's users.

use ruma::OwnedUserId;

use super::context::{Bridge, BridgeError, lock};
use crate::{
    domain::{GatekeeperId, RemoteUserId},
    matrix::Intent,
    store::{GhostRow, Lane, NameSource},
    translate::clean_name,
};

impl Bridge {
    /// The ghost of a remote user, known to the homeserver and with a name. A name the sender shows replaces one made up from
    /// the address, but no name is replaced by none.
    pub(super) async fn ghost(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        shown: Option<&str>,
    ) -> Result<Intent, BridgeError> {
        let mxid = self.naming.mxid(gatekeeper, remote);
        let intent = self.client.ghost(&mxid);
        let shown = shown.map(clean_name).filter(|name| !name.is_empty());
        let cached = lock(&self.ghosts).get(&mxid).cloned();
        if let Some(known) = cached {
            let wanted = shown
                .as_ref()
                .map(|name| self.display_name(gatekeeper, name));
            if wanted.is_none() || wanted == known {
                return Ok(intent);
            }
        }
        self.refresh(gatekeeper, remote, mxid, &intent, shown)
            .await?;
        Ok(intent)
    }

    async fn refresh(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        mxid: OwnedUserId,
        intent: &Intent,
        shown: Option<String>,
    ) -> Result<(), BridgeError> {
        let (of, id) = (gatekeeper.clone(), remote.clone());
        let row = self
            .db
            .read(move |txn| {
                let (of, id) = (of.clone(), id.clone());
                Box::pin(async move { txn.ghost(&of, &id).await })
            })
            .await?;
        let mut row = row.unwrap_or_else(|| GhostRow {
            gatekeeper: gatekeeper.clone(),
            remote_id: remote.clone(),
            mxid: mxid.to_string(),
            registered: false,
            name: None,
            name_source: NameSource::Address,
            picture: None,
            avatar: None,
        });
        let before = row.clone();
        if !row.registered {
            intent.ensure_registered().await?;
            row.registered = true;
        }
        let wanted = match (&row.name, shown) {
            (_, Some(name)) => Some(self.display_name(gatekeeper, &name)),
            (None, None) => Some(self.display_name(gatekeeper, &made_up_name(remote))),
            (Some(_), None) => None,
        };
        if let Some(wanted) = wanted.filter(|wanted| row.name.as_ref() != Some(wanted)) {
            intent.set_display_name(&wanted).await?;
            row.name = Some(wanted);
        }
        if row != before {
            let changed = row.clone();
            self.db
                .step(Lane::room(&row.mxid), move |txn| {
                    let changed = changed.clone();
                    Box::pin(async move { txn.put_ghost(&changed).await })
                })
                .await?;
        }
        lock(&self.ghosts).insert(mxid, row.name);
        Ok(())
    }

    fn display_name(&self, gatekeeper: &GatekeeperId, name: &str) -> String {
        self.settings
            .displayname_template
            .replace("{gatekeeper}", self.gatekeeper_name(gatekeeper))
            .replace("{name}", name)
    }
}

/// The name of somebody who showed none: the phone number in international form, or the user part of the address.
pub(super) fn made_up_name(remote: &RemoteUserId) -> String {
    let user = remote.as_str().split('@').next().unwrap_or_default();
    if !user.is_empty() && user.bytes().all(|b| b.is_ascii_digit()) {
        format!("+{user}")
    } else {
        user.to_owned()
    }
}
