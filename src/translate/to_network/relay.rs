//! What a login says for somebody else: every part says whose words it is, and what one login has only once becomes a text.
//!
//! The templates are HTML; what is filled in is escaped, so a name can neither format nor end a sentence of its own.

use std::borrow::Cow;

use super::{super::markup, NetworkContext, Part, PartContent};
use crate::{
    domain::{MessageContext, MessageRef, OutgoingContent, Quote, Unbridgeable},
    translate::{clean_name, text::shortened},
};

/// The longest name that is said, in characters, with what tells it apart from others.
const MAX_NAME: usize = 400;

/// How a login says whose words it passes on. In each template `{name}` is who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayTemplates {
    /// Before a text.
    pub text: String,
    /// Before what somebody does (`/me`).
    pub emote: String,
    /// Before what no text can be under; `{what}` is what follows, such as “a sticker”.
    pub thing: String,
    /// For a reaction; `{emoji}` is it.
    pub reaction: String,
    /// For a vote; `{choices}` are the chosen options.
    pub vote: String,
}

impl Default for RelayTemplates {
    fn default() -> Self {
        Self {
            text: "<b>{name}</b>:".to_owned(),
            emote: "* <b>{name}</b>".to_owned(),
            thing: "<b>{name}</b> sent {what}:".to_owned(),
            reaction: "<b>{name}</b> reacted with {emoji}".to_owned(),
            vote: "<b>{name}</b> votes for {choices}".to_owned(),
        }
    }
}

/// For whom a login speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed<'a> {
    /// What they are called, told apart from others of the same name.
    pub name: String,
    /// How that is said.
    pub templates: &'a RelayTemplates,
}

impl Relayed<'_> {
    /// A template, filled in, with the gatekeeper's marks.
    fn say(&self, template: &str, values: &[(&str, &str)]) -> String {
        let name = shortened(&clean_name(&self.name), MAX_NAME);
        let mut html = Cow::Borrowed(template);
        let all = values.iter().copied().chain([("{name}", name.as_str())]);
        for (key, value) in all {
            if html.contains(key) {
                html = Cow::Owned(html.replace(key, &hidden(&markup::escape(value))));
            }
        }
        markup::to_marks(&markup::from_html(&shown(&html)), &|_| None).text
    }

    /// Puts who said it before a text; where that would not fit, it is `None`.
    fn lead(&self, body: &str, is_emote: bool, most: usize) -> Option<String> {
        let template = if is_emote {
            &self.templates.emote
        } else {
            &self.templates.text
        };
        let by = self.say(template, &[]);
        // What counts at the beginning of a line has to stay there.
        let begins_line = body.starts_with(['>', '-', '*', '`']) || numbered(body);
        let joined = if begins_line && !is_emote {
            format!("{by}\n{body}")
        } else {
            format!("{by} {body}")
        };
        (joined.chars().count() <= most).then_some(joined)
    }
}

/// Braces of a value, so that it fills nothing in itself.
fn hidden(value: &str) -> String {
    value.replace('{', "\u{e000}")
}

fn shown(html: &str) -> String {
    html.replace('\u{e000}', "{")
}

fn numbered(body: &str) -> bool {
    let digits = body.trim_start_matches(|c: char| c.is_ascii_digit());
    digits.len() < body.len() && digits.starts_with(". ")
}

/// The parts of an event as a login sends them that speaks for its sender.
///
/// # Errors
/// That this cannot be done for somebody else.
pub fn relay(
    parts: Vec<Part>,
    by: &Relayed<'_>,
    is_emote: bool,
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let mut out = Vec::with_capacity(parts.len() + 1);
    let mut named = false;
    for part in parts {
        match part.content {
            PartContent::Ready(content) => {
                let relayed = ready(content, part.context, by, (is_emote, named), context)?;
                out.extend(relayed);
            }
            PartContent::Media {
                details,
                source,
                thumbnail,
                caption,
                limit,
            } => {
                let has_captions = context
                    .capabilities
                    .media
                    .get(&details.kind)
                    .is_some_and(|rule| rule.captions);
                let caption = match caption {
                    caption if named => caption,
                    Some(text) => by
                        .lead(&text, false, context.capabilities.max_text_chars)
                        .or(Some(text)),
                    None if has_captions => Some(by.say(&by.templates.text, &[])),
                    None => {
                        let what = ("{what}", details.kind.noun());
                        out.push(text(by.say(&by.templates.thing, &[what]), None));
                        None
                    }
                };
                out.push(Part {
                    content: PartContent::Media {
                        details,
                        source,
                        thumbnail,
                        caption,
                        limit,
                    },
                    context: part.context,
                });
            }
        }
        named = true;
    }
    Ok(out)
}

