//! What is done to earlier messages: edits, deletions, reactions.

use serde_json::Value;

use super::{
    NetworkContext, Part, PartContent, Target, media,
    text::{mentions_room, pieces, said, text_parts},
};
use crate::{
    domain::{
        GroupRole, MediaKind, MessageContext, MessageRef, OutgoingContent, Quote, StanzaId,
        Timestamp, Unbridgeable, duration,
    },
    translate::{clean_text, event::RoomEvent, markup::Formatted},
};

/// The longest reaction, in characters: the longest emoji has 10, and a word is no reaction.
const MAX_REACTION: usize = 32;

/// The parts of an edit: the new text for the message where that can be, else a new message that says so.
pub(super) fn edit(
    event: &RoomEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let new = Some(&event.content["m.new_content"]).filter(|new| new.is_object());
    let new = new.unwrap_or(&event.content);
    match new["msgtype"].as_str().unwrap_or_default() {
        "m.text" | "m.notice" | "m.emote" => {
            let text = said(new);
            if text.is_blank() {
                return Err(context.not_sent(
                    "empty",
                    "the edited message has no text. Delete the message instead",
                ));
            }
            Ok(edited_text(text, new, event.sent_at, context))
        }
        "m.image" | "m.video" | "m.audio" | "m.file" => {
            edited_caption(new, event.sent_at, context)
        }
        _ => Err(context.not_sent(
            "unsupported_event",
            "this kind of message cannot be changed there, it stays as it was. Send it again instead",
        )),
    }
}

fn edited_text(
    text: Formatted,
    new: &Value,
    now: Timestamp,
    context: &NetworkContext<'_>,
) -> Vec<Part> {
    let Some(ids) = editable(now, context) else {
        return marked_as_edit(text, new, context);
    };
    let may_delete = is_within(now, context, context.capabilities.delete_seconds);
    let pieces = pieces(&text, context);
    let left_over = ids.iter().skip(pieces.len()).map(|id| {
        Part::plain(if may_delete {
            revoke_own(id)
        } else {
            edit_of(id, "…".to_owned(), None)
        })
    });
    let left_over: Vec<Part> = left_over.collect();
    let mut parts: Vec<Part> = Vec::new();
    for (at, (body, mentions)) in pieces.into_iter().enumerate() {
        let content = match ids.get(at) {
            Some(id) => edit_of(id, body, None),
            None => OutgoingContent::Text {
                body,
                preview: None,
            },
        };
        parts.push(Part {
            content: PartContent::Ready(content),
            context: MessageContext {
                mentions,
                mentions_room: at == 0 && mentions_room(new),
                ..MessageContext::default()
            },
        });
    }
    parts.extend(left_over);
    parts
}

/// An edited caption. One that was sent as a text behind its file is that text.
fn edited_caption(
    new: &Value,
    now: Timestamp,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let (kind, is_under_file) = media::kind_of(new, context)?;
    let caption = media::caption(new);
    let id = editable(now, context).and_then(|ids| {
        let mut ids = ids.into_iter();
        if is_under_file {
            ids.next()
        } else {
            // Behind the file; before it there may be a quote.
            ids.skip(1).next_back()
        }
    });
    let caption_of = is_under_file.then_some(kind);
    match (id, caption) {
        (Some(id), Some(caption)) => {
            let mut pieces = pieces(&caption, context).into_iter();
            let (body, mentions) = pieces.next().unwrap_or_default();
            let mut parts = vec![Part {
                content: PartContent::Ready(edit_of(&id, body, caption_of)),
                context: MessageContext {
                    mentions,
                    ..MessageContext::default()
                },
            }];
            parts.extend(pieces.map(|(body, _)| {
                Part::plain(OutgoingContent::Text {
                    body,
                    preview: None,
                })
            }));
            Ok(parts)
        }
        (Some(id), None) if is_under_file => {
            Ok(vec![Part::plain(edit_of(&id, String::new(), caption_of))])
        }
        (Some(id), None) => Ok(vec![Part::plain(revoke_own(&id))]),
        (None, Some(caption)) => Ok(marked_as_edit(caption, new, context)),
        (None, None) => Err(context.not_sent(
            "unsupported_event",
            "the file cannot be changed there, it stays as it was. Delete it and send it again instead",
        )),
    }
}

fn revoke_own(id: &StanzaId) -> OutgoingContent {
    OutgoingContent::Revoke {
        target: MessageRef {
            id: id.clone(),
            sender: None,
        },
    }
}

fn edit_of(id: &StanzaId, body: String, caption_of: Option<MediaKind>) -> OutgoingContent {
    OutgoingContent::Edit {
        target: id.clone(),
        body,
        caption_of,
    }
}

