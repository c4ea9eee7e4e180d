//! People: pictures, names, who is blocked, who is asked to be reachable.

use super::Gatekeeper;
use crate::{
    domain::{ChatId, LoginId, Picture, Reachability, RemoteUserId},
    network::{NetworkError, interop::address_book},
};

fn missing<T>() -> Result<T, NetworkError> {
    Err(NetworkError::Refused("this is not there yet".to_owned()))
}

impl Gatekeeper {
    pub(super) fn address_of(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        let profile = &self.context.profile;
        let user = address_book::parse(input, &profile.user_server, profile.user_names)
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        RemoteUserId::parse(user.to_string())
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))
    }

    pub(super) async fn picture_of(
        &self,
        _login: LoginId,
        _of: &ChatId,
        _known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        missing()
    }

    pub(super) async fn change_picture(
        &self,
        _login: LoginId,
        _of: Option<&ChatId>,
        _jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        missing()
    }

    pub(super) fn tell_name(&self, _login: LoginId, _name: &str) {}

    pub(super) async fn change_block(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
        _block: bool,
    ) -> Result<(), NetworkError> {
        missing()
    }

    pub(super) async fn blocklist(
        &self,
        _login: LoginId,
    ) -> Result<Vec<RemoteUserId>, NetworkError> {
        missing()
    }

    pub(super) async fn request_reachability(
        &self,
        _login: LoginId,
        _user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError> {
        missing()
    }
}
