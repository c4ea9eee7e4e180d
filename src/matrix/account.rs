//! Accounts: registered on demand, one device each, with a display name and a presence.

use reqwest::Method;
use ruma::{
    DeviceId, OwnedUserId, RoomId, UserId,
    api::client::{
        account::{
            register::{self, LoginType},
            whoami,
        },
        device::update_device,
        presence::set_presence,
        profile::set_profile_field,
        session::login::{
            self,
            v3::{ApplicationService, LoginInfo},
        },
        uiaa::{MatrixUserIdentifier, UserIdentifier},
    },
    presence::PresenceState,
    profile::ProfileFieldValue,
};

use serde_json::{Value, json};

use super::{
    Intent, MatrixError,
    request::{Identity, Tries},
};

const DEVICE_NAME: &str = "drawbridge";

impl Intent {
    /// Makes sure that the homeserver knows the account and its device.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn ensure_registered(&self) -> Result<(), MatrixError> {
        if self.is_puppet() {
            // Somebody else made it.
            return Ok(());
        }
        let mut request = register::v3::Request::new();
        request.username = Some(self.user.localpart().to_owned());
        request.login_type = Some(LoginType::ApplicationService);
        // With MSC4190 there is no other way, without it an access token nobody needs is not made.
        request.inhibit_login = true;
        let registered = self
            .client
            .call(request, Identity::Appservice, Tries::Few)
            .await;
        match registered {
            Ok(_) => {}
            Err(error) if error.errcode() == Some("M_USER_IN_USE") => {}
            Err(error) => return Err(error),
        }
        self.ensure_device().await
    }

    /// The device is made by name (MSC4190); a homeserver that does not know that makes it by a login.
    async fn ensure_device(&self) -> Result<(), MatrixError> {
        let mut request = update_device::v3::Request::new(self.device().to_owned());
        request.display_name = Some(DEVICE_NAME.to_owned());
        let made = self
            .client
            .call(request, Identity::User(&self.user), Tries::Few)
            .await;
        match made {
            Ok(_) => Ok(()),
            // Where it needs a token of its own, it is logged in once more; here nobody needs one.
            Err(error) if error.status() == Some(404) => self.log_in_device().await.map(drop),
            Err(error) => Err(error),
        }
    }

    fn device(&self) -> &DeviceId {
        self.client.device_of(&self.user)
    }

    /// Makes the device by a login; the access token of it. Earlier ones of the device may end.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn log_in_device(&self) -> Result<String, MatrixError> {
        let user = MatrixUserIdentifier::new(self.user.localpart().to_owned());
        let info = ApplicationService::new(UserIdentifier::Matrix(user));
        let mut request = login::v3::Request::new(LoginInfo::ApplicationService(info));
        request.device_id = Some(self.device().to_owned());
        request.initial_device_display_name = Some(DEVICE_NAME.to_owned());
        let answer = self
            .client
            .call(request, Identity::Appservice, Tries::Few)
            .await?;
        Ok(answer.access_token)
    }

    /// As which of the account's devices the homeserver takes the bridge's requests; `None` if as none.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn whoami_device(&self) -> Result<Option<String>, MatrixError> {
        let path = ["_matrix", "client", "v3", "account", "whoami"];
        let identity = Identity::Device(&self.user);
        let answer = self.client.json(&path, identity).await?;
        Ok(answer["device_id"].as_str().map(str::to_owned))
    }

    /// The ids of the account's devices.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn devices(&self) -> Result<Vec<String>, MatrixError> {
        let path = ["_matrix", "client", "v3", "devices"];
        let identity = Identity::Device(&self.user);
        let answer = self.client.json(&path, identity).await?;
        let devices = answer["devices"].as_array().map(Vec::as_slice);
        let ids = devices.unwrap_or_default().iter();
        Ok(ids
            .filter_map(|device| device["device_id"].as_str().map(str::to_owned))
            .collect())
    }

    /// Deletes a device of the account.
    ///
    /// # Errors
    /// What the homeserver said; some want a password for it.
    pub async fn delete_device(&self, device: &str) -> Result<(), MatrixError> {
        let path = ["_matrix", "client", "v3", "devices", device];
        let identity = Identity::Device(&self.user);
        let request = self.client.request(Method::DELETE, &path, identity)?;
        let request = request.json(&json!({})).build()?;
        self.client.answer(request, Tries::Few).await.map(drop)
    }

    /// The keys of somebody's devices and identity, as the homeserver tells them.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn keys_of(&self, user: &UserId) -> Result<Value, MatrixError> {
        let path = ["_matrix", "client", "v3", "keys", "query"];
        let identity = Identity::Device(&self.user);
        let request = self.client.request(Method::POST, &path, identity)?;
        let asked = json!({ "device_keys": { user.as_str(): [] } });
        let request = request.json(&asked).build()?;
        let answer = self.client.answer(request, Tries::Few).await?;
        serde_json::from_slice(answer.body())
            .map_err(|error| MatrixError::Unreadable(error.to_string()))
    }

    /// Sets the account's display name.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn set_display_name(&self, name: &str) -> Result<(), MatrixError> {
        let value = ProfileFieldValue::DisplayName(name.to_owned());
        let request = set_profile_field::v3::Request::new(self.user.clone(), value);
        self.call(request).await.map(drop)
    }

    /// Sets the address of the account's picture; none removes it.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn set_avatar(&self, uri: Option<&str>) -> Result<(), MatrixError> {
        let value = json!({ "avatar_url": uri.unwrap_or_default() });
        let path = profile_path(&self.user, Some("avatar_url"));
        let identity = Identity::Device(&self.user);
        self.client.put_json(&path, identity, &value).await
    }

    /// Sets a field of the account's profile that has no meaning for the specification; whether the homeserver keeps such.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn set_profile_field(&self, name: &str, value: &Value) -> Result<bool, MatrixError> {
        let path = profile_path(&self.user, Some(name));
        let identity = Identity::Device(&self.user);
        let body = json!({ name: value });
        match self.client.put_json(&path, identity, &body).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::debug!(%error, field = name, "the homeserver keeps no such field of a profile");
                Ok(false)
            }
        }
    }

    /// Display name and picture of somebody; both `None` if there is no such user, or it is not shown to this account.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn profile_of(
        &self,
        user: &UserId,
    ) -> Result<(Option<String>, Option<String>), MatrixError> {
        let identity = Identity::Device(&self.user);
        match self.client.json(&profile_path(user, None), identity).await {
            Ok(profile) => {
                let avatar = profile["avatar_url"].as_str();
                let avatar = avatar.filter(|uri| !uri.is_empty()).map(str::to_owned);
                Ok((named(&profile), avatar))
            }
            Err(error) if error.is_closed() => Ok((None, None)),
            Err(error) => Err(error),
        }
    }

    /// Shows this account as being there, or as having gone away.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn presence(&self, online: bool) -> Result<(), MatrixError> {
        let state = if online {
            PresenceState::Online
        } else {
            PresenceState::Offline
        };
        let request = set_presence::v3::Request::new(self.user.clone(), state);
        self.call(request).await.map(drop)
    }

    /// The display name in somebody's profile; `None` if there is none, no such user, or it is not shown to this account.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn display_name_of(&self, user: &UserId) -> Result<Option<String>, MatrixError> {
        let path = profile_path(user, Some("displayname"));
        let identity = Identity::Device(&self.user);
        match self.client.json(&path, identity).await {
            Ok(profile) => Ok(named(&profile)),
            Err(error) if error.is_closed() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What somebody is called in a room: the name they have there, else the one in their profile.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn display_name_in(
        &self,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<String>, MatrixError> {
        let member = match self.state(room, "m.room.member", user.as_str()).await {
            Err(error) if error.is_closed() => None,
            other => other?,
        };
        match member.as_ref().and_then(named) {
            Some(name) => Ok(Some(name)),
            None => self.display_name_of(user).await,
        }
    }

    /// Who the homeserver takes this account for.
    ///
    /// # Errors
    /// What the homeserver said: an account that is not registered, a token it does not know.
    pub async fn whoami(&self) -> Result<OwnedUserId, MatrixError> {
        let answer = self
            .client
            .call(
                whoami::v3::Request::new(),
                Identity::User(&self.user),
                Tries::Few,
            )
            .await?;
        Ok(answer.user_id)
    }
}

/// Where somebody's profile is, or one field of it.
fn profile_path<'a>(user: &'a UserId, field: Option<&'a str>) -> Vec<&'a str> {
    let whole = ["_matrix", "client", "v3", "profile", user.as_str()];
    whole.into_iter().chain(field).collect()
}

/// The display name in a profile or a membership.
fn named(content: &Value) -> Option<String> {
    let name = content["displayname"].as_str()?;
    (!name.trim().is_empty()).then(|| name.to_owned())
}
