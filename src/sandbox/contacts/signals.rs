//! What a phone tells besides messages: what was read and listened to, who writes, who calls, and whether a file can be had again.

use std::collections::BTreeMap;

use waproto::{
    buffa::Message as _,
    whatsapp::{MediaRetryNotification, ServerErrorReceipt, media_retry_notification::ResultType},
};

use super::{
    content::{Composed, Content},
    crypt,
    message::{Message, Status},
    phone::{Phone, Reupload, new_id},
};
use crate::{
    domain::{MediaKind, Typing},
    network::interop::wire::{Jid, Node},
};

/// `<composing/>`, `<composing media="audio"/>` or `<paused/>`.
pub(super) fn typing_node(state: Typing) -> Node {
    match state {
        Typing::Composing => Node::new("composing"),
        Typing::Recording => Node::new("composing").with("media", "audio"),
        Typing::Paused => Node::new("paused"),
    }
}

/// What a `<chatstate>` says.
pub(super) fn read_typing(node: &Node) -> Typing {
    match node.find("composing") {
        Some(composing) if composing.attr("media").as_deref() == Some("audio") => Typing::Recording,
        Some(_) => Typing::Composing,
        None => Typing::Paused,
    }
}

/// Who asks for a file of a chat.
fn asking(chat: &Jid, request: &Node) -> Jid {
    request.jid("participant").unwrap_or_else(|| chat.clone())
}

impl Phone {
    /// Sends read receipts for what came in a chat: one with a list for each who wrote.
    pub(super) fn read_chat(&mut self, chat: &Jid) {
        for (sender, unread) in self.unread(chat) {
            let Some((newest, older)) = unread.split_first() else {
                continue;
            };
            let mut receipt = self.read_receipt(chat, newest, sender.as_ref());
            if !older.is_empty() {
                let list = older.iter().rev().fold(Node::new("list"), |list, id| {
                    list.child(Node::new("item").with("id", id.as_str()))
                });
                receipt = receipt.child(list);
            }
            self.post(receipt);
            self.note_read(chat, &unread);
        }
    }

    /// The same with the receipts gathered by message, as a server that aggregates them sends them:
    /// `<participants key="message"><user jid t/></participants>`.
    pub(super) fn read_chat_aggregated(&mut self, chat: &Jid) {
        let user = Node::new("user")
            .with("jid", &self.stored.jid)
            .with("t", self.seconds());
        for (sender, unread) in self.unread(chat) {
            let Some(newest) = unread.first() else {
                continue;
            };
            let receipt = self.read_receipt(chat, newest, sender.as_ref());
            let receipt = unread.iter().rev().fold(receipt, |receipt, id| {
                let participants = Node::new("participants").with("key", id.as_str());
                receipt.child(participants.child(user.clone()))
            });
            self.post(receipt);
            self.note_read(chat, &unread);
        }
    }

    fn seconds(&self) -> String {
        (self.now / 1000).to_string()
    }

    fn read_receipt(&self, chat: &Jid, id: &str, sender: Option<&Jid>) -> Node {
        Node::new("receipt")
            .with("id", id)
            .with("to", chat)
            .with_opt("participant", sender)
            .with("type", "read")
            .with("t", self.seconds())
    }

    /// What came in a chat and was not read, by who wrote it in a group, newest first.
    fn unread(&self, chat: &Jid) -> BTreeMap<Option<Jid>, Vec<String>> {
        let log = self.shared.log();
        let is_other = |m: &Message| m.outgoing || m.notice || !m.is_shown();
        let mut unread = BTreeMap::<_, Vec<String>>::new();
        let messages = log
            .chat(chat)
            .rev()
            .take_while(|m| is_other(m) || m.status < Status::Read)
            .filter(|m| !is_other(m));
        for message in messages {
            let by_sender = unread.entry(message.sender.clone()).or_default();
            by_sender.push(message.id.clone());
        }
        unread
    }

    fn note_read(&mut self, chat: &Jid, ids: &[String]) {
        for id in ids {
            let row = self
                .shared
                .log()
                .advance(&self.stored.jid, chat, false, id, Status::Read);
            self.changes.extend(row);
        }
    }

    /// Says that the contact listened to a voice note.
    pub(super) fn play(&mut self, chat: &Jid, id: &str) {
        let row = self
            .shared
            .log()
            .change(&self.stored.jid, chat, false, id, |message| {
                let plays = |kind| matches!(kind, MediaKind::Voice | MediaKind::Audio);
                let first =
                    message.content.file().is_some_and(|file| plays(file.kind)) && !message.played;
                message.played |= first;
                first
            });
        if row.is_some() {
            self.changes.extend(row);
            let sender = self
                .shared
                .log()
                .find(chat, false, id)
                .and_then(|m| m.sender.clone());
            let receipt = self
                .read_receipt(chat, id, sender.as_ref())
                .with("type", "played");
            self.post(receipt);
            self.note_read(chat, &[id.to_owned()]);
        }
    }

