//! Numbered messages both ways: the number tells loss, doubling and order.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::support::stage::{Stage, USER};

/// The most messages that are under way; more wait until some arrived.
const IN_FLIGHT: usize = 300;

/// The traffic so far.
pub(crate) struct Traffic<'a> {
    stage: &'a Stage,
    rng: StdRng,
    /// How many were sent, by chat: to the gatekeeper, to Matrix.
    pub(crate) to_network: Vec<usize>,
    pub(crate) to_matrix: Vec<usize>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(stage: &'a Stage, seed: u64) -> Self {
        Self {
            stage,
            rng: StdRng::seed_from_u64(seed),
            to_network: vec![0; stage.chats.len()],
            to_matrix: vec![0; stage.chats.len()],
        }
    }

    /// How many messages were sent in all.
    pub(crate) fn sent(&self) -> usize {
        self.to_network.iter().sum::<usize>() + self.to_matrix.iter().sum::<usize>()
    }

    /// Whether so much is under way that nothing more is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.sent() > self.stage.arrived() + IN_FLIGHT
    }

    /// Sends a message or waits a moment.
    pub(crate) async fn some(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(1..12))).await;
        if self.is_full() {
            return;
        }
        let chat = self.rng.random_range(0..self.stage.chats.len());
        if self.rng.random_bool(0.5) {
            self.matrix_says(chat);
        } else {
            self.contact_says(chat).await;
        }
    }

    /// The Matrix user says the next number in a chat.
    pub(crate) fn matrix_says(&mut self, chat: usize) {
        let body = format!("out {chat} {}", self.to_network[chat]);
        let room = &self.stage.chats[chat].room_id();
        self.stage.homeserver.send_text(room, USER, &body);
        self.to_network[chat] += 1;
    }

    /// The contact says the next number in a chat.
    pub(crate) async fn contact_says(&mut self, chat: usize) {
        let body = format!("in {chat} {}", self.to_matrix[chat]);
        self.stage.chats[chat].say(&body).await;
        self.to_matrix[chat] += 1;
    }
}
