//! `login`, `logout`, `list-logins`, `ping`.

use std::fmt::Write as _;

use ruma::UserId;

use super::{chosen, logins_of, network_of};
use crate::{
    bridge::Bridge,
    network::ConnectionState,
    store::{LoginRow, LoginState},
};

/// Enlists the user at a gatekeeper.
pub(super) async fn log_in(bridge: &Bridge, user: &UserId, name: &str) -> Result<String, String> {
    let network = chosen(bridge, name)?;
    let gatekeeper = bridge.gatekeeper_name(network.id());
    let there = logins_of(bridge, user).await?;
    let active = there
        .iter()
        .any(|login| login.gatekeeper == *network.id() && login.state == LoginState::Active);
    if active {
        return Ok(format!(
            "You are logged in at {gatekeeper} already. Write `start-chat <phone>` to write to somebody."
        ));
    }
    match network.log_in(user.as_str()).await {
        Ok(_) => Ok(format!(
            "You are now logged in at {gatekeeper} as `{user}`. Write `start-chat <phone>` to write to somebody; who writes to you appears by themselves."
        )),
        Err(error) => Err(format!(
            "The login at {gatekeeper} did not work: {error}. Nothing is lost; write `login {}` to try again.",
            network.id()
        )),
    }
}

/// Deletes the user's enlistment at a gatekeeper.
pub(super) async fn log_out(bridge: &Bridge, user: &UserId, name: &str) -> Result<String, String> {
    let logins = logins_of(bridge, user).await?;
    let chosen_id = if name.is_empty() && logins.len() == 1 {
        logins[0].gatekeeper.clone()
    } else {
        chosen(bridge, name)?.id().clone()
    };
    let gatekeeper = bridge.gatekeeper_name(&chosen_id);
    let Some(login) = logins.iter().find(|login| login.gatekeeper == chosen_id) else {
        return Err(format!("You are not logged in at {gatekeeper}."));
    };
    let Some(network) = network_of(bridge, &chosen_id) else {
        return Err(format!("{gatekeeper} is not configured any more."));
    };
    let rooms = bridge.rooms_of(login.id).await.unwrap_or_default();
    match network.log_out(login.id).await {
        Ok(()) => {
            bridge.forget_login(login.id);
            bridge.close_rooms(&rooms).await;
            Ok(format!(
                "You are logged out of {gatekeeper}: your account there and your keys are deleted. The rooms of your chats stay with you, but carry nothing any more."
            ))
        }
        Err(error) => Err(format!(
            "{gatekeeper} did not confirm the deletion: {error}. Nothing is carried any more; write `logout {chosen_id}` to finish it."
        )),
    }
}

/// What the user is logged in to.
pub(super) async fn list(bridge: &Bridge, user: &UserId) -> Result<String, String> {
    let logins = logins_of(bridge, user).await?;
    if logins.is_empty() {
        return Ok("You are not logged in anywhere. Write `login` to connect.".to_owned());
    }
    let mut text = String::from("You are logged in to:\n\n");
    for login in &logins {
        let _ = writeln!(
            text,
            "- {}: {}",
            bridge.gatekeeper_name(&login.gatekeeper),
            describe(bridge, login)
        );
    }
    Ok(text)
}

/// Whether the way to each gatekeeper works.
pub(super) async fn ping(bridge: &Bridge, user: &UserId) -> Result<String, String> {
    let logins = logins_of(bridge, user).await?;
    if logins.is_empty() {
        return Ok(
            "The bridge is here. You are not logged in anywhere; write `login` to connect."
                .to_owned(),
        );
    }
    let mut text = String::from("The bridge is here.\n\n");
    for login in &logins {
        let _ = writeln!(
            text,
            "- {}: {}",
            bridge.gatekeeper_name(&login.gatekeeper),
            describe(bridge, login)
        );
    }
    Ok(text)
}

fn describe(bridge: &Bridge, login: &LoginRow) -> String {
    match login.state {
        LoginState::Enlisting => {
            return "the login was not finished; write `login` to go on".to_owned();
        }
        LoginState::Unenlisted => {
            return "the gatekeeper forgot the account; it is made again at the next connection"
                .to_owned();
        }
        LoginState::LoggedOut => {
            return "the logout was not finished; write `logout` to go on".to_owned();
        }
        LoginState::Active => {}
    }
    let Some(network) = network_of(bridge, &login.gatekeeper) else {
        return "not configured any more".to_owned();
    };
    match network.connection(login.id) {
        ConnectionState::Idle => "ready, connects when there is something to do".to_owned(),
        ConnectionState::Connecting => "connecting".to_owned(),
        ConnectionState::Connected => "connected".to_owned(),
        ConnectionState::Waiting { reason, .. } => {
            format!("not connected ({reason}), trying again soon")
        }
        ConnectionState::Failed { reason } => format!("not connected: {reason}"),
    }
}
