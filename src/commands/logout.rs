//! `logout` and `logout-user`: what ends with a login, and what is left.

use ruma::{OwnedUserId, UserId};

use super::{
    Reply,
    call::Call,
    conversation::{Closing, Ending, Question},
    say_store,
};
use crate::{
    bridge::Bridge,
    domain::PortalKey,
    network::NetworkError,
    store::{LoginRow, PortalRow, PortalSettings},
};

/// Asks whether the user's enlistment at a gatekeeper is to be deleted.
pub(super) async fn log_out(call: &Call<'_>) -> Reply {
    let mut logins = call.logins().await?;
    if let Some(named) = &call.arguments.gatekeeper {
        logins.retain(|login| login.gatekeeper == *named);
        if logins.is_empty() {
            return Err(format!("You are not logged in at {}.", call.name(named)));
        }
    }
    let login = match logins.as_slice() {
        [] => return Err("You are not logged in anywhere.".to_owned()),
        [login] => login,
        [first, ..] => {
            return Err(format!(
                "Say where you want to log out, such as `logout {}`.",
                first.gatekeeper
            ));
        }
    };
    let ending = ending(call.bridge, login).await?;
    let name = call.name(&login.gatekeeper);
    let lost = format!(
        "To log out of {name} deletes your account there and your keys. {}. What was said stays in the rooms and with your contacts; to write to you at {name} will not be possible any more.",
        rooms(&ending)
    );
    let question = Question::LogOut {
        of: call.said.sender.clone(),
        endings: vec![ending],
    };
    call.confirm(question, &lost).await
}

/// Asks whether somebody else's logins are to be ended.
pub(super) async fn log_out_user(call: &Call<'_>) -> Reply {
    let user = call
        .arguments
        .user
        .clone()
        .unwrap_or_else(|| call.said.sender.clone());
    let mut logins = logins_of(call.bridge, &user).await?;
    if let Some(named) = &call.arguments.gatekeeper {
        logins.retain(|login| login.gatekeeper == *named);
    }
    if logins.is_empty() {
        return Err(format!(
            "`{user}` is not logged in there. Write `list-users` for who is."
        ));
    }
    let (mut endings, mut lost) = (Vec::new(), Vec::new());
    for login in &logins {
        let ending = ending(call.bridge, login).await?;
        lost.push(format!(
            "- {}: {}",
            call.name(&login.gatekeeper),
            rooms(&ending)
        ));
        endings.push(ending);
    }
    let lost = format!(
        "To log out `{user}` deletes these accounts and their keys:\n\n{}",
        lost.join("\n")
    );
    call.confirm(Question::LogOut { of: user, endings }, &lost)
        .await
}

async fn logins_of(bridge: &Bridge, user: &OwnedUserId) -> Result<Vec<LoginRow>, String> {
    let mxid = user.to_string();
    bridge
        .database()
        .read(move |txn| {
            let mxid = mxid.clone();
            Box::pin(async move { txn.logins_of(&mxid).await })
        })
        .await
        .map_err(|error| say_store(&error))
}

fn rooms(ending: &Ending) -> String {
    match ending.chats.len() + ending.groups.len() {
        0 => "No room ends with it".to_owned(),
        1 => "The room of one chat ends with it".to_owned(),
        several => format!("The rooms of {several} chats end with it"),
    }
}

/// What ends with a login.
async fn ending(bridge: &Bridge, login: &LoginRow) -> Result<Ending, String> {
    let (id, gatekeeper) = (login.id, login.gatekeeper.clone());
    let (chats, groups) = bridge
        .database()
        .read(move |txn| {
            let gatekeeper = gatekeeper.clone();
            Box::pin(async move {
                let chats = txn.portals_of(id).await?;
                let mut groups = Vec::new();
                for portal in txn.portals().await? {
                    if portal.key.login.is_some() || portal.key.gatekeeper != gatekeeper {
                        continue;
                    }
                    let logins = txn.group_logins(&gatekeeper, &portal.key.chat).await?;
                    if logins.iter().any(|one| one.id == id) && logins.len() == 1 {
                        groups.push(portal.id);
                    }
                }
                Ok((chats, groups))
            })
        })
        .await
        .map_err(|error| say_store(&error))?;
    let closing = |portal: PortalRow| Closing {
        portal: portal.id,
        chat: portal.key.chat,
        room_id: portal.room_id,
    };
    Ok(Ending {
        login: id,
        gatekeeper: login.gatekeeper.clone(),
        chats: chats.into_iter().map(closing).collect(),
        groups,
    })
}

/// Ends logins.
pub(super) async fn end(bridge: &Bridge, by: &UserId, of: &UserId, endings: &[Ending]) -> Reply {
    let (whose, logout) = if by == of {
        ("You are", "logout".to_owned())
    } else {
        ("They are", format!("logout-user {of}"))
    };
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for ending in endings {
        let name = bridge.gatekeeper_name(&ending.gatekeeper);
        match end_one(bridge, ending).await {
            Ok(()) => done.push(name),
            Err(error) => refused.push(format!(
                "{name} did not confirm the deletion: {error}. Nothing is carried any more; write `{logout} {} confirm` to finish it.",
                ending.gatekeeper
            )),
        }
    }
    if done.is_empty() {
        return Err(refused.join("\n\n"));
    }
    let mut text = format!(
        "{whose} logged out of {}: the account there and its keys are deleted. What is left: the rooms with what was said in them, which carry nothing any more; what the contacts received; and the contacts' users at the homeserver.",
        done.join(" and ")
    );
    for refusal in refused {
        text.push_str("\n\n");
        text.push_str(&refusal);
    }
    Ok(text)
}

async fn end_one(bridge: &Bridge, ending: &Ending) -> Result<(), NetworkError> {
    let network = bridge
        .network(&ending.gatekeeper)
        .map_err(|error| NetworkError::Unreachable(error.to_string()))?;
    match network.log_out(ending.login).await {
        // A try before this one ended it.
        Ok(()) | Err(NetworkError::NoSuchLogin) => {}
        Err(error) => return Err(error),
    }
    bridge.forget_login(ending.login);
    let rows: Vec<PortalRow> = ending
        .chats
        .iter()
        .map(|closing| row_of(ending, closing))
        .collect();
    bridge.close_rooms(&rows).await;
    for group in &ending.groups {
        if let Err(error) = bridge.delete_portal(*group).await {
            tracing::warn!(portal = %group, %error, "the room of a group without logins could not be given up");
        }
    }
    Ok(())
}

/// A portal as it was before its login was deleted.
fn row_of(ending: &Ending, closing: &Closing) -> PortalRow {
    PortalRow {
        id: closing.portal,
        key: PortalKey {
            gatekeeper: ending.gatekeeper.clone(),
            chat: closing.chat.clone(),
            login: Some(ending.login),
        },
        room_id: closing.room_id.clone(),
        ready: true,
        settings: PortalSettings::default(),
        relay: None,
        linked: false,
    }
}
