//! `login` and what comes after it: `relogin`, `list-logins`, `ping`, `set-preferred-login`, `set-name`, `set-management-room`.

use std::fmt::Write as _;

use ruma::UserId;

use super::{
    Reply,
    arguments::ids,
    call::{Call, failed},
    conversation::{Question, set_value},
    whom,
};
use crate::{
    bridge::Bridge,
    domain::GatekeeperId,
    network::ConnectionState,
    store::{LoginRow, LoginState},
};

/// Begins a login: at which gatekeeper, then the terms if they were not accepted yet, then the enlistment.
pub(super) async fn log_in(call: &Call<'_>) -> Reply {
    let user = &call.said.sender;
    let logins = call.logins().await?;
    let is_at = |gatekeeper: &GatekeeperId| {
        logins
            .iter()
            .any(|login| login.gatekeeper == *gatekeeper && login.state == LoginState::Active)
    };
    let gatekeeper = match (&call.arguments.gatekeeper, call.gatekeepers.as_slice()) {
        (Some(named), _) => named.clone(),
        (None, [(only, _)]) => only.clone(),
        (None, []) => {
            return Err(
                "No gatekeeper is configured; add one to `gatekeepers` in the configuration."
                    .to_owned(),
            );
        }
        (None, several) => {
            let left: Vec<_> = several.iter().filter(|(id, _)| !is_at(id)).collect();
            match left.as_slice() {
                [] => {
                    return Ok(format!(
                        "You are logged in everywhere already: {}. Write `list-logins` for more.",
                        ids(several)
                    ));
                }
                [(only, _)] => only.clone(),
                _ => return ask_where(call, &left).await,
            }
        }
    };
    let name = call.name(&gatekeeper);
    if is_at(&gatekeeper) {
        return Ok(format!(
            "You are logged in at {name} already. Write `start-chat {gatekeeper} <phone>` to write to somebody, or `relogin {gatekeeper}` if it does not work."
        ));
    }
    let Some(terms) = call.bridge.terms() else {
        return enlist(call.bridge, user, &gatekeeper).await;
    };
    let (version, text) = (terms.version, terms.text);
    let accepted = call.bridge.has_accepted(user, &version).await;
    if accepted.map_err(|error| failed(&error))? {
        return enlist(call.bridge, user, &gatekeeper).await;
    }
    let identifier = call
        .network(&gatekeeper)?
        .visible_id(user.as_str())
        .map_err(|error| format!("{error}."))?;
    let prompt = format!(
        "At {name} you will be known as `{identifier}`. Write `accept` to log in, or `cancel`. By that you agree to this:\n\n{text}"
    );
    let question = Question::Terms {
        gatekeeper,
        version,
    };
    call.ask(question, prompt).await
}

async fn ask_where(call: &Call<'_>, left: &[&(GatekeeperId, String)]) -> Reply {
    let mut prompt =
        String::from("Where do you want to log in? Write one of these, or `cancel`:\n");
    for (id, name) in left {
        // Writing to a string cannot fail.
        let _ = write!(prompt, "\n- `{id}` ({name})");
    }
    call.ask(Question::Gatekeeper, prompt).await
}

/// Goes on with a login once the terms are accepted.
pub(super) async fn accepted(
    bridge: &Bridge,
    user: &UserId,
    gatekeeper: &GatekeeperId,
    version: &str,
) -> Reply {
    let done = bridge.accept_terms(user, version).await;
    done.map_err(|error| failed(&error))?;
    enlist(bridge, user, gatekeeper).await
}

/// Enlists a user at a gatekeeper, or goes on where that was interrupted.
async fn enlist(bridge: &Bridge, user: &UserId, gatekeeper: &GatekeeperId) -> Reply {
    let network = bridge.network(gatekeeper).map_err(|e| failed(&e))?;
    let name = bridge.gatekeeper_name(gatekeeper);
    match network.log_in(user.as_str()).await {
        Ok(login) => {
            let row = bridge
                .database()
                .read(move |txn| Box::pin(async move { txn.login(login).await }))
                .await;
            // One made when the template was another one keeps its identifier.
            let identifier = match row {
                Ok(Some(row)) => row.visible_id,
                _ => user.to_string(),
            };
            Ok(format!(
                "You are now logged in at {name} as `{identifier}`. Write `start-chat {gatekeeper} <phone>` to write to somebody; who writes to you appears by themselves."
            ))
        }
        Err(error) => Err(format!(
            "The login at {name} did not work: {error}. Nothing is lost; write `login {gatekeeper}` to try again."
        )),
    }
}

