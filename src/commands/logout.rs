//! `logout` and `logout-user`: what ends with a login, and what is left.

use ruma::{OwnedUserId, UserId};

use super::{
    Reply,
    call::Call,
    conversation::{Ending, Question},
    say_store,
};
use crate::{bridge::Bridge, network::NetworkError, store::LoginRow};

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
    let name = call.name(&login.gatekeeper);
    let lost = format!(
        "To log out of {name} deletes your account there and your keys. {}. What was said stays in the rooms and with your contacts; to write to you at {name} will not be possible any more.",
        rooms(call.bridge, login).await?
    );
    let question = Question::LogOut {
        of: call.said.sender.clone(),
        endings: vec![ending(login)],
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
        let rooms = rooms(call.bridge, login).await?;
        lost.push(format!("- {}: {rooms}", call.name(&login.gatekeeper)));
        endings.push(ending(login));
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

fn ending(login: &LoginRow) -> Ending {
    Ending {
        login: login.id,
        gatekeeper: login.gatekeeper.clone(),
    }
}

/// What ends with a login, in words.
async fn rooms(bridge: &Bridge, login: &LoginRow) -> Result<String, String> {
    Ok(match count_rooms(bridge, login).await? {
        0 => "No room ends with it".to_owned(),
        1 => "The room of one chat ends with it".to_owned(),
        several => format!("The rooms of {several} chats end with it"),
    })
}

/// How many chats have a room for this login alone.
pub(super) async fn count_rooms(bridge: &Bridge, login: &LoginRow) -> Result<usize, String> {
    let (id, gatekeeper) = (login.id, login.gatekeeper.clone());
    bridge
        .database()
        .read(move |txn| {
            let gatekeeper = gatekeeper.clone();
            Box::pin(async move {
                let mut rooms = 0;
                for portal in txn.portals().await? {
                    if portal.key.gatekeeper != gatekeeper || portal.room_id.is_none() {
                        continue;
                    }
                    let is_alone = if let Some(login) = portal.key.login {
                        login == id
                    } else {
                        let logins = txn.group_logins(&gatekeeper, &portal.key.chat).await?;
                        logins.len() == 1 && logins[0].id == id
                    };
                    rooms += usize::from(is_alone);
                }
                Ok(rooms)
            })
        })
        .await
        .map_err(|error| say_store(&error))
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
    let rooms = bridge
        .rooms_of(ending.login)
        .await
        .map_err(|error| NetworkError::Unreachable(error.to_string()))?;
    match network.log_out(ending.login).await {
        // A try before this one ended it.
        Ok(()) | Err(NetworkError::NoSuchLogin) => {}
        Err(error) => return Err(error),
    }
    bridge.forget_login(ending.login);
    bridge.close_rooms(&rooms).await;
    Ok(())
}
