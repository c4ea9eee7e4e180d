//! Talking to the bridge's bot, and the rooms that come of it.

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

    async fn next_answer(&mut self, user: &mut User, what: &str) -> String {
        let (room, nth) = (self.room.clone(), self.answers);
        self.answers += 1;
        user.watch(what, |seen| {
            seen.timeline(&room)
                .iter()
                .filter(|event| event["type"] == "m.room.message" && event["sender"] == BOT)
                .nth(nth)
                .and_then(|event| event["content"]["body"].as_str().map(str::to_owned))
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
        let room = answer
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .unwrap_or_else(|| panic!("no room in {answer}"))
            .0
            .to_owned();
        user.watch("the invitation", |seen| {
            let mut invitations = seen.invitations().into_iter();
            invitations.find(|(invited, by)| *invited == room && by == BOT)
        })
        .await;
        user.join(&room).await;
        room
    }
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
