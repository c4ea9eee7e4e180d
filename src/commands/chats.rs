//! `start-chat`, and who is meant by what somebody types.

use std::sync::Arc;

use ruma::UserId;

use super::{chosen, logins_of, names};
use crate::{
    bridge::Bridge,
    domain::{ChatId, LoginId, RemoteUserId},
    network::Network,
    store::LoginState,
};

/// Opens a room for a chat with a phone number or id, at the gatekeeper named first or at the only one there is a login for.
pub(super) async fn start(bridge: &Bridge, user: &UserId, words: &str) -> Result<String, String> {
    let (login, remote) = whom(bridge, user, words).await?;
    let chat = ChatId::direct(&remote);
    let room = bridge.open_chat(login, &chat).await.map_err(|error| {
        format!(
            "The room could not be made: {error}. Write the same again to go on where it stopped."
        )
    })?;
    Ok(format!(
        "The chat is in this room: [{room}](https://matrix.to/#/{room}). You are invited."
    ))
}

/// The login and the person that are meant by a gatekeeper, which may be left out, and a phone number or id.
pub(super) async fn whom(
    bridge: &Bridge,
    user: &UserId,
    words: &str,
) -> Result<(LoginId, RemoteUserId), String> {
    let (network, who) = target(bridge, user, words).await?;
    let gatekeeper = bridge.gatekeeper_name(network.id());
    if who.is_empty() {
        return Err("Say with whom: `start-chat +49 155 5550001`.".to_owned());
    }
    let login = bridge
        .login_for(user, network.id())
        .await
        .map_err(|error| format!("{error}. Try again in a minute."))?
        .ok_or_else(|| {
            format!(
                "You are not logged in at {gatekeeper}. Write `login {}` first.",
                network.id()
            )
        })?;
    let remote = network
        .resolve(login, who)
        .await
        .map_err(|error| format!("{error}."))?;
    Ok((login, remote))
}

async fn target<'a, 'w>(
    bridge: &'a Bridge,
    user: &UserId,
    words: &'w str,
) -> Result<(&'a Arc<dyn Network>, &'w str), String> {
    if let Some((first, rest)) = words.split_once(char::is_whitespace)
        && let Ok(network) = chosen(bridge, first)
    {
        return Ok((network, rest.trim()));
    }
    if let Ok(only) = chosen(bridge, "") {
        return Ok((only, words));
    }
    let logins = logins_of(bridge, user).await?;
    let mut active = logins
        .iter()
        .filter(|login| login.state == LoginState::Active);
    match (active.next(), active.next()) {
        (Some(only), None) => Ok((chosen(bridge, only.gatekeeper.as_str())?, words)),
        (None, _) => Err("You are not logged in anywhere. Write `login` first.".to_owned()),
        (Some(_), Some(_)) => Err(format!(
            "Say where, as in `start-chat whatsapp +49 155 5550001`: {}.",
            names(bridge)
        )),
    }
}
