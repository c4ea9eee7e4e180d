//! Messages to groups: one ciphertext for everybody, with the sender key for those who do not have it.
//!
//! ```xml
//! <message to="…@g.us" id="…" type="text|media|…" [edit] phash="2:…">
//!   <participants><to jid="member"><enc v="2" type="pkmsg|msg">the sender key</enc></to>…</participants>
//!   <enc v="2" type="skmsg" [mediatype] [decrypt-fail="hide"]>ciphertext</enc></message>
//! <message to="…@g.us" participant="who asked" id="…" type="…"><enc v="2" type="pkmsg|msg" count="2">the message and the sender key</enc></message>
//! ```
//! A start of a sender key is some 350 bytes of ciphertext a member, so even one for 1,024 members is a frame of less than half a
//! megabyte, of the sixteen that fit: it is never split.

use std::collections::{BTreeSet, HashSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{Keyless, address, padded};
use crate::{
    domain::{ChatId, GatekeeperId, LoginId, RemoteUserId, StanzaId, Timestamp},
    network::{
        NetworkError,
        interop::wire::{
            self, Jid, Node,
            message::{Envelope, distribution},
        },
    },
    signal::{self, Address, Ciphertext, Device, OwnSenderKey, Ratchets, SignalError},
    store::{LoginRow, StoreError, StoreTxn},
};

/// How old a sender key gets: so long can somebody read along who once learned it.
const OLDEST_KEY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How many messages a sender key encrypts. Members step over at most 2,000 messages they did not get, so one who lost everything since
/// they got the key still reads the next.
const MOST_MESSAGES: u32 = 1000;

/// How groups are written to.
#[derive(Debug, Clone, Copy)]
pub struct GroupRules<'a> {
    /// The most members a group may have; 0 where there are no groups.
    pub most: usize,
    /// Those for whom there are no keys.
    pub keyless: &'a Keyless,
}

/// What a group needs before the next message.
#[derive(Debug)]
struct Plan {
    own: Jid,
    others: Vec<Jid>,
    /// Whether the sender key is to be a new one.
    rotate: bool,
    /// Who needs the sender key and can get it.
    needing: Vec<Jid>,
    /// With whom there is no session to give it over.
    lacking: Vec<Jid>,
}

/// What is missing before a group can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Who is in it is not known.
    Members,
    /// Sessions with these; with nobody, if nothing is missing.
    Sessions(Vec<Jid>),
}

/// What is missing before a login can write to a group.
///
/// # Errors
/// The outer error is the store's; the inner one says why it cannot write there at all.
pub async fn missing_in_group(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    chat: &ChatId,
    rules: GroupRules<'_>,
    now: Timestamp,
) -> Result<Result<Missing, NetworkError>, StoreError> {
    let Some((row, device)) = Device::load(txn, login).await? else {
        return Ok(Err(NetworkError::NoSuchLogin));
    };
    let mut ratchets = Ratchets::new(&device);
    let plan = plan(txn, &mut ratchets, &row, chat, rules, now).await?;
    Ok(plan.map(|plan| match plan {
        None => Missing::Members,
        Some(plan) => Missing::Sessions(plan.lacking),
    }))
}

