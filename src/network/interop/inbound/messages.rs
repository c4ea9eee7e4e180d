//! Messages: decrypted into the remote inbox, or asked for again. What comes in a group is encrypted with its author's sender key, which
//! comes over the author's session, before or with it.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::{Answer, time};
use crate::{
    domain::{ChatId, LoginId, RemoteUserId, StanzaId, Timestamp},
    network::interop::{
        bundle, notices, outbound, prekeys,
        session::groups::GROUPS,
        wire::{self, Jid, Node},
    },
    signal::{CiphertextKind, Device, Ratchets, SignalError},
    store::{LoginRow, NewRemoteMessage, StoreError, StoreTxn},
};

/// How often one message is asked for again.
const MOST_RETRIES: i64 = 5;

/// From which retry on the receipt brings our keys.
const KEYS_FROM_RETRY: i64 = 2;

/// The longest display name that is kept, in characters.
const MOST_NAME_CHARS: usize = 255;

/// The type of what is encrypted with a sender key.
const SENDER_KEY: &str = "skmsg";

/// The stanza's envelope cannot be read.
const UNPARSABLE: &str = "487";
/// The stanza holds nothing of a type that is known.
const UNKNOWN_TYPE: &str = "490";
/// The message was decrypted and is no message.
const BAD_PLAINTEXT: &str = "491";

/// A `<message>` whose envelope is understood.
struct Envelope<'n> {
    from: Jid,
    chat: ChatId,
    sender: RemoteUserId,
    /// Whose device encrypted it.
    device: Jid,
    id: StanzaId,
    sent_at: Timestamp,
    display_name: Option<String>,
    /// What is encrypted over the session.
    direct: Option<(CiphertextKind, &'n [u8])>,
    /// What is encrypted with the sender key.
    group: Option<&'n [u8]>,
}

impl<'n> Envelope<'n> {
    fn read(node: &'n Node, now: Timestamp) -> Result<Self, &'static str> {
        let from = node.jid("from").ok_or("no sender")?;
        let id = node.attr("id").ok_or("no id")?.into_owned();
        let id = StanzaId::parse(id).map_err(|_| "an unusable id")?;
        let in_group = from.server_name() == GROUPS;
        let device = match node.jid("participant") {
            Some(participant) if !in_group || participant.server_name() != GROUPS => participant,
            _ if in_group => return Err("no member as sender"),
            _ => from.clone(),
        };
        if matches!(from, Jid::Server(_)) || matches!(device, Jid::Server(_)) {
            return Err("no user as sender");
        }
        let unusable = |_| "an unusable sender";
        let ciphertexts = || node.children().iter().filter(|child| child.tag == "enc");
        let direct = ciphertexts().find_map(|enc| {
            let kind = CiphertextKind::parse(&enc.attr("type")?)?;
            Some((kind, enc.content_bytes()?))
        });
        let group = ciphertexts()
            .find(|enc| in_group && enc.attr("type").as_deref() == Some(SENDER_KEY))
            .and_then(Node::content_bytes);
        Ok(Self {
            chat: ChatId::parse(from.bare().to_string()).map_err(unusable)?,
            sender: RemoteUserId::parse(device.bare().to_string()).map_err(unusable)?,
            sent_at: time(node).unwrap_or(now),
            display_name: display_name(node),
            from,
            device,
            id,
            direct,
            group,
        })
    }

    /// The ciphertext of what it says; `None` if there is none of a known kind.
    fn ciphertext(&self) -> Option<&'n [u8]> {
        self.group.or(self.direct.map(|(_, bytes)| bytes))
    }
}

/// One batch.
struct Receiving<'t> {
    txn: &'t mut dyn StoreTxn,
    row: LoginRow,
    device: Device,
    ratchets: Ratchets,
    /// Senders that are known to be in the group they wrote in.
    members: HashSet<(ChatId, RemoteUserId)>,
    now: Timestamp,
}

/// Takes a batch of `<message>` stanzas: an answer each, in order.
///
/// What is known is only acknowledged. What can be decrypted goes into the remote inbox with its plaintext, what cannot goes
/// there without and is asked for again. A malformed stanza costs only itself.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub async fn receive(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    messages: &[Node],
    now: Timestamp,
) -> Result<Vec<Answer>, StoreError> {
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(vec![Answer::default(); messages.len()]);
    };
    let ratchets = Ratchets::new(&device);
    let mut receiving = Receiving {
        txn,
        row,
        device,
        ratchets,
        members: HashSet::new(),
        now,
    };
    let mut answers = Vec::with_capacity(messages.len());
    for message in messages {
        answers.push(receiving.message(message).await?);
    }
    let Receiving { txn, ratchets, .. } = receiving;
    ratchets.save(txn).await?;
    fail::fail_point!("decrypt.before_commit");
    Ok(answers)
}

