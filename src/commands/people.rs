//! People: found, listed, blocked, asked to be reachable.

use std::fmt::Write as _;

use super::{
    Reply,
    call::{Call, failed, link},
    registry::Verb,
    say_store, whom,
};
use crate::{bridge::Contact, domain::Reachability};

/// How many people one answer lists.
const LISTED: usize = 50;

/// Whether somebody can be written to.
pub(super) async fn resolve(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let text = &call.arguments.text;
    let chat = whom::chat(call, &login, text).await?;
    if chat.is_group() {
        return Err("That is a group. Write `create-portal` with it to open its room.".to_owned());
    }
    let contact = call.bridge.contact(login.id, text).await;
    let contact = contact.map_err(|error| format!("{error}."))?;
    let mut answer = format!(
        "{} can be written to at {}.",
        named(&contact),
        call.name(&contact.gatekeeper)
    );
    let _ = match &contact.room_id {
        Some(room) => write!(answer, " Your chat is in {}.", link(room)),
        None => write!(
            answer,
            " Write `start-chat {} {text}` to do so.",
            login.gatekeeper
        ),
    };
    Ok(answer)
}

/// The people the user knows, all of them or those searched for.
pub(super) async fn contacts(call: &Call<'_>) -> Reply {
    let text = Some(call.arguments.text.as_str()).filter(|text| !text.is_empty());
    let (mut found, mut places) = (Vec::new(), Vec::new());
    let limit = i64::try_from(LISTED + 1).unwrap_or(i64::MAX);
    for login in whom::all_logins(call).await? {
        let its = call.bridge.contacts(login.id, text, limit).await;
        found.extend(its.map_err(|error| failed(&error))?);
        places.push(call.name(&login.gatekeeper).to_owned());
    }
    let places = places.join(" and ");
    if found.is_empty() {
        return Ok(match call.entry.verb {
            Verb::Search => format!(
                "Nobody you know at {places} is called so. `resolve-identifier` finds others by phone number."
            ),
            _ => format!(
                "You have no contacts at {places} yet. Write `start-chat` with a phone number to begin."
            ),
        });
    }
    let more = found.len() > LISTED;
    found.truncate(LISTED);
    let mut answer = match call.entry.verb {
        Verb::Search => format!("Found at {places}:\n"),
        _ => format!("Your contacts at {places}:\n"),
    };
    for contact in &found {
        let _ = write!(answer, "\n- {}", named(contact));
        if let Some(room) = &contact.room_id {
            let _ = write!(answer, " in {}", link(room));
        }
    }
    if more {
        answer
            .push_str("\n\nThere are more; `search` finds them by a part of their name or number.");
    }
    Ok(answer)
}

/// Calls somebody otherwise than they call themselves, or as they do again.
pub(super) async fn name(call: &Call<'_>) -> Reply {
    let login = whom::login(call).await?;
    let Some((who, name)) = call.arguments.text.split_once(':') else {
        return Err(format!(
            "Write the name after a colon, such as `{}`; with none after it they are called as they call themselves.",
            call.entry.example
        ));
    };
    let person = whom::address(call, &login.gatekeeper, who.trim())?;
    let name = Some(name.trim()).filter(|name| !name.is_empty());
    let shown = call.bridge.name_contact(login.id, &person, name).await;
    let shown = shown.map_err(|error| failed(&error))?;
    Ok(format!("They are shown as {} now.", plain(&shown)))
}

fn named(contact: &Contact) -> String {
    let id = contact.phone.as_deref().unwrap_or(contact.user.as_str());
    format!(
        "[{}](https://matrix.to/#/{}) (`{id}`)",
        plain(&contact.name),
        contact.mxid
    )
}

/// A name that is nothing but text in Markdown: somebody chose it.
pub(super) fn plain(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_punctuation() {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Blocks somebody, or does so no more.
pub(super) async fn block(call: &Call<'_>, block: bool) -> Reply {
    let (login, person) = whom::person(call).await?;
    let name = call.name(&login.gatekeeper);
    let done = call.bridge.block(login.id, &person, block).await;
    done.map_err(|error| failed(&error))?;
    Ok(if block {
        format!(
            "They are blocked at {name}: nothing of theirs reaches you, and they are not told. `unblock` takes it back."
        )
    } else {
        format!("They are not blocked at {name} any more.")
    })
}

/// Whom the user has blocked.
pub(super) async fn list_blocked(call: &Call<'_>) -> Reply {
    let mut answer = String::new();
    for login in whom::all_logins(call).await? {
        let blocked = call.bridge.blocked_now(login.id).await;
        for person in blocked.map_err(|error| failed(&error))? {
            let name = call.name(&login.gatekeeper);
            let _ = write!(answer, "\n- {name}: `{person}`");
        }
    }
    Ok(if answer.is_empty() {
        "You have blocked nobody.".to_owned()
    } else {
        format!("You have blocked:\n{answer}\n\n`unblock` with one of them takes it back.")
    })
}

/// Asks somebody to take messages of other apps.
pub(super) async fn request(call: &Call<'_>) -> Reply {
    let (login, person) = whom::person(call).await?;
    let name = call.name(&login.gatekeeper);
    let asked = call.bridge.ask_reachability(login.id, &person).await;
    Ok(match asked.map_err(|error| failed(&error))? {
        Reachability::Asked => format!(
            "They are asked at {name}. You are told here what they say; until then nothing can be sent to them."
        ),
        Reachability::Accepted => format!(
            "They take messages of other apps. Write `start-chat {} {}` to write to them.",
            login.gatekeeper, call.arguments.text
        ),
        Reachability::Declined => {
            format!("They do not want messages of other apps at {name}.")
        }
    })
}

/// Whom the user has asked to take messages of other apps.
pub(super) async fn list_requests(call: &Call<'_>) -> Reply {
    let mut answer = String::new();
    for login in whom::all_logins(call).await? {
        let id = login.id;
        let rows = call
            .bridge
            .database()
            .read(move |txn| Box::pin(async move { txn.reachabilities(id).await }))
            .await
            .map_err(|error| say_store(&error))?;
        for row in rows {
            let said = match row.state {
                Reachability::Asked => "has not answered",
                Reachability::Accepted => "takes them",
                Reachability::Declined => "does not want them",
            };
            let name = call.name(&login.gatekeeper);
            let _ = write!(answer, "\n- {name}: `{}` {said}", row.user);
        }
    }
    Ok(if answer.is_empty() {
        "You have asked nobody. `request-reachability` with a phone number does.".to_owned()
    } else {
        format!("Whom you have asked to take messages of other apps:\n{answer}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_it_is() {
        let html = |text: &str| {
            let content =
                ruma::events::room::message::RoomMessageEventContent::notice_markdown(text);
            let value = serde_json::to_value(content).unwrap();
            value["formatted_body"].as_str().map(str::to_owned)
        };
        let shown = html(&format!("- {} there", plain("**Ann** [x](y) <b>&amp;"))).unwrap();
        assert!(
            shown.contains("**Ann** [x](y) &lt;b&gt;&amp;amp;"),
            "{shown}"
        );
    }
}
