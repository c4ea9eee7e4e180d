//! Chats and groups: opened, made, shown, brought up to date.

use std::fmt::Write as _;

use super::{
    Reply,
    call::{Call, failed, link},
    say_store, whom,
};
use crate::store::{LoginRow, PortalRow};

/// Opens a room for a chat with a phone number or id.
pub(super) async fn start(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let chat = whom::chat(call, &login, &call.arguments.text).await?;
    open(call, &login, &chat).await
}

/// Opens the room of a chat or a group.
pub(super) async fn create_portal(call: &Call<'_>) -> Reply {
    start(call).await
}

async fn open(call: &Call<'_>, login: &LoginRow, chat: &crate::domain::ChatId) -> Reply {
    let room = call.bridge.open_chat(login.id, chat).await.map_err(|error| {
        format!(
            "The room could not be made: {error}. Write the same again to go on where it stopped."
        )
    })?;
    Ok(format!(
        "The chat is in this room: {}. You are invited.",
        link(&room)
    ))
}

/// The name of a new group and its people: `Hiking: +49 155 5550001, +49 155 5550002`.
fn group(text: &str) -> (&str, Vec<&str>) {
    let (name, people) = text.split_once(':').unwrap_or((text, ""));
    let people = people
        .split([',', ';'])
        .map(str::trim)
        .filter(|one| !one.is_empty());
    (name.trim(), people.collect())
}

/// Makes a group, out of the room the command is written in if it is.
pub(super) async fn create_group(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let (name, people) = group(&call.arguments.text);
    let here = call.said.here.as_deref();
    if name.is_empty() {
        return Err(format!(
            "Say what the group is called, as in `{}`.",
            call.entry.example
        ));
    }
    if people.is_empty() && here.is_none() {
        return Err(format!(
            "Say who is in the group, as in `{}`; or write it in a room whose members are to be in it.",
            call.entry.example
        ));
    }
    let mut members = Vec::with_capacity(people.len());
    for one in people {
        let member = whom::address(call, &login.gatekeeper, one)
            .map_err(|refusal| format!("`{}`: {refusal}", one.replace('`', "")))?;
        if !members.contains(&member) {
            members.push(member);
        }
    }
    let made = call
        .bridge
        .group_from(&call.said.sender, login.id, name, &members, here)
        .await;
    match made {
        Ok(room) => Ok(format!(
            "The group is made at {}: {}. Its members are changed in the room, as in any other.",
            call.name(&login.gatekeeper),
            link(&room)
        )),
        Err(error) => Err(format!("The group was not made: {error}.")),
    }
}

/// Which chats a room mirrors.
pub(super) async fn show_id(call: &Call<'_>) -> Reply {
    let (room, portals) = call.portals().await?;
    let mut text = format!("The room `{room}` mirrors:\n");
    for portal in &portals {
        let logins = logins_in(call, portal).await?;
        let whose: Vec<String> = logins.iter().map(|one| format!("`{}`", one.mxid)).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n- {} `{}` (portal {}): by the login of {}",
            call.name(&portal.key.gatekeeper),
            portal.key.chat,
            portal.id,
            if whose.is_empty() {
                "nobody".to_owned()
            } else {
                whose.join(", ")
            }
        );
        let relay = portal.relay.and_then(|relay| {
            let mut logins = logins.iter();
            logins.find(|login| login.id == relay)
        });
        if let Some(relay) = relay {
            let _ = write!(text, "; `{}` speaks for those without one", relay.mxid);
        }
        if portal.linked {
            text.push_str("; linked by hand");
        }
    }
    Ok(text)
}

/// The logins that are in the chat of a portal.
pub(super) async fn logins_in(
    call: &Call<'_>,
    portal: &PortalRow,
) -> Result<Vec<LoginRow>, String> {
    let key = portal.key.clone();
    call.bridge
        .database()
        .read(move |txn| {
            let key = key.clone();
            Box::pin(async move {
                match key.login {
                    Some(login) => Ok(txn.login(login).await?.into_iter().collect()),
                    None => txn.group_logins(&key.gatekeeper, &key.chat).await,
                }
            })
        })
        .await
        .map_err(|error| say_store(&error))
}

/// Brings a room up to date.
pub(super) async fn sync_portal(call: &Call<'_>) -> Reply {
    let (room, portals) = call.portals().await?;
    for portal in &portals {
        let done = call.bridge.sync_portal(portal.id).await;
        done.map_err(|error| failed(&error))?;
    }
    Ok(format!(
        "{} is up to date. Members of a large group may still come, a few at a time.",
        link(&room)
    ))
}

/// Changes the key of a room.
pub(super) async fn discard_keys(call: &Call<'_>) -> Reply {
    let (room, _) = call.portals().await?;
    let Some(cipher) = call.bridge.homeserver().cipher() else {
        return Err("Encrypted rooms are not bridged here (`encryption.allow`).".to_owned());
    };
    let discarded = cipher.discard_keys(&room).await;
    let discarded = discarded.map_err(|error| format!("The key could not be changed: {error}."))?;
    let room = link(&room);
    Ok(if discarded {
        format!(
            "What the bridge says next in {room} has a new key, which everybody's devices get. Old messages stay as they are."
        )
    } else {
        format!("Nothing was encrypted in {room} that the next message would share its key with.")
    })
}

/// Fetches all groups of the user.
pub(super) async fn sync_groups(call: &Call<'_>) -> Reply {
    let mut names = Vec::new();
    for login in whom::all_logins(call).await? {
        let done = call.bridge.sync_groups(login.id).await;
        done.map_err(|error| format!("{}: {}", call.name(&login.gatekeeper), failed(&error)))?;
        names.push(call.name(&login.gatekeeper).to_owned());
    }
    Ok(format!(
        "Your groups at {} are fetched. Their rooms follow, a few at a time.",
        names.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_and_people() {
        assert_eq!(
            group("Hiking : +49 155 5550001, +49 155 5550002,"),
            ("Hiking", vec!["+49 155 5550001", "+49 155 5550002"])
        );
        assert_eq!(group("Hiking"), ("Hiking", Vec::new()));
        assert_eq!(group(": +49 1"), ("", vec!["+49 1"]));
    }
}