fn ready(
    content: OutgoingContent,
    message: MessageContext,
    by: &Relayed<'_>,
    (is_emote, named): (bool, bool),
    context: &NetworkContext<'_>,
) -> Result<Vec<Part>, Unbridgeable> {
    let most = context.capabilities.max_text_chars;
    let same = |content, context| {
        vec![Part {
            content: PartContent::Ready(content),
            context,
        }]
    };
    Ok(match content {
        OutgoingContent::Text { body, preview } if !named => match by.lead(&body, is_emote, most) {
            Some(body) => same(OutgoingContent::Text { body, preview }, message),
            None => [
                vec![text(by.say(&by.templates.text, &[]), None)],
                same(OutgoingContent::Text { body, preview }, message),
            ]
            .concat(),
        },
        OutgoingContent::Edit {
            target,
            body,
            caption_of,
        } if !named => {
            let body = by.lead(&body, is_emote, most).unwrap_or(body);
            let content = OutgoingContent::Edit {
                target,
                body,
                caption_of,
            };
            same(content, message)
        }
        // One login has one reaction and one vote: those of several people would take each other's place.
        OutgoingContent::Reaction { target, emoji } => {
            let said = by.say(&by.templates.reaction, &[("{emoji}", &emoji)]);
            vec![text(said, Some(target))]
        }
        OutgoingContent::PollVote { poll, choices, .. } => {
            let choices = choices.join(", ");
            let choices = if choices.is_empty() {
                "nothing"
            } else {
                &choices
            };
            let said = by.say(&by.templates.vote, &[("{choices}", choices)]);
            vec![text(said, Some(poll))]
        }
        OutgoingContent::Timer { .. } => {
            return Err(context.not_sent(
                "not_logged_in",
                "only somebody with a login of their own can change how long messages stay there",
            ));
        }
        content @ (OutgoingContent::Location(_)
        | OutgoingContent::Contacts(_)
        | OutgoingContent::Poll(_))
            if !named =>
        {
            let what = match content {
                OutgoingContent::Location(_) => "a place",
                OutgoingContent::Contacts(_) => "a contact",
                _ => "a poll",
            };
            let said = by.say(&by.templates.thing, &[("{what}", what)]);
            [vec![text(said, None)], same(content, message)].concat()
        }
        content => same(content, message),
    })
}

/// A text of the relay's own.
fn text(body: String, quotes: Option<MessageRef>) -> Part {
    Part {
        content: PartContent::Ready(OutgoingContent::Text {
            body,
            preview: None,
        }),
        context: MessageContext {
            quote: quotes.map(|message| Quote {
                message,
                text: None,
            }),
            ..MessageContext::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Capabilities, StanzaId};

    fn relayed(name: &str, content: OutgoingContent) -> Vec<Part> {
        let (capabilities, templates) = (Capabilities::default(), RelayTemplates::default());
        let context = NetworkContext {
            capabilities: &capabilities,
            gatekeeper: "WhatsApp",
            reply: super::super::Reply::None,
            target: super::super::Target::Unknown,
            poll: None,
            role: None,
            people: &|_| None,
            random: [0; 32],
        };
        let by = Relayed {
            name: name.to_owned(),
            templates: &templates,
        };
        relay(vec![Part::plain(content)], &by, false, &context).unwrap()
    }

    fn body(parts: &[Part]) -> &str {
        match &parts[0].content {
            PartContent::Ready(OutgoingContent::Text { body, .. }) => body,
            other => panic!("{other:?} is no text"),
        }
    }

    fn words(body: &str) -> OutgoingContent {
        OutgoingContent::Text {
            body: body.to_owned(),
            preview: None,
        }
    }

    #[test]
    fn a_text_says_whose_it_is() {
        assert_eq!(body(&relayed("Ada", words("hello"))), "*Ada*: hello");
        assert_eq!(
            body(&relayed("Ada", words("> said\nno"))),
            "*Ada*:\n> said\nno"
        );
    }

    #[test]
    fn a_name_formats_nothing_and_fills_nothing_in() {
        let said = relayed("*x* {emoji} <b>\nBob:", words("hello"));
        let plain = body(&said).replace('\u{200b}', "");
        assert_eq!(plain, "**x* {emoji} <b> Bob:*: hello");
        assert_eq!(body(&said).lines().count(), 1);
    }

    #[test]
    fn a_reaction_becomes_a_text_that_answers() {
        let target = MessageRef {
            id: StanzaId::parse("A").unwrap(),
            sender: None,
        };
        let parts = relayed(
            "Ada",
            OutgoingContent::Reaction {
                target: target.clone(),
                emoji: "👍".to_owned(),
            },
        );
        assert_eq!(body(&parts), "*Ada* reacted with 👍");
        assert_eq!(parts[0].context.quote.as_ref().unwrap().message, target);
    }
}
