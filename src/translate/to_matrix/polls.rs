//! Polls and votes (MSC3381, in its unstable form, which clients understand).

use serde_json::{Value, json};

use super::{MatrixContext, MatrixEvent, text::literal};
use crate::{
    domain::Poll,
    translate::{clean_text, text::shortened},
};

/// The most answers of a poll in Matrix.
const MAX_ANSWERS: usize = 20;
/// The longest question and answer, in characters.
const MAX_TEXT: usize = 400;

/// A poll. One with more answers than Matrix takes is a text.
pub(super) fn start(poll: &Poll, about: &MatrixContext) -> Vec<MatrixEvent> {
    let question = one_line(&poll.question);
    let options: Vec<String> = poll.options.iter().take(100).map(|o| one_line(o)).collect();
    let numbered = options.iter().zip(1..);
    let lines = numbered.map(|(option, number)| format!("{number}. {option}"));
    let lines: Vec<String> = std::iter::once(question.clone()).chain(lines).collect();
    let fallback = lines.join("\n");
    if options.is_empty() || options.len() > MAX_ANSWERS {
        let body = format!("Poll: {fallback}\n(Open the app to vote.)");
        return about.related(literal(&body));
    }
    let answers: Vec<Value> = options
        .iter()
        .enumerate()
        .map(|(id, text)| json!({ "id": id.to_string(), "org.matrix.msc1767.text": text }))
        .collect();
    let most = usize::try_from(poll.selectable)
        .ok()
        .filter(|most| (1..=answers.len()).contains(most))
        .unwrap_or(answers.len());
    about.related_below(MatrixEvent {
        kind: "org.matrix.msc3381.poll.start",
        content: json!({
            "org.matrix.msc1767.text": fallback,
            "org.matrix.msc3381.poll.start": {
                "kind": "org.matrix.msc3381.poll.disclosed",
                "max_selections": most,
                "question": { "msgtype": "m.text", "body": question, "org.matrix.msc1767.text": question },
                "answers": answers,
            },
            "m.mentions": {},
        }),
    })
}

fn one_line(text: &str) -> String {
    let text = clean_text(text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&text, MAX_TEXT)
}

/// A vote, if its poll is known and it could be read.
pub(super) fn response(about: &MatrixContext) -> Vec<MatrixEvent> {
    let (Some(poll), Some(answers)) = (&about.target, &about.answers) else {
        return Vec::new();
    };
    vec![MatrixEvent {
        kind: "org.matrix.msc3381.poll.response",
        content: json!({
            "org.matrix.msc3381.poll.response": { "answers": answers },
            "m.relates_to": { "rel_type": "m.reference", "event_id": poll },
        }),
    }]
}
