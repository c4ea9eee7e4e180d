//! Polls: started, voted in, ended.

use serde_json::Value;

use super::{
    super::{
        clean_text,
        event::{AsRoomEvent, extensible_text},
        markup,
        text::shortened,
    },
    NetworkContext, Part, PartContent, Target,
    text::{foreign_quote, mentions_room, plain_parts, text_parts},
};
use crate::domain::{MessageContext, OutgoingContent, Poll, Quote, Unbridgeable};

/// The longest question and option, in characters.
const MAX_TEXT: usize = 255;
/// The most options that are read (MSC3381).
const MAX_OPTIONS: usize = 20;

/// A poll as its event has it.
struct Read {
    question: String,
    /// Answer ids and texts; each text is there once.
    options: Vec<(String, String)>,
    selectable: u32,
}

/// The options of the poll an event starts, as [`KnownPoll`](super::KnownPoll) wants them: each answer's id and the text it has
/// on the other side. `None` if the event starts no poll.
#[must_use]
pub fn poll_options(event: &impl AsRoomEvent) -> Option<Vec<(String, String)>> {
    read(&event.as_room_event().content).map(|poll| poll.options)
}

fn read(content: &Value) -> Option<Read> {
    let poll = ["m.poll", "m.poll.start", "org.matrix.msc3381.poll.start"]
        .iter()
        .map(|key| &content[key])
        .find(|poll| poll.is_object())?;
    let question = said(&poll["question"])?;
    let mut options: Vec<(String, String)> = Vec::new();
    for answer in poll["answers"].as_array()?.iter().take(MAX_OPTIONS) {
        let id = answer["m.id"].as_str().or_else(|| answer["id"].as_str())?;
        let text = said(answer)?;
        let twin = |text: &str| options.iter().any(|(_, other)| other == text);
        let distinct = (1..=MAX_OPTIONS)
            .map(|nth| match nth {
                1 => text.clone(),
                nth => format!("{text} ({nth})"),
            })
            .find(|text| !twin(text))?;
        options.push((id.to_owned(), distinct));
    }
    let selectable = poll["max_selections"].as_u64().unwrap_or(1).max(1);
    let is_any = usize::try_from(selectable).is_ok_and(|most| most >= options.len());
    Some(Read {
        question,
        selectable: if is_any && options.len() > 1 {
            0
        } else {
            u32::try_from(selectable).unwrap_or_default()
        },
        options,
    })
}

fn said(of: &Value) -> Option<String> {
    let text = extensible_text(of).or_else(|| of["body"].as_str())?;
    let text = clean_text(text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| shortened(&text, MAX_TEXT))
}

/// The parts of an event that starts a poll. One with more options than are taken becomes a text.
pub(super) fn start(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let Some(poll) = read(content).filter(|poll| !poll.options.is_empty()) else {
        return Err(context.not_sent(
            "malformed",
            "the poll has no question or no options. Make it again",
        ));
    };
    if !(2..=context.capabilities.poll_options).contains(&poll.options.len()) {
        let numbered = poll.options.iter().zip(1..);
        let lines = numbered.map(|((_, text), number)| format!("{number}) {text}"));
        let lines: Vec<String> = std::iter::once(poll.question).chain(lines).collect();
        let poll = markup::from_plain(&lines.join("\n"), &[]).led_by("📊 ");
        return Ok(text_parts(poll, content, context));
    }
    let quote = foreign_quote(context).map(|quote| plain_parts(&quote, context));
    let part = Part {
        content: PartContent::Ready(OutgoingContent::Poll(Poll {
            question: poll.question,
            options: poll.options.into_iter().map(|(_, text)| text).collect(),
            selectable: poll.selectable,
            secret: Some(context.random),
        })),
        context: MessageContext {
            quote: context.quote(),
            mentions_room: mentions_room(content),
            ..MessageContext::default()
        },
    };
    Ok(quote.into_iter().flatten().chain([part]).collect())
}

/// The vote an event casts. Answers the poll does not have are left out; a vote without any is taken back.
pub(super) fn response(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let Some(poll) = &context.poll else {
        return Err(context.not_sent(
            "unknown_target",
            "the poll is not known there, so the vote was not counted. Vote in the app, or ask for a new poll",
        ));
    };
    let Some(secret) = poll.secret else {
        return Err(context.not_sent(
            "unsupported_event",
            "votes in this poll cannot be cast from here, so the vote was not counted. Vote in the app",
        ));
    };
    let chosen = content["m.selections"].as_array().or_else(|| {
        ["m.poll.response", "org.matrix.msc3381.poll.response"]
            .iter()
            .find_map(|key| content[key]["answers"].as_array())
    });
    let mut choices: Vec<String> = Vec::new();
    for id in chosen.into_iter().flatten() {
        let option = poll
            .options
            .iter()
            .find(|(known, _)| id.as_str() == Some(known));
        if let Some((_, text)) = option
            && !choices.contains(text)
        {
            choices.push(text.clone());
        }
    }
    Ok(vec![Part::plain(OutgoingContent::PollVote {
        poll: poll.message.clone(),
        secret,
        choices,
    })])
}

/// The end of a poll: a text that answers it, as polls cannot be ended on the other side.
pub(super) fn end(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let poll = match (&context.poll, &context.target) {
        (Some(poll), _) => Some(poll.message.clone()),
        (None, Target::Message { parts, .. }) => parts.first().cloned(),
        _ => None,
    };
    let Some(message) = poll else {
        return Err(context.not_sent(
            "unknown_target",
            "the poll that ended is not known there. Tell its result in a text message instead",
        ));
    };
    let text = extensible_text(content)
        .or_else(|| content["body"].as_str())
        .filter(|text| !text.trim().is_empty())
        .unwrap_or("The poll has ended.");
    let mut parts = plain_parts(&markup::from_plain(text, &[]), context);
    if let Some(first) = parts.first_mut()
        && context.capabilities.replies
    {
        first.context.quote = Some(Quote {
            message,
            text: None,
        });
    }
    Ok(parts)
}
