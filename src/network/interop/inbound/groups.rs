//! Groups as the gatekeeper tells of them: what changed, and who is in them.
//!
//! ```xml
//! <notification type="w:gp2" from="…@g.us" participant="who did it" id="…" t="…" [notify="name"]>
//!   <subject subject="…"/> | <description id [delete="true"]><body/></description> | <announcement/> | <not_announcement/> |
//!   <locked/> | <unlocked/> | <add|remove|promote|demote|leave><participant jid [type]/>…</add> | <picture [id]/> |
//!   <create [reason="invite"]><group …/></create></notification>
//! ```
//! Several logins in a group are told the same, each at its own time. So a change is taken into the store by the first that is told
//! of it, and never after a later one was: what is kept of each group is when it last changed and by which notifications.

use super::{Answer, time};
use crate::{
    domain::{
        ChatId, GatekeeperId, Group, GroupChange, GroupFacts, GroupRole, LoginId, RemoteUserId,
        StanzaId, Timestamp,
    },
    network::interop::{
        notices, outbound,
        session::groups::{self, GroupShape},
        wire::{self, Node},
    },
    signal::{self, Address},
    store::{GroupRow, LoginRow, OutboxRow, RemoteNotice, StoreError, StoreTxn},
};

/// How many notifications of the same second are told apart.
const MOST_OF_A_SECOND: usize = 64;

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// The group changed.
    Change(GroupChange),
    /// Somebody left.
    Left(RemoteUserId),
    /// These are in it now, each in a role.
    Added(Vec<(RemoteUserId, GroupRole)>),
    /// It has another picture, or none.
    Picture(Option<String>),
    /// The login is in it; this is all of it.
    Joined(Group),
}

/// Takes `<notification type="w:gp2">`: into what is stored of the group, and to its room.
///
/// # Errors
/// The store's; then nothing may be acknowledged.
pub(super) async fn notification(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    shape: &GroupShape,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let mut answer = Answer::ack(node);
    let chat = node.jid("from").and_then(|from| groups::address(&from));
    let id = node.attr("id").map(|id| StanzaId::parse(id.into_owned()));
    let (Some(chat), Some(Ok(id)), Some(row)) = (chat, id, txn.login(login).await?) else {
        tracing::warn!(%login, "a notification of a group names none");
        return Ok(answer);
    };
    let Some(own) = own(&row) else {
        return Ok(answer);
    };
    let Some((what, by)) = node
        .children()
        .iter()
        .find_map(|child| read(child, node, shape))
    else {
        let tag = node.children().first().map_or("", |child| &child.tag);
        tracing::info!(%login, %id, tag, "an unknown notification of a group");
        return Ok(answer);
    };
    let sent_at = time(node).unwrap_or(now);
    let by = by.unwrap_or_else(|| own.clone());
    if txn
        .remote_message_known(login, &chat, &by, &id)
        .await?
        .is_none()
    {
        forget_keys(txn, &row, &own, &chat, &what).await?;
        let known = txn.group(&row.gatekeeper, &chat).await?.is_some();
        let whole = matches!(what, Told::Joined(_));
        if (known || whole) && is_news(txn, &row.gatekeeper, &chat, (sent_at, &id)).await? {
            apply(txn, &row, &chat, &what).await?;
        }
        if !known && gone(&what).contains(&own) {
            return Ok(answer);
        }
        let what = if known {
            notice_of(what)
        } else {
            // What changed in a group of which nothing is known says that there is one to ask about.
            RemoteNotice::Joined
        };
        let mut notice = notices::group(login, (chat.clone(), by), id, what, sent_at, now);
        notice.display_name = super::messages::display_name(node);
        txn.put_remote_message(&notice).await?;
    }
    answer.chat = Some(chat);
    Ok(answer)
}

fn notice_of(what: Told) -> RemoteNotice {
    match what {
        Told::Change(change) => RemoteNotice::Group(change),
        Told::Left(_) => RemoteNotice::Group(GroupChange::Leave),
        Told::Added(added) => {
            let added = added.into_iter().map(|(user, _)| user).collect();
            RemoteNotice::Group(GroupChange::Add(added))
        }
        Told::Picture(_) => RemoteNotice::GroupPicture,
        Told::Joined(_) => RemoteNotice::Joined,
    }
}

/// Who is in the group no more.
fn gone(what: &Told) -> Vec<RemoteUserId> {
    match what {
        Told::Change(GroupChange::Remove(gone)) => gone.clone(),
        Told::Left(user) => vec![user.clone()],
        _ => Vec::new(),
    }
}

