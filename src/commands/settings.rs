//! `chat-settings`: what is decided for one chat alone.

use ruma::RoomId;

use super::{
    Reply, arguments,
    call::{Call, failed},
    whom,
};
use crate::{
    bridge::Bridge,
    domain::{ChatId, LoginId, duration},
    store::{PortalRow, PortalSettings},
};

const USAGE: &str = "Say which chat, what, and how: `chat-settings +49 155 5550001 receipts off`. What: `receipts`, `typing` and `presence`, each `on`, `off` or `default`; `timer`, such as `1d`, or `off`. Without them the chat's settings are shown. In the room of a chat you need not say which.";

/// Shows or changes what is decided for a chat.
pub(super) async fn change(call: &Call<'_>) -> Reply {
    let bridge = call.bridge;
    let (chat, what) = split(&call.arguments.text);
    if chat.is_empty() && call.said.here.is_none() {
        return Err(USAGE.to_owned());
    }
    let (login, portal) = find(call, chat).await?;
    let Some((what, how)) = what else {
        return Ok(show(bridge, &portal.settings));
    };
    if what == "timer" {
        return set_timer(call, login, &portal, how).await;
    }
    let (what, decision) = (what.to_owned(), decision(how)?);
    let change = move |settings: &mut PortalSettings| match what.as_str() {
        "receipts" => settings.receipts = decision,
        "typing" => settings.typing = decision,
        _ => settings.presence = decision,
    };
    let settings = bridge
        .decide(login, &portal, change)
        .await
        .map_err(|error| format!("It was not changed: {error}. Try again in a minute."))?;
    Ok(show(bridge, &settings))
}

/// The chat, and what is to be changed if the last two words say so.
fn split(words: &str) -> (&str, Option<(&str, &str)>) {
    let is_what = |what: &str| ["receipts", "typing", "presence", "timer"].contains(&what);
    let Some((rest, how)) = words.trim().rsplit_once(char::is_whitespace) else {
        return (words, None);
    };
    let rest = rest.trim_end();
    match rest.rsplit_once(char::is_whitespace) {
        Some((chat, what)) if is_what(what) => (chat.trim(), Some((what, how))),
        None if is_what(rest) => ("", Some((rest, how))),
        _ => (words, None),
    }
}

async fn find(call: &Call<'_>, chat: &str) -> Result<(LoginId, PortalRow), String> {
    let bridge = call.bridge;
    let user = &call.said.sender;
    let room = if chat.starts_with('!') {
        Some(RoomId::parse(chat).map_err(|error| format!("That is no room: {error}."))?)
    } else {
        call.said.here.clone().filter(|_| chat.is_empty())
    };
    let found = if let Some(room) = room {
        bridge.chat_in(user, &room).await.map_err(|e| failed(&e))?
    } else {
        let (word, rest) = chat.split_once(char::is_whitespace).unwrap_or((chat, ""));
        let named = arguments::named(word, &call.gatekeepers);
        let (login, who) = match named {
            Some(gatekeeper) => (whom::login_at(call, &gatekeeper).await?, rest.trim()),
            None => (whom::login(call).await?, chat),
        };
        let remote = whom::address(call, &login.gatekeeper, who)?;
        let portal = bridge
            .portal_of_chat(login.id, &ChatId::direct(&remote))
            .await;
        let portal = portal.map_err(|error| failed(&error))?;
        portal.map(|portal| (login.id, portal))
    };
    found.ok_or_else(|| {
        "You have no such chat. Write `start-chat` with the phone number to begin one.".to_owned()
    })
}

fn decision(how: &str) -> Result<Option<bool>, String> {
    match how {
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        "default" => Ok(None),
        _ => Err(format!("`{how}` is neither `on`, `off` nor `default`.")),
    }
}

fn show(bridge: &Bridge, settings: &PortalSettings) -> String {
    let usual = &bridge.settings().conversation;
    let line = |what: &str, here: Option<bool>, usual: bool| {
        let word = |on| if on { "on" } else { "off" };
        match here {
            Some(on) => format!("- {what}: {}", word(on)),
            None => format!("- {what}: {} (default)", word(usual)),
        }
    };
    let timer = settings.expires_after.map_or_else(
        || "- timer: off".to_owned(),
        |seconds| format!("- timer: {}", duration(seconds)),
    );
    [
        "In this chat:\n".to_owned(),
        line("receipts", settings.receipts, usual.receipts),
        line("typing", settings.typing, usual.typing),
        line("presence", settings.presence, usual.presence),
        timer,
    ]
    .join("\n")
}

async fn set_timer(call: &Call<'_>, login: LoginId, portal: &PortalRow, how: &str) -> Reply {
    let bridge = call.bridge;
    let network = bridge
        .network(&portal.key.gatekeeper)
        .map_err(|error| error.to_string())?;
    let timers = &network.capabilities().timers;
    let gatekeeper = bridge.gatekeeper_name(&portal.key.gatekeeper);
    if timers.is_empty() {
        return Err(format!("{gatekeeper} has no disappearing messages."));
    }
    let seconds = seconds(how).ok_or_else(|| {
        format!("`{how}` is no time. Write a number with `s`, `m`, `h` or `d`, or `off`.")
    })?;
    if seconds > 0 && !timers.contains(&seconds) {
        let taken: Vec<String> = timers.iter().map(|seconds| duration(*seconds)).collect();
        return Err(format!("{gatekeeper} takes only: {}.", taken.join(", ")));
    }
    let set = bridge
        .set_timer(login, &portal.key.chat, seconds, &call.said.event_id)
        .await
        .map_err(|error| format!("The timer was not set: {error}. Try again in a minute."))?;
    if !set {
        return Err(format!(
            "The timer was not set: it could not be said to {gatekeeper}. The room tells why."
        ));
    }
    Ok(match seconds {
        0 => "New messages of this chat stay.".to_owned(),
        _ => format!(
            "New messages of this chat disappear after {}.",
            duration(seconds)
        ),
    })
}

/// `90s`, `15m`, `24h`, `7d`, or `off`.
fn seconds(text: &str) -> Option<u32> {
    if text == "off" {
        return Some(0);
    }
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_words_say_what_is_changed() {
        assert_eq!(
            split("whatsapp +49 155 5550001 receipts off"),
            ("whatsapp +49 155 5550001", Some(("receipts", "off")))
        );
        assert_eq!(split("+49 155 5550001"), ("+49 155 5550001", None));
        assert_eq!(split("receipts off"), ("", Some(("receipts", "off"))));
        assert_eq!(split(""), ("", None));
    }

    #[test]
    fn reads_times() {
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("off"), Some(0));
        assert_eq!(seconds("0d"), None);
        assert_eq!(seconds("99999999999d"), None);
        assert_eq!(seconds("é"), None);
    }
}
