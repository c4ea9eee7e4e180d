//! `sudo` and `doin`: commands as somebody else, or in another room.

use super::super::{
    Reply,
    call::{Call, Said},
    dialogue, run, words,
};
use crate::config::Level;

/// Carries out a command as somebody else. What is asked is asked of them, so it is answered the same way.
pub(in crate::commands) async fn sudo(call: &Call<'_>) -> Reply {
    let user = call
        .arguments
        .user
        .clone()
        .unwrap_or_else(|| call.said.sender.clone());
    if call.bridge.level(&user) < Level::User {
        return Err(format!("`{user}` may not use this bridge."));
    }
    if nests(&call.arguments.text) {
        return Err("Write one of `sudo` and `doin`, not both.".to_owned());
    }
    let said = Said {
        sender: user.clone(),
        ..call.said.clone()
    };
    let as_them = |answer: String| format!("As `{user}`: {answer}");
    match dialogue::answer(call.bridge, &said, &call.arguments.text).await {
        Ok(answer) => Ok(as_them(answer)),
        Err(refusal) => Err(as_them(refusal)),
    }
}

/// Carries out a command as if it were written in another room.
pub(in crate::commands) async fn doin(call: &Call<'_>) -> Reply {
    let room = call.room()?;
    if nests(&call.arguments.text) {
        return Err("Write one of `sudo` and `doin`, not both.".to_owned());
    }
    let said = Said {
        here: Some(room),
        ..call.said.clone()
    };
    run(call.bridge, &said, &call.arguments.text).await
}

fn nests(line: &str) -> bool {
    matches!(words(line).0.as_str(), "sudo" | "doin")
}
