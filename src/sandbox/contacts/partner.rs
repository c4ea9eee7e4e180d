//! Users of the Partner the sandbox plays: enlisted as any Partner's users are, and then clients as phones are.

use super::{
    ContactHandle, Contacts, Script,
    cast::OTHERS,
    keyring::{Keyring, OwnKeys},
    phone::Stored,
};
use crate::{
    network::interop::wire::{
        Jid,
        enlistment::{self, Enlistment, EnlistmentAnswer, EnlistmentKeys},
        noise,
        payload::ClientPayload,
    },
    sandbox::{
        directory::DeviceKeys, enlistment::PROTOCOL_VERSION, error::SandboxError, flavour::Flavour,
        office::Office, people::OTHER_NAME,
    },
};

/// What a Partner user's client presents.
pub(super) fn payload(office: &Office, stored: &Stored, visible_id: &str) -> Vec<u8> {
    let flavour = stored.flavour;
    let token = office
        .signing
        .user_token(OTHER_NAME, flavour, visible_id, office.now());
    ClientPayload {
        username: None,
        passive: false,
        pull: true,
        device: 0,
        user_agent: None,
        product: flavour.partner_product(),
        account_id: stored.number,
        token: token.into_bytes(),
        enable_read_receipts: true,
    }
    .encode()
}

fn enlistment_keys(noise_private: &[u8; 32], keys: DeviceKeys) -> Option<EnlistmentKeys> {
    Some(EnlistmentKeys {
        noise_public: noise::public_key(noise_private),
        registration_id: keys.registration_id,
        identity: keys.identity,
        signed_prekey_id: keys.signed.id,
        signed_prekey: keys.signed.value,
        signed_prekey_signature: keys.signed.signature.try_into().ok()?,
    })
}

impl Contacts {
    /// Adds the users of the cast that are missing, if the sandbox plays their Partner.
    pub(super) async fn add_others(&self) -> Result<(), SandboxError> {
        if self.world.office.plays.is_none() {
            return Ok(());
        }
        let there = self.partners();
        let is_missing = |(flavour, visible_id): (Flavour, &str)| {
            !there
                .iter()
                .any(|user| user.flavour() == flavour && user.visible_id() == Some(visible_id))
        };
        let missing = OTHERS
            .into_iter()
            .filter(|(flavour, visible_id, ..)| is_missing((*flavour, visible_id)));
        let made = missing.map(|(flavour, visible_id, name, script)| {
            self.add_partner(flavour, visible_id, name, script)
        });
        futures_util::future::try_join_all(made).await?;
        Ok(())
    }

    /// Enlists a user of the Partner the sandbox plays.
    pub(in crate::sandbox) async fn add_partner(
        &self,
        flavour: Flavour,
        visible_id: &str,
        name: &str,
        script: Script,
    ) -> Result<ContactHandle, SandboxError> {
        if self.world.office.plays.is_none() {
            return Err(SandboxError::NotPlayed);
        }
        let keys = OwnKeys::generate(self.world.office.now().0);
        let nobody = Jid::server(flavour.user_server());
        let unnamed = Keyring::new(nobody, &keys)?;
        let device = unnamed.device_keys();
        let jid = self
            .enlist(flavour, visible_id, &keys.noise_private, device)
            .await?;
        let Jid::Interop { user, .. } = jid else {
            return Err(SandboxError::Enlistment(format!("{jid} is no login")));
        };
        let stored = Stored {
            visible_id: Some(visible_id.to_owned()),
            registered: true,
            ..Stored::new(jid, flavour, user, name, script, keys)
        };
        self.keep_and_spawn(stored).await
    }

    async fn enlist(
        &self,
        flavour: Flavour,
        visible_id: &str,
        noise_private: &[u8; 32],
        device: DeviceKeys,
    ) -> Result<Jid, SandboxError> {
        let failed = |reason: String| SandboxError::Enlistment(reason);
        let office = &self.world.office;
        let keys = enlistment_keys(noise_private, device);
        let keys = keys.ok_or_else(|| failed("its keys are malformed".to_owned()))?;
        let body = enlistment::encode(&Enlistment {
            keys,
            token: office
                .signing
                .user_token(OTHER_NAME, flavour, visible_id, office.now()),
            extra: [("protocol_version".to_owned(), PROTOCOL_VERSION.to_string())].into(),
        });
        let url = format!(
            "http://{}/{}/3p/interop_reg",
            self.world.http,
            flavour.path()
        );
        let request = office
            .http
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        match answer
            .json()
            .await
            .map_err(|error| failed(error.to_string()))?
        {
            EnlistmentAnswer::Ok { login } => Ok(login),
            EnlistmentAnswer::Fail { reason } => Err(failed(reason)),
        }
    }
}