/// What a child of a notification says, and who did it, if it is one that is known.
fn read(child: &Node, node: &Node, shape: &GroupShape) -> Option<(Told, Option<RemoteUserId>)> {
    let actor = node.jid("participant").and_then(|actor| {
        let (_, actor) = notices::direct(&actor)?;
        Some(actor)
    });
    let users = || groups::members(child).map(|(user, _)| user).collect();
    let change = match child.tag.as_ref() {
        "subject" => GroupChange::Subject(groups::short(&child.attr("subject")?)),
        "description" => GroupChange::Description(groups::description(child)),
        "announcement" => GroupChange::Announce(true),
        "not_announcement" => GroupChange::Announce(false),
        "locked" => GroupChange::Locked(true),
        "unlocked" => GroupChange::Locked(false),
        "remove" => GroupChange::Remove(users()),
        "promote" => GroupChange::Promote(users()),
        "demote" => GroupChange::Demote(users()),
        "leave" => {
            let gone: Vec<RemoteUserId> = users();
            match &gone[..] {
                // Whoever leaves does it; who is said to have done it for them removed them.
                [one] if actor.as_ref().is_none_or(|actor| actor == one) => {
                    return Some((Told::Left(one.clone()), Some(one.clone())));
                }
                _ => GroupChange::Remove(gone),
            }
        }
        "add" => return Some((Told::Added(groups::members(child).collect()), actor)),
        "create" => {
            let group = child.find("group")?;
            let creator = group.jid("creator").and_then(|creator| {
                let (_, creator) = notices::direct(&creator)?;
                Some(creator)
            });
            let (_, group) = groups::read(shape, group)?;
            return Some((Told::Joined(group), actor.or(creator)));
        }
        tag if tag == shape.picture => {
            let id = child.attr("id").map(std::borrow::Cow::into_owned);
            return Some((Told::Picture(id), actor));
        }
        _ => return None,
    };
    Some((Told::Change(change), actor))
}

/// Takes what was told into the store.
async fn apply(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    chat: &ChatId,
    what: &Told,
) -> Result<(), StoreError> {
    let gatekeeper = &row.gatekeeper;
    match what {
        Told::Joined(group) => put(txn, gatekeeper, chat, group).await,
        Told::Left(user) => txn.set_group_role(gatekeeper, chat, user, None).await,
        Told::Picture(id) => {
            let id = id.clone();
            change_facts(txn, row, chat, |facts| facts.picture = id).await
        }
        Told::Added(added) => {
            let known = txn.group_members(gatekeeper, chat).await?;
            for (user, role) in added {
                // Somebody who is in it already may be more by now.
                let is_in = |member: &crate::store::GroupMemberRow| {
                    member.user == *user && member.role.is_some()
                };
                if !known.iter().any(is_in) {
                    txn.set_group_role(gatekeeper, chat, user, Some(*role))
                        .await?;
                }
            }
            Ok(())
        }
        Told::Change(change) => match change.clone() {
            GroupChange::Subject(subject) => {
                change_facts(txn, row, chat, |facts| facts.subject = subject).await
            }
            GroupChange::Description(text) => {
                change_facts(txn, row, chat, |facts| facts.description = text).await
            }
            GroupChange::Announce(on) => {
                change_facts(txn, row, chat, |facts| facts.announce = on).await
            }
            GroupChange::Locked(on) => {
                change_facts(txn, row, chat, |facts| facts.locked = on).await
            }
            GroupChange::Promote(users) => {
                set_roles(txn, gatekeeper, chat, &users, Some(GroupRole::Admin)).await
            }
            GroupChange::Demote(users) => {
                set_roles(txn, gatekeeper, chat, &users, Some(GroupRole::Member)).await
            }
            GroupChange::Remove(users) => set_roles(txn, gatekeeper, chat, &users, None).await,
            // These two are told otherwise.
            GroupChange::Add(_) | GroupChange::Leave => Ok(()),
        },
    }
}

async fn change_facts(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    chat: &ChatId,
    change: impl FnOnce(&mut GroupFacts) + Send,
) -> Result<(), StoreError> {
    let Some(mut group) = txn.group(&row.gatekeeper, chat).await? else {
        return Ok(());
    };
    change(&mut group.facts);
    txn.put_group(&group).await
}

async fn set_roles(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
    users: &[RemoteUserId],
    role: Option<GroupRole>,
) -> Result<(), StoreError> {
    for user in users {
        txn.set_group_role(gatekeeper, chat, user, role).await?;
    }
    Ok(())
}