impl Receiving<'_> {
    async fn message(&mut self, node: &Node) -> Result<Answer, StoreError> {
        let login = self.row.id;
        let envelope = match Envelope::read(node, self.now) {
            Ok(envelope) => envelope,
            Err(reason) => {
                tracing::warn!(%login, reason, "a message stanza is malformed and is refused");
                return Ok(Answer::nack(node, UNPARSABLE));
            }
        };
        let known = self
            .txn
            .remote_message_known(login, &envelope.chat, &envelope.sender, &envelope.id)
            .await?;
        if known == Some(true) {
            let answer = Answer::ack(node).before_ack(delivery_receipt(node, &envelope));
            // The step that kept it may have been committed and reported as failed; then nobody was told yet.
            return Ok(Answer {
                chat: Some(envelope.chat),
                ..answer
            });
        }
        let Some(bytes) = envelope.ciphertext() else {
            tracing::warn!(%login, id = %envelope.id, "a message has no encryption that is known and is refused");
            return Ok(Answer::nack(node, UNKNOWN_TYPE));
        };
        if envelope.chat.is_group() {
            self.look_for(&envelope).await?;
        }
        match self.open(&envelope).await? {
            Ok(padded) => self.keep(node, &envelope, bytes, &padded).await,
            Err(SignalError::Duplicate) => {
                tracing::info!(%login, id = %envelope.id, "a message was decrypted before under another id");
                Ok(Answer::ack(node))
            }
            Err(error) => {
                tracing::warn!(%login, id = %envelope.id, %error, "a message could not be decrypted");
                self.ask_again(node, &envelope, bytes, known.is_none())
                    .await
            }
        }
    }

    /// Decrypts a message, still padded: what it says, or where it says nothing else, the sender key it brings.
    async fn open(
        &mut self,
        envelope: &Envelope<'_>,
    ) -> Result<Result<Vec<u8>, SignalError>, StoreError> {
        let direct = match envelope.direct {
            Some((kind, bytes)) => Some(self.open_direct(envelope, kind, bytes).await?),
            None => None,
        };
        let Some(bytes) = envelope.group else {
            return Ok(direct.unwrap_or(Err(SignalError::NoSession)));
        };
        if let Some(Err(error)) = direct {
            // The sender key may have come before.
            tracing::info!(login = %self.row.id, id = %envelope.id, %error, "what came with a message to a group could not be decrypted");
        }
        let from = outbound::address(&envelope.device);
        self.ratchets
            .decrypt_in_group(self.txn, &envelope.chat, &from, bytes)
            .await
    }

    async fn open_direct(
        &mut self,
        envelope: &Envelope<'_>,
        kind: CiphertextKind,
        bytes: &[u8],
    ) -> Result<Result<Vec<u8>, SignalError>, StoreError> {
        let from = outbound::address(&envelope.device);
        let opened = self.ratchets.decrypt(self.txn, &from, kind, bytes).await?;
        let message = match opened {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        if message.identity_changed {
            outbound::forget_keys_of(self.txn, &self.row, &envelope.device).await?;
            self.notice_identity(envelope).await?;
        }
        if envelope.chat.is_group() {
            self.take_sender_key(envelope, &message.plaintext).await?;
        }
        Ok(Ok(message.plaintext))
    }

    /// Takes the start of the sender's own key for this group, if the message brings it.
    async fn take_sender_key(
        &mut self,
        envelope: &Envelope<'_>,
        padded: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(plaintext) = wire::message::unpad(padded) else {
            return Ok(());
        };
        let Some(start) = wire::message::distribution_in(plaintext, &envelope.chat) else {
            return Ok(());
        };
        let from = outbound::address(&envelope.device);
        let taken = self
            .ratchets
            .take_distribution(self.txn, &envelope.chat, &from, &start, self.now)
            .await?;
        if let Err(error) = taken {
            tracing::warn!(login = %self.row.id, id = %envelope.id, %error, "a sender key is unusable");
        }
        Ok(())
    }

    /// Whoever writes in a group is shown, but one that is not known to be in it is worth a word.
    async fn look_for(&mut self, envelope: &Envelope<'_>) -> Result<(), StoreError> {
        let member = (envelope.chat.clone(), envelope.sender.clone());
        if self.members.contains(&member) {
            return Ok(());
        }
        let gatekeeper = &self.row.gatekeeper;
        if !outbound::is_member(self.txn, gatekeeper, &member.0, &member.1).await? {
            tracing::info!(login = %self.row.id, id = %envelope.id, "somebody who is not known to be in a group wrote in it");
        }
        self.members.insert(member);
        Ok(())
    }

    async fn notice_identity(&mut self, envelope: &Envelope<'_>) -> Result<(), StoreError> {
        let notice =
            notices::identity_changed(self.row.id, &envelope.device, envelope.sent_at, self.now);
        if let Some(mut notice) = notice {
            notice.chat = envelope.chat.clone();
            self.txn.put_remote_message(&notice).await?;
        }
        Ok(())
    }

    async fn keep(
        &mut self,
        node: &Node,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        padded: &[u8],
    ) -> Result<Answer, StoreError> {
        let unpadded = wire::message::unpad(padded);
        let answer = match &unpadded {
            Ok(_) => Answer::ack(node).before_ack(delivery_receipt(node, envelope)),
            Err(_) => Answer::nack(node, BAD_PLAINTEXT),
        };
        // What is not even padded right is kept too: the room then says that something unreadable came.
        let plaintext = unpadded.unwrap_or(padded).to_vec();
        let message = self.remember(envelope, ciphertext, Some(plaintext));
        self.txn.put_remote_message(&message).await?;
        Ok(Answer {
            chat: Some(message.chat),
            ..answer
        })
    }

    async fn ask_again(
        &mut self,
        node: &Node,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        first: bool,
    ) -> Result<Answer, StoreError> {
        let mut answer = Answer::ack(node);
        if first {
            let placeholder = self.remember(envelope, ciphertext, None);
            self.txn.put_remote_message(&placeholder).await?;
            answer.chat = Some(placeholder.chat);
        }
        let login = self.row.id;
        let count = self
            .txn
            .count_retry(login, &envelope.chat, &envelope.sender, &envelope.id)
            .await?;
        if count > MOST_RETRIES {
            tracing::warn!(%login, id = %envelope.id, "a message could not be decrypted after every retry");
            return Ok(answer);
        }
        let t = node.attr("t").map_or_else(
            || self.now.seconds().to_string(),
            std::borrow::Cow::into_owned,
        );
        let retry = Node::new("retry")
            .with("count", count.to_string())
            .with("id", envelope.id.as_str())
            .with("t", t)
            .with("v", "1");
        let mut receipt = receipt_to(envelope)
            .with("type", "retry")
            .child(retry)
            .child(bundle::registration(&self.device));
        if count >= KEYS_FROM_RETRY {
            let mut next = self.row.next_prekey_id;
            let keys =
                prekeys::hand_out(self.txn, &self.row, &self.device, &mut next, self.now).await?;
            self.row.next_prekey_id = next;
            receipt = receipt.child(keys);
        }
        Ok(answer.before_ack(receipt))
    }

    fn remember(
        &self,
        envelope: &Envelope<'_>,
        ciphertext: &[u8],
        plaintext: Option<Vec<u8>>,
    ) -> NewRemoteMessage {
        NewRemoteMessage {
            login: self.row.id,
            chat: envelope.chat.clone(),
            sender: envelope.sender.clone(),
            stanza_id: envelope.id.clone(),
            ciphertext_hash: Sha256::digest(ciphertext).to_vec(),
            plaintext,
            notice: None,
            sent_at: envelope.sent_at,
            display_name: envelope.display_name.clone(),
            received_at: self.now,
        }
    }
}

/// `<receipt id to [participant] [sts]/>`: the message reached this device.
fn delivery_receipt(node: &Node, envelope: &Envelope<'_>) -> Node {
    receipt_to(envelope).with_opt("sts", node.attr("sts").map(std::borrow::Cow::into_owned))
}

fn receipt_to(envelope: &Envelope<'_>) -> Node {
    let participant = (envelope.device != envelope.from).then_some(&envelope.device);
    Node::new("receipt")
        .with("id", envelope.id.as_str())
        .with("to", &envelope.from)
        .with_opt("participant", participant)
}

pub(super) fn display_name(node: &Node) -> Option<String> {
    let name = node.attr("display_name").or_else(|| node.attr("notify"))?;
    let name: String = name.chars().take(MOST_NAME_CHARS).collect();
    (!name.trim().is_empty()).then_some(name)
}