/// Looks at a group; `None` if it is not known who is in it.
async fn plan(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    row: &LoginRow,
    chat: &ChatId,
    rules: GroupRules<'_>,
    now: Timestamp,
) -> Result<Result<Option<Plan>, NetworkError>, StoreError> {
    let unsendable = |why: String| Ok(Err(NetworkError::Unsendable(why)));
    if rules.most == 0 {
        return unsendable("messages to groups are not supported here".to_owned());
    }
    let Some(own) = row.remote_login.as_deref().and_then(|own| own.parse().ok()) else {
        return unsendable("this login is not enlisted at the gatekeeper".to_owned());
    };
    let own: Jid = own;
    let members = present(txn, &row.gatekeeper, chat).await?;
    if members.is_empty() {
        return Ok(Ok(None));
    }
    if !members.contains(&own) {
        return unsendable("you are not in this group any more".to_owned());
    }
    if members.len() > rules.most {
        return unsendable(format!(
            "this group has {} members, and only groups of up to {} can be written to",
            members.len(),
            rules.most
        ));
    }
    let others: Vec<Jid> = members.into_iter().filter(|one| *one != own).collect();
    let names: HashSet<String> = others.iter().map(|one| one.bare().to_string()).collect();
    let shares: HashSet<String> = txn
        .sender_key_shares(row.id, chat)
        .await?
        .into_iter()
        .collect();
    let key = ratchets.own_sender_key(txn, chat, &address(&own)).await?;
    // Who left has the key, on whatever device, however their leaving came to be known.
    let left = shares.iter().any(|share| !names.contains(holder(share)));
    let rotate = key.is_some_and(|key| is_spent(key, now) || left);
    let fresh = rotate || key.is_none();
    let (mut needing, mut lacking) = (Vec::new(), Vec::new());
    for other in &others {
        let address = address(other);
        if !fresh && shares.contains(address.as_str()) {
            continue;
        }
        if ratchets.has_session(txn, &address).await? {
            needing.push(other.clone());
        } else if !rules.keyless.knows(row.id, other, now) {
            lacking.push(other.clone());
        }
    }
    Ok(Ok(Some(Plan {
        own,
        others,
        rotate,
        needing,
        lacking,
    })))
}

/// Whose device an address is of.
fn holder(address: &str) -> &str {
    address.rsplit_once('.').map_or(address, |(user, _)| user)
}

/// Whether a user is among those who have a sender key, on whatever device.
pub(in crate::network::interop) fn has_share(shares: &[String], user: &RemoteUserId) -> bool {
    shares.iter().any(|share| holder(share) == user.as_str())
}

fn is_spent(key: OwnSenderKey, now: Timestamp) -> bool {
    key.messages >= MOST_MESSAGES || now.0.saturating_sub(key.made_at.0) > OLDEST_KEY_MS
}

/// The addresses of everybody who is in a group now.
async fn present(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
) -> Result<Vec<Jid>, StoreError> {
    let rows = txn.group_members(gatekeeper, chat).await?;
    let present = rows.iter().filter(|row| row.role.is_some());
    Ok(present
        .filter_map(|row| row.user.as_str().parse().ok())
        .collect())
}

/// A message as it is to be sent.
pub(super) struct Sealed {
    pub(super) stanza: Node,
    /// Who gets the sender key with it.
    pub(super) given: Vec<Address>,
    /// The members of the group it goes to.
    pub(super) recipients: Vec<RemoteUserId>,
}