async fn put(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
    group: &Group,
) -> Result<(), StoreError> {
    let known = txn.group(gatekeeper, chat).await?;
    let row = GroupRow {
        gatekeeper: gatekeeper.clone(),
        chat: chat.clone(),
        facts: group.facts.clone(),
        shown: known.map(|known| known.shown).unwrap_or_default(),
    };
    txn.put_group(&row).await?;
    txn.set_group_members(gatekeeper, chat, &group.members)
        .await
}

/// Whoever left may not read what comes: the next message is encrypted with a new sender key.
async fn forget_keys(
    txn: &mut dyn StoreTxn,
    row: &LoginRow,
    own: &RemoteUserId,
    chat: &ChatId,
    what: &Told,
) -> Result<(), StoreError> {
    let gone = gone(what);
    if gone.is_empty() {
        return Ok(());
    }
    let shares = txn.sender_key_shares(row.id, chat).await?;
    let had_it = |user: &RemoteUserId| user == own || outbound::has_share(&shares, user);
    if gone.iter().any(had_it)
        && let Some(own) = address(own)
    {
        signal::forget_sender_key(txn, row.id, chat, &own).await?;
    }
    Ok(())
}

fn address(user: &RemoteUserId) -> Option<Address> {
    Some(outbound::address(&user.as_str().parse().ok()?))
}

fn own(row: &LoginRow) -> Option<RemoteUserId> {
    RemoteUserId::parse(row.remote_login.clone()?).ok()
}

fn version_key(gatekeeper: &GatekeeperId, chat: &ChatId) -> String {
    format!("group/{gatekeeper}/{chat}")
}

/// What changes whenever a notification changes what is stored of a group.
///
/// # Errors
/// The store's.
pub(in crate::network::interop) async fn group_version(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
) -> Result<Option<String>, StoreError> {
    txn.value(&version_key(gatekeeper, chat)).await
}

/// Stores a group as it was asked for when it had this version; `false`, and nothing changes, if it has changed since.
///
/// # Errors
/// The store's.
pub(in crate::network::interop) async fn store_group(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
    group: &Group,
    version: Option<&str>,
) -> Result<bool, StoreError> {
    if group_version(txn, gatekeeper, chat).await?.as_deref() != version {
        return Ok(false);
    }
    put(txn, gatekeeper, chat, group).await?;
    Ok(true)
}

/// Whether a notification tells something later than what was taken in of a group; if so, it is noted that it was. What is kept is
/// the time of the latest and the ids of those of that time.
async fn is_news(
    txn: &mut dyn StoreTxn,
    gatekeeper: &GatekeeperId,
    chat: &ChatId,
    (at, id): (Timestamp, &StanzaId),
) -> Result<bool, StoreError> {
    let latest = group_version(txn, gatekeeper, chat)
        .await?
        .unwrap_or_default();
    let mut words = latest.split(' ');
    let before = words.next().and_then(|time| time.parse::<i64>().ok());
    let mut ids: Vec<&str> = Vec::new();
    match before {
        Some(before) if before > at.0 => return Ok(false),
        Some(before) if before == at.0 => ids.extend(words),
        _ => {}
    }
    if ids.contains(&id.as_str()) {
        return Ok(false);
    }
    if ids.len() == MOST_OF_A_SECOND {
        ids.remove(0);
    }
    ids.push(id.as_str());
    let value = format!("{} {}", at.0, ids.join(" "));
    txn.set_value(&version_key(gatekeeper, chat), &value)
        .await?;
    Ok(true)
}

/// Whether the gatekeeper counts other members in a group than a message was encrypted for. Then the group is to be asked for anew, and
/// everybody gets the sender key with the next message.
pub(super) async fn members_differ(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    sent: &OutboxRow,
    ack: &Node,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(theirs) = ack.attr("phash").filter(|_| sent.row.chat.is_group()) else {
        return Ok(false);
    };
    let stanza = wire::decode(&sent.row.payload).ok();
    let ours = stanza.as_ref().and_then(|stanza| stanza.attr("phash"));
    let Some(ours) = ours.filter(|ours| *ours != theirs) else {
        return Ok(false);
    };
    let Some(own) = txn.login(login).await?.as_ref().and_then(own) else {
        return Ok(false);
    };
    let by = (sent.row.chat.clone(), own.clone());
    let Some(notice) = notices::other_members(login, by, [&*ours, &*theirs], now) else {
        return Ok(false);
    };
    if !txn.put_remote_message(&notice).await? {
        return Ok(false);
    }
    tracing::info!(%login, id = %sent.row.stanza_id, "the gatekeeper counts other members in a group");
    // Who is not counted any more may have the key: it is not used again.
    if let Some(own) = address(&own) {
        signal::forget_sender_key(txn, login, &sent.row.chat, &own).await?;
    }
    Ok(true)
}