/// Brings back a login that does not work any more.
pub(super) async fn log_in_again(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let network = call.network(&login.gatekeeper)?;
    let name = call.name(&login.gatekeeper);
    match network.log_in(call.said.sender.as_str()).await {
        Ok(_) => match network.connection(login.id) {
            ConnectionState::Waiting { reason, .. } => Err(format!(
                "The login at {name} does not work for now: {reason}. It is tried again and again; nothing is lost meanwhile."
            )),
            state => Ok(format!(
                "The login at {name} works: {}.",
                connection(&state)
            )),
        },
        Err(error) => Err(format!(
            "The login at {name} does not work: {error}. Nothing is lost; write `relogin {}` to try again.",
            login.gatekeeper
        )),
    }
}

/// What the user is logged in to.
pub(super) async fn list(call: &Call<'_>) -> Reply {
    let logins = call.logins().await?;
    if logins.is_empty() {
        return Ok("You are not logged in anywhere. Write `login` to connect.".to_owned());
    }
    let preferred = whom::preferred(call.bridge, &call.said.sender).await?;
    let mut text = String::from("You are logged in to:\n\n");
    for login in &logins {
        let mark = match &preferred {
            Some(preferred) if *preferred == login.gatekeeper => ", preferred",
            _ => "",
        };
        let _ = writeln!(
            text,
            "- {}: {} (as `{}`{mark})",
            call.name(&login.gatekeeper),
            describe(call.bridge, login),
            login.visible_id
        );
    }
    Ok(text)
}

/// Whether the way to each gatekeeper works.
pub(super) async fn ping(call: &Call<'_>) -> Reply {
    let logins = call.logins().await?;
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
            call.name(&login.gatekeeper),
            describe(call.bridge, login)
        );
    }
    Ok(text)
}

/// How a login is.
pub(super) fn describe(bridge: &Bridge, login: &LoginRow) -> String {
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
    match bridge.network(&login.gatekeeper) {
        Ok(network) => connection(&network.connection(login.id)),
        Err(_) => "not configured any more".to_owned(),
    }
}

fn connection(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Idle => "ready, connects when there is something to do".to_owned(),
        ConnectionState::Connecting => "connecting".to_owned(),
        ConnectionState::Connected => "connected".to_owned(),
        ConnectionState::Waiting { reason, .. } => {
            format!("not connected ({reason}), trying again soon")
        }
        ConnectionState::Failed { reason } => format!("not connected: {reason}"),
    }
}

/// Chooses the gatekeeper that is meant where a command names none.
pub(super) async fn prefer(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let key = whom::preferred_key(&call.said.sender);
    let gatekeeper = login.gatekeeper.to_string();
    set_value(call.bridge, key, gatekeeper).await?;
    Ok(format!(
        "{} is meant now where a command names no gatekeeper.",
        call.name(&login.gatekeeper)
    ))
}

/// Tells a gatekeeper what the user is called.
pub(super) async fn set_name(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let name = &call.arguments.text;
    if name.chars().count() > 100 {
        return Err("That name is too long: at most 100 characters.".to_owned());
    }
    let chosen = call.bridge.choose_name(login.id, name).await;
    chosen.map_err(|error| failed(&error))?;
    Ok(format!(
        "Your contacts at {} see your new name from now on.",
        call.name(&login.gatekeeper)
    ))
}

/// Makes the room the user's management room.
pub(super) async fn set_management_room(call: &Call<'_>) -> Reply {
    let Some(room) = &call.said.here else {
        return Ok("This is your management room already.".to_owned());
    };
    let portals = call.bridge.portals_in(room).await.map_err(|e| failed(&e))?;
    if !portals.is_empty() {
        return Err(
            "This room mirrors a chat. Write it in a room with nobody but you and me.".to_owned(),
        );
    }
    let members = call.bridge.bot().members(room).await.map_err(|error| {
        format!("It cannot be seen who is in this room: {error}. Try again in a minute.")
    })?;
    let bot = call.bridge.bot();
    let is_other = |user: &ruma::OwnedUserId| *user != call.said.sender && user != bot.user_id();
    if members.iter().any(is_other) {
        return Err(
            "Others are in this room and would read what is private. Write it in a room with nobody but you and me."
                .to_owned(),
        );
    }
    let made = call.bridge.make_management_room(&call.said.sender, room);
    made.await.map_err(|error| failed(&error))?;
    Ok("This is now your management room. Write `help` for everything I understand.".to_owned())
}