/// A message to a group, the ratchets not saved yet; `None` if something is missing ([`missing_in_group`] tells).
pub(super) async fn seal(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    row: &LoginRow,
    (chat, id): (&ChatId, &StanzaId),
    (plaintext, envelope): (&[u8], &Envelope),
    (rules, now): (GroupRules<'_>, Timestamp),
) -> Result<Result<Option<Sealed>, NetworkError>, StoreError> {
    let plan = match plan(txn, ratchets, row, chat, rules, now).await? {
        Ok(Some(plan)) if plan.lacking.is_empty() => plan,
        Ok(_) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(error)),
    };
    let unsendable = |error: SignalError| Ok(Err(NetworkError::Unsendable(error.to_string())));
    let Ok(group) = chat.as_str().parse::<Jid>() else {
        return Ok(Err(NetworkError::Unsendable(
            "this group has no address that can be written to".to_owned(),
        )));
    };
    let own = address(&plan.own);
    if plan.rotate {
        ratchets.forget_sender_key(txn, chat, &own).await?;
    }
    // Before the message's own step: who gets the key has to be able to read the message.
    let start = match ratchets.distribution(txn, chat, &own, now).await? {
        Ok(start) => distribution(chat, start),
        Err(error) => return unsendable(error),
    };
    let (mut given, mut participants) = (Vec::new(), Node::new("participants"));
    for member in &plan.needing {
        let to = address(member);
        match ratchets.encrypt(txn, &to, &padded(&start)).await? {
            Ok(ciphertext) => {
                let to = Node::new("to").with("jid", member);
                participants = participants.child(to.child(enc(ciphertext)));
                given.push(address(member));
            }
            Err(error) => {
                tracing::warn!(login = %row.id, %error, "a member of a group cannot be given the sender key");
            }
        }
    }
    let padded = padded(plaintext);
    let sealed = ratchets.encrypt_to_group(txn, chat, &own, &padded);
    let sealed = match sealed.await? {
        Ok(sealed) => sealed,
        Err(error) => return unsendable(error),
    };
    let hash = member_hash(plan.others.iter().chain([&plan.own]));
    let mut message = Node::new("message")
        .with("to", &group)
        .with("id", id.as_str())
        .with("type", envelope.kind)
        .with_opt("edit", envelope.edit)
        .with("phash", hash);
    if !given.is_empty() {
        message = message.child(participants);
    }
    let sealed = Node::new("enc")
        .with("v", "2")
        .with("type", "skmsg")
        .with_opt("mediatype", envelope.mediatype)
        .with_opt("decrypt-fail", envelope.decrypt_fail_hide.then_some("hide"))
        .bytes(sealed);
    let recipients = plan.others.iter();
    Ok(Ok(Some(Sealed {
        stanza: message.child(sealed),
        given,
        recipients: recipients
            .filter_map(|one| RemoteUserId::parse(one.bare().to_string()).ok())
            .collect(),
    })))
}

fn enc(ciphertext: Ciphertext) -> Node {
    Node::new("enc")
        .with("v", "2")
        .with("type", ciphertext.kind.as_str())
        .bytes(ciphertext.bytes)
}

/// `2:` and the first six bytes of the SHA-256 of the members' addresses in order, in base64: by it both sides see whether they know
/// of the same members.
#[must_use]
pub fn member_hash<'j>(members: impl Iterator<Item = &'j Jid>) -> String {
    let sorted: BTreeSet<String> = members.map(ToString::to_string).collect();
    let hash = sorted
        .iter()
        .fold(Sha256::new(), Sha256::chain_update)
        .finalize();
    format!("2:{}", STANDARD.encode(&hash[..6]))
}

/// A plaintext with the start of the login's own sender key of a group behind it, as far as there is a key.
pub(super) async fn with_own_key(
    txn: &mut dyn StoreTxn,
    ratchets: &mut Ratchets,
    chat: &ChatId,
    own: &Jid,
    (mut plaintext, now): (Vec<u8>, Timestamp),
) -> Result<Result<(Vec<u8>, bool), SignalError>, StoreError> {
    let own = address(own);
    if ratchets.own_sender_key(txn, chat, &own).await?.is_none() {
        // The next message brings a new one.
        return Ok(Ok((plaintext, false)));
    }
    Ok(ratchets
        .distribution(txn, chat, &own, now)
        .await?
        .map(|start| {
            plaintext.extend(wire::message::distribution(chat, start));
            (plaintext, true)
        }))
}

/// Forgets the login's own sender key of every group where a user's device has it: that device is another one now, and who has the one
/// before may not be who is in the group.
pub(in crate::network::interop) async fn forget_keys_of(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    user: &Jid,
) -> Result<(), StoreError> {
    let Some(Ok(own)) = row.remote_login.as_deref().map(str::parse::<Jid>) else {
        return Ok(());
    };
    let with = address(user);
    for chat in txn.groups_sharing(row.id, with.as_str()).await? {
        signal::forget_sender_key(txn, row.id, &chat, &address(&own)).await?;
    }
    Ok(())
}

/// Whether somebody is in a group now.
pub(in crate::network::interop) async fn is_member(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
    user: &RemoteUserId,
) -> Result<bool, StoreError> {
    Ok(txn.groups_with(gatekeeper, user).await?.contains(chat))
}
