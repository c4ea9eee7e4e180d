//! What a login asks about people and says about itself: pictures, and whether somebody takes messages of other apps.
//!
//! ```xml
//! <iq type="get" xmlns="w:profile:picture" to="server" target="…"><picture type="image" query="url" [id="known"]/></iq>
//!   answered by <picture id="…" [type="image" url="https://…"]/>, without the url if the known one is current
//! <iq type="set" xmlns="w:profile:picture" to="server" [target="group"]>[<picture type="image">a JPEG</picture>]</iq>
//!   answered by <picture [id="…"]/>
//! <iq type="set" xmlns="w:interop" to="server"><reachability><user jid="…"/></reachability></iq>
//!   answered by <reachability><user jid="…" status="sent|already|refused"/></reachability>
//! ```
//! The names no public document gives are those of [`PeopleShape`].

use serde::{Deserialize, Serialize};

use crate::network::interop::wire::{Jid, Node};

/// How stanzas about people are written: names no public document gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleShape {
    /// The namespace of requests for pictures.
    pub picture_xmlns: String,
    /// The type of the notification that a picture is another one.
    pub picture_notice: String,
    /// The type of the notification that a name is another one, and the element with the name.
    pub name_notice: String,
    /// The element with the name.
    pub name_element: String,
    /// The type of the notification that somebody was blocked in another program.
    pub blocklist_notice: String,
    /// The namespace of the request to take messages of other apps.
    pub reachability_xmlns: String,
    /// The type of the notification with the answer.
    pub reachability_notice: String,
    /// The element of both.
    pub reachability_element: String,
    /// What the gatekeeper calls it when the request is on its way.
    pub reachability_sent: Vec<String>,
    /// What it says when they take such messages already, or were asked before.
    pub reachability_already: Vec<String>,
    /// The text of a refusal (403) that means that somebody takes no messages of other apps.
    pub not_opted_in: String,
}

impl Default for PeopleShape {
    fn default() -> Self {
        Self {
            picture_xmlns: "w:profile:picture".to_owned(),
            picture_notice: "picture".to_owned(),
            name_notice: "profile".to_owned(),
            name_element: "name".to_owned(),
            blocklist_notice: "blocklist".to_owned(),
            reachability_xmlns: "w:interop".to_owned(),
            reachability_notice: "w:interop".to_owned(),
            reachability_element: "reachability".to_owned(),
            reachability_sent: vec!["sent".to_owned()],
            reachability_already: vec!["already".to_owned()],
            not_opted_in: "not-opted-in".to_owned(),
        }
    }
}

impl PeopleShape {
    /// The types of notifications that tell something about people.
    #[must_use]
    pub fn notices(&self) -> [&String; 4] {
        [
            &self.picture_notice,
            &self.name_notice,
            &self.blocklist_notice,
            &self.reachability_notice,
        ]
    }
}

/// A picture as the gatekeeper tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPicture {
    /// Its id.
    pub id: String,
    /// Where it is; `None` if it is the known one.
    pub url: Option<String>,
}

/// Asks for the picture of a user or group, unless it is the known one.
#[must_use]
pub fn picture_get(server: &Jid, shape: &PeopleShape, of: &Jid, known: Option<&str>) -> Node {
    Node::new("iq")
        .with("type", "get")
        .with("xmlns", shape.picture_xmlns.as_str())
        .with("to", server)
        .with("target", of)
        .child(
            Node::new("picture")
                .with("type", "image")
                .with("query", "url")
                .with_opt("id", known),
        )
}

/// The picture in the answer to [`picture_get`]; `None` if there is none in it.
#[must_use]
pub fn found_picture(answer: &Node) -> Option<FoundPicture> {
    let picture = answer.find("picture")?;
    let text = |key| picture.attr(key).map(std::borrow::Cow::into_owned);
    Some(FoundPicture {
        id: text("id").filter(|id| !id.is_empty())?,
        url: text("url"),
    })
}

/// Sets the picture of a group, or (`None`) of the login itself; without a JPEG it is removed.
#[must_use]
pub fn picture_set(
    server: &Jid,
    shape: &PeopleShape,
    of: Option<&Jid>,
    jpeg: Option<Vec<u8>>,
) -> Node {
    let iq = Node::new("iq")
        .with("type", "set")
        .with("xmlns", shape.picture_xmlns.as_str())
        .with("to", server)
        .with_opt("target", of);
    match jpeg {
        Some(jpeg) => iq.child(Node::new("picture").with("type", "image").bytes(jpeg)),
        None => iq,
    }
}

/// What came of asking somebody to take messages of other apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedUser {
    /// The request is on its way.
    Sent,
    /// They take them already, or were asked before.
    Already,
    /// They do not want to be asked.
    Refused,
}

/// Asks a user to take messages of other apps.
#[must_use]
pub fn reachability_ask(server: &Jid, shape: &PeopleShape, user: &Jid) -> Node {
    Node::new("iq")
        .with("type", "set")
        .with("xmlns", shape.reachability_xmlns.as_str())
        .with("to", server)
        .child(
            Node::new(shape.reachability_element.clone())
                .child(Node::new("user").with("jid", user)),
        )
}

/// What came of [`reachability_ask`]; `None` if the answer says nothing of the user.
#[must_use]
pub fn asked_user(answer: &Node, shape: &PeopleShape, user: &Jid) -> Option<AskedUser> {
    let users = answer.find(&shape.reachability_element)?.children();
    let asked = users
        .iter()
        .find(|asked| asked.jid("jid").is_some_and(|jid| jid.bare() == *user))?;
    let status = asked.attr("status")?;
    let is = |words: &[String]| words.iter().any(|word| *word == status);
    Some(if is(&shape.reachability_sent) {
        AskedUser::Sent
    } else if is(&shape.reachability_already) {
        AskedUser::Already
    } else {
        AskedUser::Refused
    })
}
