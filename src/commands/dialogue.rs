//! How a message is taken: as the answer to what was asked, or as a command.

use super::{
    Reply, admin,
    arguments::named,
    call::Said,
    conversation::{Answer, Conversation, Partner, Question},
    deleting, gatekeepers, logins, logout,
    registry::{self, Verb},
    run, words,
};
use crate::bridge::Bridge;

/// Answers a message.
pub(super) async fn answer(bridge: &Bridge, said: &Said, body: &str) -> Reply {
    let partner = Partner::new(&said.sender, &said.answered_in);
    let last = partner.last(bridge).await?;
    let Some(mut conversation) = last else {
        return run(bridge, said, body).await;
    };
    if conversation.asked_by == said.event_id && conversation.answered.is_none() {
        return Ok(conversation.prompt);
    }
    let answer = match (
        &conversation.answered,
        conversation.answer_of(&said.event_id),
    ) {
        (_, Some(before)) => before,
        (Some(_), None) => return run(bridge, said, body).await,
        (None, None) => {
            let Some(answer) = meant(bridge, &conversation.question, body) else {
                return Err(not_an_answer(&conversation));
            };
            conversation.answered = Some((said.event_id.clone(), answer));
            partner.keep(bridge, &conversation).await?;
            answer
        }
    };
    match answer {
        Answer::Yes => match chosen(bridge, &conversation.question, body) {
            Some(line) => run(bridge, said, &line).await,
            None => go_on(bridge, said, &conversation.question).await,
        },
        Answer::No => Ok(format!(
            "The {} is cancelled; nothing was changed.",
            conversation.question.name()
        )),
        Answer::Passed => {
            let word = format!(
                "\n\n(The {} that was begun is cancelled.)",
                conversation.question.name()
            );
            match run(bridge, said, body).await {
                Ok(reply) => Ok(reply + &word),
                Err(refusal) => Err(refusal + &word),
            }
        }
    }
}

/// What a message says to a question; `None` if it is no answer.
fn meant(bridge: &Bridge, question: &Question, body: &str) -> Option<Answer> {
    if chosen(bridge, question, body).is_some() {
        return Some(Answer::Yes);
    }
    let (word, _) = words(body);
    let verb = registry::find(&word)?.verb;
    Some(match (verb, question) {
        (Verb::Cancel, _) => Answer::No,
        (Verb::Accept, Question::Terms { .. })
        | (
            Verb::Confirm,
            Question::LogOut { .. }
            | Question::Delete { .. }
            | Question::DeleteAll { .. }
            | Question::CleanUp { .. },
        ) => Answer::Yes,
        (Verb::Accept | Verb::Confirm, _) => return None,
        _ => Answer::Passed,
    })
}

/// The command that the name of a gatekeeper is short for, if one was asked for.
fn chosen(bridge: &Bridge, question: &Question, body: &str) -> Option<String> {
    if *question != Question::Gatekeeper {
        return None;
    }
    let line = body.lines().next().unwrap_or_default().trim();
    let gatekeeper = named(line, &gatekeepers(bridge))?;
    Some(format!("login {gatekeeper}"))
}

fn not_an_answer(conversation: &Conversation) -> String {
    format!(
        "That is no answer to what I asked. Write {} to go on with the {}, or `cancel`.",
        conversation.question.takes(),
        conversation.question.name()
    )
}

/// Does what was asked about, once it is agreed to.
pub(super) async fn go_on(bridge: &Bridge, said: &Said, question: &Question) -> Reply {
    match question {
        Question::Gatekeeper => run(bridge, said, "login").await,
        Question::Terms {
            gatekeeper,
            version,
        } => logins::accepted(bridge, &said.sender, gatekeeper, version).await,
        Question::LogOut { of, endings } => logout::end(bridge, &said.sender, of, endings).await,
        Question::Delete { portals, leaves } => deleting::delete(bridge, portals, leaves).await,
        Question::DeleteAll { logins } => deleting::delete_all_of(bridge, logins).await,
        Question::CleanUp { portals, ghosts } => admin::clear(bridge, portals, ghosts).await,
    }
}
