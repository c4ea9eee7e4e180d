//! Notifications about people: a picture or a name is another one, somebody was blocked in another program, somebody says
//! whether they take messages of other apps.
//!
//! ```xml
//! <notification type="picture" from="…" id="…" t="…"><set id="…"/></notification>     or <delete/>
//! <notification type="profile" from="…" id="…" t="…"><name>text</name></notification>
//! <notification type="blocklist" from="s.whatsapp.net" id="…" t="…"><item action="block|unblock" jid="…"/>…</notification>
//! <notification type="w:interop" from="…" id="…" t="…"><reachability status="accepted|declined"/></notification>
//! ```
//! Their names are the profile's to say; two may share a type, so what is in them decides.

use super::{Answer, time};
use crate::{
    domain::{LoginId, RemoteUserId, Timestamp},
    network::interop::{
        notices,
        profile::Profile,
        session::PeopleShape,
        wire::{Jid, Node},
    },
    store::{RemoteNotice, StoreError, StoreTxn},
};

/// The longest name that is kept, in characters.
const MOST_NAME_CHARS: usize = 255;

/// The most users one notification can name.
const MOST_USERS: usize = 1000;

/// What one notification says, each with who says it; the gatekeeper itself where that is `None`.
type Told = (Option<Jid>, RemoteNotice);

/// Takes a notification about people; `None` if it is about something else.
pub(super) async fn notification(
    txn: &mut dyn StoreTxn,
    login: LoginId,
    node: &Node,
    profile: &Profile,
    now: Timestamp,
) -> Result<Option<Answer>, StoreError> {
    let shape = &profile.stanzas.people;
    let kind = node.attr("type").unwrap_or_default();
    if !shape.notices().into_iter().any(|notice| *notice == kind) {
        return Ok(None);
    }
    let mut answer = Answer::ack(node);
    let Some(id) = node.attr("id") else {
        return Ok(Some(answer));
    };
    let server = Jid::server(profile.user_server.clone());
    let sent_at = time(node).unwrap_or(now);
    for (nth, (from, what)) in told(node, &kind, shape).into_iter().enumerate() {
        let from = from.as_ref().unwrap_or(&server);
        let name = [&*kind, &*id, &nth.to_string()];
        let notice = notices::person(login, from, &name, what, (sent_at, now));
        if let Some(notice) = notice {
            txn.put_remote_message(&notice).await?;
            answer.chat = Some(notice.chat);
        }
    }
    Ok(Some(answer))
}

fn told(node: &Node, kind: &str, shape: &PeopleShape) -> Vec<Told> {
    let from = node.jid("from");
    let of_user = |what| from.clone().map(|from| (Some(from), what));
    let is_user = from
        .as_ref()
        .is_some_and(|from| notices::direct(from).is_some());
    if kind == shape.blocklist_notice && node.find("item").is_some() {
        // A user can say nothing in the gatekeeper's name.
        return if is_user { Vec::new() } else { blocked(node) };
    }
    // A group's picture is told with the group.
    if !is_user {
        return Vec::new();
    }
    let picture = node.find("set").or_else(|| node.find("delete"));
    let name = node.find(&shape.name_element);
    let answer = node.find(&shape.reachability_element);
    let what = if kind == shape.picture_notice && picture.is_some() {
        Some(RemoteNotice::Profile {
            name: None,
            picture: true,
        })
    } else if kind == shape.name_notice && name.is_some() {
        let name = name.and_then(Node::content_bytes).and_then(readable);
        name.map(|name| RemoteNotice::Profile {
            name: Some(name),
            picture: false,
        })
    } else if kind == shape.reachability_notice {
        answer.and_then(answered)
    } else {
        None
    };
    what.and_then(of_user).into_iter().collect()
}

fn answered(answer: &Node) -> Option<RemoteNotice> {
    let accepted = match &*answer.attr("status")? {
        "accepted" => true,
        "declined" => false,
        _ => return None,
    };
    Some(RemoteNotice::Reachability { accepted })
}

fn blocked(node: &Node) -> Vec<Told> {
    let items = node.children().iter().filter(|child| child.tag == "item");
    let read = |item: &Node| {
        let blocked = match &*item.attr("action")? {
            "block" => true,
            "unblock" => false,
            _ => return None,
        };
        let user = RemoteUserId::parse(item.jid("jid")?.bare().to_string()).ok()?;
        Some((None, RemoteNotice::Blocked { user, blocked }))
    };
    items.filter_map(read).take(MOST_USERS).collect()
}

/// A name on one line without control characters; `None` if nothing is left.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST_NAME_CHARS)
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// Why the gatekeeper refused a message, in words that say what to do; `text` is what it says besides the code.
pub(super) fn refusal(profile: &Profile, code: &str, text: Option<&str>) -> String {
    let closed = profile.stanzas.people.not_opted_in.as_str();
    match (code, text) {
        ("403", Some(text)) if text == closed => format!(
            "they do not take messages of other apps{}",
            if profile.features.reachability {
                ": ask them to with the command `request-reachability`"
            } else {
                ""
            }
        ),
        ("403" | "406", _) => {
            "they do not take messages from you: one of you has blocked the other. `list-blocked` shows whom you have blocked, `unblock` ends it"
                .to_owned()
        }
        ("404", _) => "the gatekeeper does not know them any more".to_owned(),
        _ => format!("the gatekeeper refused the message (code {code})"),
    }
}