    /// Calls somebody; the call's id.
    pub(super) fn call(&mut self, chat: &Jid, video: bool) -> String {
        let call = new_id();
        let mut offer = self.about_call("offer", &call);
        if video {
            offer = offer.child(Node::new("video"));
        }
        self.post_call(chat, offer);
        call
    }

    /// Gives up a call that nobody answered.
    pub(super) fn hang_up(&mut self, chat: &Jid, call: &str) {
        let terminate = self.about_call("terminate", call).with("reason", "timeout");
        self.post_call(chat, terminate);
        let unanswered = Content::Call {
            video: false,
            missed: true,
        };
        self.tell(chat, Composed::of(unanswered));
    }

    fn about_call(&self, what: &'static str, call: &str) -> Node {
        Node::new(what)
            .with("call-id", call)
            .with("call-creator", &self.stored.jid)
    }

    fn post_call(&mut self, chat: &Jid, child: Node) {
        let call = Node::new("call").with("to", chat).with("id", new_id());
        self.post(call.child(child));
    }

    /// Takes a `<call>`: the contact is told.
    pub(super) fn called(&mut self, node: &Node) {
        let Some(from) = node.jid("from") else {
            return;
        };
        let call = match (node.find("offer"), node.find("terminate")) {
            (Some(offer), _) => Content::Call {
                video: offer.find("video").is_some(),
                missed: false,
            },
            (None, Some(_)) => Content::Call {
                video: false,
                missed: true,
            },
            (None, None) => return,
        };
        self.tell(&from.bare(), Composed::of(call));
    }

    /// Takes a `<receipt type="server-error">`, with which the other side asks for a file again; `false` if it is answered, and
    /// acknowledged, later.
    pub(super) fn file_asked(&mut self, chat: &Jid, node: &Node) -> bool {
        let Some(id) = node.attr("id") else {
            return true;
        };
        let file = self
            .shared
            .log()
            .find(chat, true, &id)
            .and_then(|message| message.content.file().cloned());
        let Some(file) = file else {
            return true;
        };
        let Some(remote) = &file.remote else {
            return true;
        };
        let said = node.find("encrypt").and_then(|encrypt| {
            let field = |tag| encrypt.find(tag).and_then(Node::content_bytes);
            crypt::open_retry(&remote.key, &id, field("enc_iv")?, field("enc_p")?)
        });
        let asked = said.and_then(|said| ServerErrorReceipt::decode_from_slice(&said).ok());
        if asked.is_none_or(|asked| asked.stanza_id.as_deref() != Some(&*id)) {
            tracing::warn!(%id, "a request for a file cannot be read");
            return true;
        }
        if self.answering.insert((asking(chat, node), id.to_string())) {
            self.reuploads.push(Reupload {
                chat: chat.clone(),
                id: id.into_owned(),
                file,
                request: node.clone(),
            });
        }
        false
    }

    /// Answers a request for a file: where it is now, or that it cannot be had.
    pub(super) fn answer_file(&mut self, reupload: &Reupload, path: Option<String>) {
        let Reupload {
            chat,
            id,
            file,
            request,
        } = reupload;
        self.answering.remove(&(asking(chat, request), id.clone()));
        if let Some(path) = &path {
            let row = self
                .shared
                .log()
                .change(&self.stored.jid, chat, true, id, |message| {
                    if let Content::File(file) = &mut message.content
                        && let Some(remote) = &mut file.remote
                    {
                        remote.path.clone_from(path);
                        return true;
                    }
                    false
                });
            self.changes.extend(row);
        }
        self.shared.log().counters.files_asked_again += 1;
        let result = if path.is_some() {
            ResultType::SUCCESS
        } else {
            ResultType::NOT_FOUND
        };
        let said = MediaRetryNotification {
            stanza_id: Some(id.clone()),
            direct_path: path,
            result: Some(result),
            ..MediaRetryNotification::default()
        };
        if let Some(remote) = &file.remote {
            let (sealed, iv) = crypt::seal_retry(&remote.key, id, &said.encode_to_vec());
            let encrypt = Node::new("encrypt")
                .child(Node::new("enc_p").bytes(sealed))
                .child(Node::new("enc_iv").bytes(iv));
            let mut answer = Node::new("notification")
                .with("type", "mediaretry")
                .with("id", id.as_str())
                .with("to", chat)
                .with_opt("participant", request.jid("participant"))
                .child(encrypt);
            if let Some(rmr) = request.find("rmr") {
                answer = answer.child(rmr.clone());
            }
            self.post(answer);
        }
        self.ack(request);
    }
}
