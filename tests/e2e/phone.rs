//! What a contact does with its phone.

use drawbridge::{
    domain::{MediaKind, Typing},
    sandbox::{
        MediaToSend, Message,
        content::{Card, Composed, Content, File, Location, Target},
    },
};

use super::{client::PATIENCE, contact::Contact, wait::until};

/// A contact can always do what it does: the sandbox runs as long as the test.
const CAN: &str = "the sandbox runs";

impl Contact {
    /// Writes a text; its id.
    pub(crate) async fn says(&self, text: &str) -> String {
        self.sends(Composed::text(text)).await
    }

    /// Writes any message; its id.
    pub(crate) async fn sends(&self, message: Composed) -> String {
        self.phone.send(&self.user, message).await.expect(CAN)
    }

    /// Sends any bytes in the place of a message; its id.
    pub(crate) async fn sends_raw(&self, plaintext: &[u8]) -> String {
        let sent = self.phone.send_raw(&self.user, plaintext.to_vec()).await;
        sent.expect(CAN)
    }

    /// Sends a file; its message's id.
    pub(crate) async fn sends_file(&self, media: MediaToSend) -> String {
        self.phone.send_media(&self.user, media).await.expect(CAN)
    }

    /// Sends a place; its id.
    pub(crate) async fn sends_place(&self, place: Location) -> String {
        self.phone
            .send_location(&self.user, place)
            .await
            .expect(CAN)
    }

    /// Sends contact cards; their message's id.
    pub(crate) async fn sends_cards(&self, cards: Vec<Card>) -> String {
        self.phone
            .send_contacts(&self.user, cards)
            .await
            .expect(CAN)
    }

    /// Asks in a poll; its id.
    pub(crate) async fn asks(&self, question: &str, options: &[&str], selectable: u32) -> String {
        let phone = &self.phone;
        let sent = phone.send_poll(&self.user, question, options, selectable);
        sent.await.expect(CAN)
    }

    /// Votes in a poll, of its own or the other's.
    pub(crate) async fn votes(&self, poll: &str, own: bool, options: &[&str]) {
        let sent = self.phone.vote(&self.user, poll, own, options);
        sent.await.expect(CAN);
    }

    /// Changes a message of its own.
    pub(crate) async fn edits(&self, id: &str, text: &str) {
        self.phone.edit(&self.user, id, text).await.expect(CAN);
    }

    /// Deletes a message of its own.
    pub(crate) async fn revokes(&self, id: &str) {
        self.revokes_of(id, true).await;
    }

    /// Deletes a message, or tries to if it is not its own.
    pub(crate) async fn revokes_of(&self, id: &str, own: bool) {
        let of = Target {
            id: id.to_owned(),
            own,
        };
        self.sends(Composed::of(Content::Revoke { of })).await;
    }

    /// Reacts to a message; with nothing to take it back.
    pub(crate) async fn reacts(&self, id: &str, own: bool, emoji: &str) {
        let sent = self.phone.react(&self.user, id, own, emoji);
        sent.await.expect(CAN);
    }

    /// Writes, records, or has stopped.
    pub(crate) fn is_typing(&self, state: Typing) {
        self.phone.typing(&self.user, state).expect(CAN);
    }

    /// Reads everything, told by one receipt a message.
    pub(crate) fn reads_aggregated(&self) {
        self.phone.mark_read_aggregated(&self.user).expect(CAN);
    }

    /// Has none of its files any more.
    pub(crate) fn loses_files(&self) {
        self.phone.lose_files(true).expect(CAN);
    }

    /// Waits until a message of the chat has a reaction, or none any more.
    pub(crate) async fn has_reaction(
        &self,
        id: &str,
        of: impl Fn(&Message) -> Option<String>,
        emoji: Option<&str>,
    ) {
        let has = |m: &Message| (m.id == id && of(m).as_deref() == emoji).then_some(());
        self.sees(&format!("the reaction {emoji:?}"), has).await;
    }

    /// Waits for a file; its message's id and what the message says.
    pub(crate) async fn gets_file(&self, kind: MediaKind, caption: &str) -> (String, File) {
        self.gets(&format!("{} with {caption:?}", kind.noun()), |m| {
            let file = m.content.file().filter(|file| file.kind == kind)?;
            (m.text == caption).then(|| (m.id.clone(), file.clone()))
        })
        .await
    }

    /// Opens the file of a message.
    pub(crate) async fn opens(&self, id: &str) -> Vec<u8> {
        let opened = self.phone.open_media(&self.user, id).await;
        opened.expect("the file can be had")
    }

    /// Waits until the user is shown as somebody who writes, records, or does neither.
    pub(crate) async fn sees_typing(&self, state: Typing) {
        let user = self.user.parse().expect("an address");
        until(&format!("the user to be {state:?}"), PATIENCE, async || {
            (self.phone.typing_of(&user) == state).then_some(())
        })
        .await;
    }

    /// Waits until the user is shown as there, or away.
    pub(crate) async fn sees_present(&self, present: bool) {
        let user = self.user.parse().expect("an address");
        until(
            &format!("the user's presence to be {present}"),
            PATIENCE,
            async || (self.phone.sees_present(&user) == Some(present)).then_some(()),
        )
        .await;
    }
}
