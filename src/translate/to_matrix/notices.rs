//! Sentences in the place of what cannot be shown: what it was, what it means, what to do.

use serde_json::json;

use super::{MatrixContext, MatrixEvent, MediaAtMatrix, bridge_notice};
use crate::{
    domain::{IncomingContent, MediaKind, duration},
    translate::{clean_name, clean_text, text::shortened},
};

/// The longest text a gatekeeper itself says, in characters.
const MAX_NOTICE: usize = 4_000;

/// A notice.
pub(super) fn notice(body: &str) -> Vec<MatrixEvent> {
    vec![MatrixEvent::message(bridge_notice(body, None))]
}

/// What the sender is called in a sentence.
pub(super) fn sender(about: &MatrixContext) -> String {
    named(&about.sender, "The contact")
}

fn named(name: &str, otherwise: &str) -> String {
    let name = clean_name(name);
    if name.is_empty() {
        otherwise.to_owned()
    } else {
        name
    }
}

/// The notice of a message that has no form of its own.
pub(super) fn of(content: &IncomingContent, about: &MatrixContext) -> Vec<MatrixEvent> {
    let who = sender(about);
    let body = match content {
        IncomingContent::Undecryptable => "This message could not be decrypted yet. It was asked for again and will appear here when it comes.".to_owned(),
        IncomingContent::IdentityChanged => "The security code of this contact changed. That happens when they get a new phone or install the app again; if it matters, ask them in person whether it was them.".to_owned(),
        IncomingContent::Unsupported { kind } => {
            let kind = shortened(&clean_name(kind), 60);
            format!("A message of a kind the bridge does not carry arrived ({kind}). Open the app to see it.")
        }
        IncomingContent::Timer { seconds: 0 } => {
            format!("{who} turned disappearing messages off. New messages stay.")
        }
        IncomingContent::Timer { seconds } => format!(
            "{who} turned disappearing messages on. New messages disappear {} after they were sent.",
            duration(*seconds)
        ),
        IncomingContent::Call { video, missed } => call(&who, *video, *missed),
        IncomingContent::GatekeeperNotice { text } => {
            let text = shortened(clean_text(text).trim(), MAX_NOTICE);
            format!("{} says: {text}", named(&about.gatekeeper, "The service"))
        }
        _ => return Vec::new(),
    };
    about.related(vec![
        json!({ "msgtype": "m.notice", "body": body, "m.mentions": {} }),
    ])
}

fn call(who: &str, video: bool, missed: bool) -> String {
    let kind = if video { "video" } else { "voice" };
    if missed {
        format!(
            "{who} tried to reach you with a {kind} call. Calls cannot be taken or made here; call back from the app."
        )
    } else {
        format!(
            "{who} is calling you ({kind} call). Calls cannot be taken here; answer in the app, or write to them."
        )
    }
}

/// The sentence in the place of a file.
pub(super) fn missing_file(
    kind: MediaKind,
    missing: Option<&MediaAtMatrix>,
    about: &MatrixContext,
) -> String {
    let who = sender(about);
    let what = kind.noun();
    match missing {
        Some(MediaAtMatrix::AskedAgain) => format!(
            "{who} sent {what}, but the server does not have it any more. It was asked for again and will appear here when it comes."
        ),
        Some(MediaAtMatrix::Withheld) => format!(
            "{who} sent {what} that is to be seen once only. It is not shown here; open the app to see it."
        ),
        Some(MediaAtMatrix::Lost(why)) => {
            let why = clean_text(why);
            let why = why.trim().trim_end_matches('.');
            format!(
                "{who} sent {what} that could not be fetched: {why}. Open the app to get it, or ask for it to be sent again."
            )
        }
        Some(MediaAtMatrix::Uploaded { .. }) | None => format!(
            "{who} sent {what}, but the message does not say in full where it is. Open the app to get it, or ask for it to be sent again."
        ),
    }
}
