//! Groups: asked for, made and changed.

use super::Gatekeeper;
use crate::{
    domain::{ChatId, Group, GroupChange, LoginId, RemoteUserId},
    network::NetworkError,
};

fn missing<T>() -> Result<T, NetworkError> {
    Err(NetworkError::Refused("groups are not there yet".to_owned()))
}

impl Gatekeeper {
    pub(super) async fn groups_of(
        &self,
        _login: LoginId,
    ) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        missing()
    }

    pub(super) async fn one_group(
        &self,
        _login: LoginId,
        _chat: &ChatId,
    ) -> Result<Group, NetworkError> {
        missing()
    }

    pub(super) async fn make_group(
        &self,
        _login: LoginId,
        _key: &str,
        _subject: &str,
        _members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError> {
        missing()
    }

    pub(super) async fn ask_group_change(
        &self,
        _login: LoginId,
        _chat: &ChatId,
        _change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError> {
        missing()
    }
}
