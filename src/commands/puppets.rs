//! Accounts of one's own on either side: `login-matrix`, `claim-account`, and what takes them back.

use super::{
    Reply,
    call::{Call, failed},
    say_store, whom,
};
use crate::domain::{GatekeeperId, RemoteUserId};

/// How to get an access token.
const HOW: &str = "\
With an access token of yours, what you do in other programs appears as you and not as somebody else.

Make a new session for it: log in to your account in a second client or a private browser window (in Element: *All settings*, *Help & About*, *Access Token*). Copy the token and close the window without logging out: a logout ends the token.

Then write `login-matrix <access token>` here. I take your message out of this room at once.";

/// Lets the bridge act as the user.
pub(super) async fn log_in(call: &Call<'_>) -> Reply {
    let token = call.arguments.text.as_str();
    if token.is_empty() {
        return Ok(HOW.to_owned());
    }
    let hidden = call
        .bridge
        .hide_message(&call.said.answered_in, &call.said.event_id)
        .await
        .map_err(|error| failed(&error))?;
    let warning = if hidden {
        ""
    } else {
        "\n\nDelete your message with the token: I may not do so in this room."
    };
    if token.contains(char::is_whitespace) {
        return Err(format!(
            "That is no access token: it is one word. Write `login-matrix` alone for how to get one.{warning}"
        ));
    }
    match call.bridge.log_in_puppet(&call.said.sender, token).await {
        Ok(()) => Ok(format!(
            "What you do in other programs appears as you from now on. `logout-matrix` takes it back.{warning}"
        )),
        Err(error) => Err(format!(
            "The token was not taken: {error}.\n\nWrite `login-matrix` alone for how to get one.{warning}"
        )),
    }
}

/// Lets the bridge act as the user no more.
pub(super) async fn log_out(call: &Call<'_>) -> Reply {
    let done = call.bridge.log_out_puppet(&call.said.sender).await;
    done.map_err(|error| failed(&error))?;
    Ok(
        "Your token is forgotten here. End its session in your client, too: it works until then."
            .to_owned(),
    )
}

/// Whether the bridge can act as the user.
pub(super) async fn ping(call: &Call<'_>) -> Reply {
    let kind = call.bridge.puppet_kind(&call.said.sender).await;
    Ok(match kind.map_err(|error| failed(&error))? {
        Some(by) => format!("What you do in other programs appears as you ({by})."),
        None => {
            "What you do in other programs does not appear as you. Write `login-matrix` for how to change that."
                .to_owned()
        }
    })
}

/// Begins the proof that an account at a gatekeeper is the user's own.
pub(super) async fn claim(call: &Call<'_>) -> Reply {
    let (login, person) = whom::person(call).await?;
    let name = call.name(&login.gatekeeper);
    if owned(call)
        .await?
        .contains(&(login.gatekeeper.clone(), person.clone()))
    {
        return Ok(format!("That account at {name} is known as yours already."));
    }
    let code = call
        .bridge
        .claim_account(&call.said.sender, &login.gatekeeper, &person)
        .await
        .map_err(|error| failed(&error))?;
    Ok(format!(
        "To show that the account is yours, write from it at {name}, to your login there (`{}`):\n\n`{code}`\n\nUntil that arrives nothing changes.",
        login.visible_id
    ))
}

/// Says that an account is not the user's own any more.
pub(super) async fn unclaim(call: &Call<'_>) -> Reply {
    let mut own = owned(call).await?;
    if let Some(named) = &call.arguments.gatekeeper {
        own.retain(|(gatekeeper, _)| gatekeeper == named);
    }
    let text = &call.arguments.text;
    if !text.is_empty() {
        own.retain(|(gatekeeper, person)| {
            whom::address(call, gatekeeper, text).is_ok_and(|meant| meant == *person)
        });
    }
    match own.as_slice() {
        [] => Err("No such account is known as yours.".to_owned()),
        [(gatekeeper, person)] => {
            let taken = call
                .bridge
                .unclaim(&call.said.sender, gatekeeper, person)
                .await;
            taken.map_err(|error| failed(&error))?;
            Ok(format!(
                "`{person}` at {} is shown as somebody else from now on.",
                call.name(gatekeeper)
            ))
        }
        several => {
            let several: Vec<String> = several
                .iter()
                .map(|(gatekeeper, person)| format!("`unclaim-account {gatekeeper} {person}`"))
                .collect();
            Err(format!("Say which: {}.", several.join(", ")))
        }
    }
}

/// The accounts known as the user's.
async fn owned(call: &Call<'_>) -> Result<Vec<(GatekeeperId, RemoteUserId)>, String> {
    let mxid = call.said.sender.to_string();
    call.bridge
        .database()
        .read(move |txn| {
            let mxid = mxid.clone();
            Box::pin(async move { txn.own_accounts(&mxid).await })
        })
        .await
        .map_err(|error| say_store(&error))
}