/// The new text as a message of its own that points at the old one.
fn marked_as_edit(text: Formatted, new: &Value, context: &NetworkContext<'_>) -> Vec<Part> {
    let mut parts = text_parts(text.led_by("(edited) "), new, context);
    if let Some(first) = parts.first_mut()
        && let Target::Message { parts: old, .. } = &context.target
        && context.capabilities.replies
    {
        first.context.quote = old.first().map(|message| Quote {
            message: message.clone(),
            text: None,
        });
    }
    parts
}

/// The messages an edit changes, if it can change them.
fn editable(now: Timestamp, context: &NetworkContext<'_>) -> Option<Vec<StanzaId>> {
    let Target::Message { parts, .. } = &context.target else {
        return None;
    };
    is_within(now, context, context.capabilities.edit_seconds)
        .then(|| own(parts))
        .flatten()
}

/// The ids of a message's parts, if they are the login's own.
fn own(parts: &[MessageRef]) -> Option<Vec<StanzaId>> {
    parts
        .iter()
        .map(|part| part.sender.is_none().then(|| part.id.clone()))
        .collect()
}

/// Whether the message an event is about is not older than so many seconds, which are none where it cannot be changed at all.
fn is_within(now: Timestamp, context: &NetworkContext<'_>, seconds: u64) -> bool {
    let Target::Message { sent_at, .. } = &context.target else {
        return false;
    };
    let age = now.0.saturating_sub(sent_at.0);
    let limit = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    seconds > 0 && age <= limit
}

/// The parts of a deletion. What the other side never had needs none.
pub(super) fn redaction(
    event: &RoomEvent,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let parts = match &context.target {
        Target::Unknown => return Ok(Vec::new()),
        Target::Reaction(message) => {
            return Ok(vec![Part::plain(OutgoingContent::Reaction {
                target: message.clone(),
                emoji: String::new(),
            })]);
        }
        Target::Message { parts, .. } => parts,
    };
    let refused = |reason, why: &str| {
        Err(Unbridgeable {
            reason,
            notice: Some(format!("Not deleted at {}: {why}.", context.gatekeeper)),
        })
    };
    let for_admins = context.capabilities.admin_deletes && context.role.is_some();
    let is_admin = for_admins && context.role >= Some(GroupRole::Admin);
    if own(parts).is_none() && !is_admin {
        return refused(
            "not_own",
            if for_admins {
                "only who wrote a message and the admins of the group can delete it there. It is gone here alone; ask one of them to delete it"
            } else {
                "only who wrote a message can delete it there. It is gone here alone; ask them to delete it"
            },
        );
    }
    let limit = context.capabilities.delete_seconds;
    if limit == 0 {
        return refused(
            "unsupported_event",
            "messages cannot be deleted there. It is gone here alone; ask the other side to delete it for themselves",
        );
    }
    if !is_within(event.sent_at, context, limit) {
        let limit = duration(u32::try_from(limit).unwrap_or(u32::MAX));
        return refused(
            "too_old",
            &format!(
                "messages older than {limit} stay there. It is gone here alone; ask the other side to delete it for themselves"
            ),
        );
    }
    let revoke = |target| Part::plain(OutgoingContent::Revoke { target });
    Ok(parts.iter().cloned().map(revoke).collect())
}

/// The reaction an event gives.
pub(super) fn reaction(
    content: &Value,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let key = content["m.relates_to"]["key"].as_str().unwrap_or_default();
    if key.trim().is_empty() {
        return Ok(Vec::new());
    }
    if !context.capabilities.reactions {
        return Err(context.not_sent(
            "reaction",
            "there are no reactions there. Say it in a text message instead",
        ));
    }
    let Target::Message { parts, .. } = &context.target else {
        return Err(context.not_sent(
            "unknown_target",
            "the message you reacted to is not known there. Say it in a text message instead",
        ));
    };
    let emoji = reaction_text(key, content).ok_or_else(|| {
        context.not_sent(
            "reaction",
            "a picture without a name cannot be a reaction there. React with an emoji instead",
        )
    })?;
    let reactions = parts.iter().take(1).map(|target| {
        Part::plain(OutgoingContent::Reaction {
            target: target.clone(),
            emoji: emoji.clone(),
        })
    });
    Ok(reactions.collect())
}

/// A reaction as text: a custom emoji, which is a picture, by its name.
fn reaction_text(key: &str, content: &Value) -> Option<String> {
    let text = if key.starts_with("mxc://") {
        ["com.beeper.reaction.shortcode", "shortcode"]
            .iter()
            .find_map(|name| content[name].as_str())
            .map(|name| format!(":{}:", name.trim_matches(':')))
            .filter(|name| name.len() > 2)?
    } else {
        // The other side writes emoji without this selector.
        key.replace('\u{fe0f}', "")
    };
    let text = clean_text(&text);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(MAX_REACTION).collect();
    (!short.is_empty()).then_some(short)
}
