//! `status`, `list-users`, `list-all-logins`.

use std::{collections::BTreeMap, fmt::Write as _};

use super::super::{Reply, call::Call, logins::describe, say_store};
use crate::{
    network::ConnectionState,
    store::{LoginRow, LoginState},
};

/// How many events in quarantine are counted.
const COUNTED: i64 = 1000;

/// So many of something.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

async fn logins(call: &Call<'_>) -> Result<Vec<LoginRow>, String> {
    let mut logins = call
        .bridge
        .database()
        .read(|txn| Box::pin(async move { txn.logins().await }))
        .await
        .map_err(|error| say_store(&error))?;
    if let Some(gatekeeper) = &call.arguments.gatekeeper {
        logins.retain(|login| login.gatekeeper == *gatekeeper);
    }
    logins.sort_by(|a, b| (&a.mxid, &a.gatekeeper).cmp(&(&b.mxid, &b.gatekeeper)));
    Ok(logins)
}

/// Everybody with a login.
pub(in crate::commands) async fn list_users(call: &Call<'_>) -> Reply {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for login in logins(call).await? {
        let name = call.name(&login.gatekeeper).to_owned();
        users.entry(login.mxid).or_default().push(name);
    }
    if users.is_empty() {
        return Ok("Nobody is logged in.".to_owned());
    }
    let mut text = match users.len() {
        1 => "One user is logged in:\n".to_owned(),
        several => format!("{several} users are logged in:\n"),
    };
    for (user, places) in users {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n- `{user}`: {}", places.join(", "));
    }
    Ok(text)
}

/// Every login.
pub(in crate::commands) async fn list_logins(call: &Call<'_>) -> Reply {
    let logins = logins(call).await?;
    if logins.is_empty() {
        return Ok("Nobody is logged in there.".to_owned());
    }
    let mut text = format!("{}:\n", counted(logins.len(), "login"));
    for login in &logins {
        let _ = write!(
            text,
            "\n- `{}` at {}: {} (login {})",
            login.mxid,
            call.name(&login.gatekeeper),
            describe(call.bridge, login),
            login.id
        );
    }
    Ok(text)
}

/// What the store holds.
struct Counts {
    portals: usize,
    rooms: usize,
    rooms_waiting: usize,
    chats_waiting: usize,
    stanzas: i64,
    set_aside: usize,
}

async fn counts(call: &Call<'_>) -> Result<Counts, String> {
    call.bridge
        .database()
        .read(|txn| {
            Box::pin(async move {
                let mut stanzas = 0;
                for login in txn.logins().await? {
                    stanzas += txn.queue_length(login.id).await?;
                }
                Ok(Counts {
                    portals: txn.portals().await?.len(),
                    rooms: txn.portal_rooms().await?.len(),
                    rooms_waiting: txn.waiting_rooms().await?.len(),
                    chats_waiting: txn.waiting_chats().await?.len(),
                    stanzas,
                    set_aside: txn.quarantined_events(COUNTED).await?.len(),
                })
            })
        })
        .await
        .map_err(|error| say_store(&error))
}

/// How many logins and rooms there are, and what waits.
pub(in crate::commands) async fn status(call: &Call<'_>) -> Reply {
    let logins = logins(call).await?;
    let broken = logins.iter().filter(|login| is_broken(call, login)).count();
    let counts = counts(call).await?;
    let word = if broken == 0 {
        "The bridge works."
    } else {
        "The bridge works, but not every login does; `list-all-logins` tells which."
    };
    Ok(format!(
        "{word}\n\n- version {}\n- {}, {broken} of them not connected\n- {} with {}\n- waiting: {} and {} with messages, {} for the gatekeepers\n- {} set aside{}",
        env!("CARGO_PKG_VERSION"),
        counted(logins.len(), "login"),
        counted(counts.portals, "chat"),
        counted(counts.rooms, "room"),
        // The room this is written in waits for the answer.
        counted(counts.rooms_waiting.saturating_sub(1), "room"),
        counted(counts.chats_waiting, "chat"),
        counted(
            usize::try_from(counts.stanzas).unwrap_or_default(),
            "message"
        ),
        counted(counts.set_aside, "event"),
        if counts.set_aside == 0 {
            ""
        } else {
            "; `quarantine` shows them"
        },
    ))
}

fn is_broken(call: &Call<'_>, login: &LoginRow) -> bool {
    if login.state != LoginState::Active {
        return true;
    }
    let Ok(network) = call.bridge.network(&login.gatekeeper) else {
        return true;
    };
    matches!(
        network.connection(login.id),
        ConnectionState::Waiting { .. } | ConnectionState::Failed { .. }
    )
}
