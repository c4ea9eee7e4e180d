//! Talking to the bridge's bot, and the rooms that come of it.

use serde_json::Value;

use super::{client::User, world::BOT};

/// A user's management room.
pub(crate) struct Desk {
    pub(crate) room: String,
    answers: usize,
}

impl Desk {
    /// Opens a direct chat with the bot and waits until it welcomes the user.
    pub(crate) async fn open(user: &mut User) -> Self {
        let room = user.direct_chat(BOT).await;
        let mut desk = Self { room, answers: 0 };
        desk.next_answer(user, "the bot's welcome").await;
        desk
    }

    /// Writes a command; the bot's answer.
    pub(crate) async fn command(&mut self, user: &mut User, text: &str) -> String {
        user.say(&self.room, text).await;
        self.next_answer(user, &format!("an answer to {text}"))
            .await
    }

    /// Waits until the bot says something by itself, passing over what it said before that; what it said.
    pub(crate) async fn is_told(&mut self, user: &mut User, part: &str) -> String {
        let (room, from) = (self.room.clone(), self.answers);
        let what = format!("the bot to say {part:?}");
        let (nth, said) = user
            .watch(&what, |seen| {
                let said = said_by_bot(seen.timeline(&room)).enumerate().skip(from);
                let mut bodies = said.filter_map(|(nth, event)| Some((nth, body_of(event)?)));
                bodies.find(|(_, body)| body.contains(part))
            })
            .await;
        self.answers = nth + 1;
        said
    }

    /// How often the bot said something in the room, by what was seen so far.
    pub(crate) fn times_told(&self, user: &User, part: &str) -> usize {
        let said = said_by_bot(user.seen.timeline(&self.room));
        let bodies = said.filter_map(body_of);
        bodies.filter(|body| body.contains(part)).count()
    }

    async fn next_answer(&mut self, user: &mut User, what: &str) -> String {
        let (room, nth) = (self.room.clone(), self.answers);
        self.answers += 1;
        user.watch(what, |seen| {
            said_by_bot(seen.timeline(&room)).nth(nth).and_then(body_of)
        })
        .await
    }

    /// Logs the user in at a gatekeeper, accepting what the bot wants to be accepted.
    pub(crate) async fn log_in(&mut self, user: &mut User, gatekeeper: &str) {
        let mut answer = self.command(user, &format!("login {gatekeeper}")).await;
        if answer.contains("`accept`") {
            answer = self.command(user, "accept").await;
        }
        assert!(answer.contains("now logged in"), "{answer}");
    }

    /// Starts a chat and joins its room.
    pub(crate) async fn start_chat(&mut self, user: &mut User, whom: &str) -> String {
        let answer = self.command(user, &format!("start-chat {whom}")).await;
        let room = room_in(&answer);
        user.watch("the invitation", |seen| {
            let mut invitations = seen.invitations().into_iter();
            invitations.find(|(invited, by)| *invited == room && by == BOT)
        })
        .await;
        user.join(&room).await;
        room
    }
}

fn said_by_bot(timeline: &[Value]) -> impl Iterator<Item = &Value> {
    let is_it = |event: &&Value| event["type"] == "m.room.message" && event["sender"] == BOT;
    timeline.iter().filter(is_it)
}

fn body_of(event: &Value) -> Option<String> {
    event["content"]["body"].as_str().map(str::to_owned)
}

/// The room that an answer links to.
pub(crate) fn room_in(answer: &str) -> String {
    let link = answer.split_once('[');
    let room = link.and_then(|(_, rest)| rest.split_once(']'));
    room.unwrap_or_else(|| panic!("no room in {answer}"))
        .0
        .to_owned()
}

/// Waits for an invitation to a room the user was not told of, and joins it.
pub(crate) async fn join_new_room(user: &mut User) -> String {
    let room = user
        .watch("an invitation", |seen| {
            seen.invitations()
                .into_iter()
                .find(|(_, by)| by == BOT)
                .map(|(room, _)| room)
        })
        .await;
    user.join(&room).await;
    room
}

/// The ghost in a direct chat: the member that is neither the user nor the bot.
pub(crate) async fn ghost_of(user: &User, room: &str) -> String {
    let members = user.members(room).await;
    members
        .into_keys()
        .find(|member| *member != user.mxid && member != BOT)
        .expect("a ghost in the room")
}
