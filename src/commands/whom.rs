//! Which login, person or chat is meant by what somebody wrote.

use ruma::UserId;

use super::{
    arguments::ids,
    call::{Call, failed},
    conversation::value,
};
use crate::{
    bridge::Bridge,
    domain::{ChatId, GatekeeperId, RemoteUserId},
    network::NetworkError,
    store::{LoginRow, LoginState},
};

/// Where it is kept which gatekeeper somebody prefers.
pub(super) fn preferred_key(user: &UserId) -> String {
    format!("preferred/{user}")
}

/// The gatekeeper that is meant where a command names none.
pub(super) async fn preferred(
    bridge: &Bridge,
    user: &UserId,
) -> Result<Option<GatekeeperId>, String> {
    let value = value(bridge, preferred_key(user)).await?;
    Ok(value.and_then(|id| GatekeeperId::parse(id).ok()))
}

/// The login that is meant: at the gatekeeper named, else of the room the command is written in, else the only one, else the
/// preferred one.
pub(super) async fn login(call: &Call<'_>) -> Result<LoginRow, String> {
    if let Some(named) = &call.arguments.gatekeeper {
        return login_at(call, named).await;
    }
    let mut logins = usable(call).await?;
    if let Some(room) = call.room_if_any() {
        let its = call
            .bridge
            .chat_in(&call.said.sender, &room)
            .await
            .map_err(|error| failed(&error))?;
        if let Some((login, _)) = its
            && let Some(its) = logins.iter().find(|row| row.id == login)
        {
            return Ok(its.clone());
        }
    }
    if logins.is_empty() {
        return Err("You are not logged in anywhere. Write `login` first.".to_owned());
    }
    if logins.len() == 1 {
        return Ok(logins.remove(0));
    }
    let preferred = preferred(call.bridge, &call.said.sender).await?;
    if let Some(its) = preferred.and_then(|preferred| at(logins.clone(), &preferred)) {
        return Ok(its);
    }
    Err(format!(
        "Say where: {}, as in `{}`. Or choose one for good: `set-preferred-login {}`.",
        ids(&call.gatekeepers),
        with_gatekeeper(call, &logins[0].gatekeeper),
        logins[0].gatekeeper
    ))
}

/// The user's logins, but for those that are being ended.
async fn usable(call: &Call<'_>) -> Result<Vec<LoginRow>, String> {
    let mut logins = call.logins().await?;
    logins.retain(|login| login.state != LoginState::LoggedOut);
    Ok(logins)
}

/// The user's login at a gatekeeper.
pub(super) async fn login_at(
    call: &Call<'_>,
    gatekeeper: &GatekeeperId,
) -> Result<LoginRow, String> {
    at(usable(call).await?, gatekeeper).ok_or_else(|| {
        format!(
            "You are not logged in at {}. Write `login {gatekeeper}` first.",
            call.name(gatekeeper)
        )
    })
}

fn with_gatekeeper(call: &Call<'_>, gatekeeper: &GatekeeperId) -> String {
    let text = &call.arguments.text;
    format!("{} {gatekeeper} {text}", call.entry.name)
        .trim_end()
        .to_owned()
}

/// The login at a gatekeeper.
fn at(logins: Vec<LoginRow>, gatekeeper: &GatekeeperId) -> Option<LoginRow> {
    logins
        .into_iter()
        .find(|login| login.gatekeeper == *gatekeeper)
}

/// The logins that are meant: the one at the gatekeeper named, or all of them.
pub(super) async fn all_logins(call: &Call<'_>) -> Result<Vec<LoginRow>, String> {
    if call.arguments.gatekeeper.is_some() {
        return Ok(vec![login(call).await?]);
    }
    let logins = usable(call).await?;
    if logins.is_empty() {
        return Err("You are not logged in anywhere. Write `login` first.".to_owned());
    }
    Ok(logins)
}

/// The person that a phone number or id means; nobody is asked.
pub(super) fn address(
    call: &Call<'_>,
    gatekeeper: &GatekeeperId,
    text: &str,
) -> Result<RemoteUserId, String> {
    let network = call.network(gatekeeper)?;
    network.address(text).map_err(|error| format!("{error}."))
}

/// The person that is meant: by a phone number or id, or the contact of the room.
pub(super) async fn person(call: &Call<'_>) -> Result<(LoginRow, RemoteUserId), String> {
    let login = login(call).await?;
    if !call.arguments.text.is_empty() {
        let person = address(call, &login.gatekeeper, &call.arguments.text)?;
        return Ok((login, person));
    }
    let contact = match call.room_if_any() {
        None => None,
        Some(room) => {
            let portals = call.bridge.portals_in(&room).await;
            let portals = portals.map_err(|error| failed(&error))?;
            let its = portals.iter().find(|p| p.key.login == Some(login.id));
            its.and_then(|portal| portal.key.chat.direct_user())
        }
    };
    match contact {
        Some(contact) => Ok((login, contact)),
        None => Err(format!(
            "Say whom, as in `{}`, or write it in the room of your chat with them.",
            call.entry.example
        )),
    }
}

/// The chat that is meant: a group by its id, or the direct chat with a person, who is asked for at the gatekeeper.
pub(super) async fn chat(call: &Call<'_>, login: &LoginRow, text: &str) -> Result<ChatId, String> {
    if let Ok(chat) = ChatId::parse(text)
        && chat.is_group()
    {
        return Ok(chat);
    }
    let network = call.network(&login.gatekeeper)?;
    let gatekeeper = call.name(&login.gatekeeper);
    match network.resolve(login.id, text).await {
        Ok(person) => Ok(ChatId::direct(&person)),
        Err(NetworkError::NotReachable) => Err(format!(
            "They take no messages of other apps at {gatekeeper}. Write `request-reachability {} {text}` to ask them to.",
            login.gatekeeper
        )),
        Err(error) if error.is_transient() => Err(format!("{error}. Try again in a minute.")),
        Err(error) => Err(format!("{error}.")),
    }
}
