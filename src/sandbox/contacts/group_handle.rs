//! What a test, a script or the page lets a contact do with groups. Messages go to a group as to anybody, by its address.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::{
    ContactHandle,
    actor::Command,
    asking::{about_groups, create, of_members},
    groups::GroupInfo,
    handle::recipient,
    phone::new_id,
};
use crate::{
    domain::Typing,
    network::interop::wire::{Jid, Node},
    sandbox::{
        directory::{GROUPS, is_group},
        error::SandboxError,
    },
};

/// What became of each member of a request: the gatekeeper's code if it did not do it.
type Outcomes = BTreeMap<Jid, Result<(), u16>>;

fn group_of(text: &str) -> Result<Jid, SandboxError> {
    let group = recipient(text)?;
    if is_group(&group) {
        Ok(group)
    } else {
        Err(SandboxError::Recipient(text.to_owned()))
    }
}

impl ContactHandle {
    /// Makes a group of the contact and others; its address. Who cannot be in it is left out.
    ///
    /// # Errors
    /// [`SandboxError::Refused`] by the gatekeeper, [`SandboxError::Offline`] if the phone is switched off,
    /// [`SandboxError::Closed`] after the sandbox's end.
    pub async fn create_group(&self, subject: &str, members: &[Jid]) -> Result<Jid, SandboxError> {
        let answer = self.ask_group(create(subject, new_id(), members)).await?;
        let made = answer.find("group").and_then(|group| group.jid("id"));
        made.ok_or(SandboxError::Refused(500))
    }

    /// The groups the contact knows, also those it is not in any more.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupInfo> {
        let groups = self.shared.groups();
        groups.values().map(|state| state.info.clone()).collect()
    }

    /// A group as the contact knows it.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<GroupInfo> {
        let group = group_of(group).ok()?;
        let groups = self.shared.groups();
        groups.get(&group).map(|state| state.info.clone())
    }

    /// Who got the contact's sender key in a group.
    #[must_use]
    pub fn gave_sender_key_to(&self, group: &str) -> Vec<Jid> {
        let Ok(group) = group_of(group) else {
            return Vec::new();
        };
        let groups = self.shared.groups();
        let state = groups.get(&group);
        state.map_or_else(Vec::new, |state| state.has_key.iter().cloned().collect())
    }

    /// Who of a group is writing or recording, as they say.
    #[must_use]
    pub fn typing_in(&self, group: &Jid) -> Vec<Jid> {
        let around = self.shared.around();
        let doing = around.typing_in.get(group).into_iter().flatten();
        let doing = doing.filter(|(_, typing)| **typing != Typing::Paused);
        doing.map(|(who, _)| who.clone()).collect()
    }

    /// Adds members.
    ///
    /// # Errors
    /// As [`create_group`](Self::create_group), and [`SandboxError::Recipient`] for what is no group.
    pub async fn add_members(&self, group: &str, who: &[Jid]) -> Result<Outcomes, SandboxError> {
        self.change_members(group, "add", who).await
    }

    /// Removes members.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn remove_members(&self, group: &str, who: &[Jid]) -> Result<Outcomes, SandboxError> {
        self.change_members(group, "remove", who).await
    }

    /// Makes members admins.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn promote(&self, group: &str, who: &[Jid]) -> Result<Outcomes, SandboxError> {
        self.change_members(group, "promote", who).await
    }

    /// Makes admins members.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn demote(&self, group: &str, who: &[Jid]) -> Result<Outcomes, SandboxError> {
        self.change_members(group, "demote", who).await
    }

    async fn change_members(
        &self,
        group: &str,
        what: &'static str,
        who: &[Jid],
    ) -> Result<Outcomes, SandboxError> {
        let change = of_members(Node::new(what), who);
        let iq = about_groups("set", &group_of(group)?, change);
        let answer = self.ask_group(iq).await?;
        let members = answer.find(what).map_or(&[][..], Node::children);
        let outcome = |node: &Node| {
            let code = node
                .number("error")
                .and_then(|code| u16::try_from(code).ok());
            Some((node.jid("jid")?, code.map_or(Ok(()), Err)))
        };
        Ok(members.iter().filter_map(outcome).collect())
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn leave_group(&self, group: &str) -> Result<(), SandboxError> {
        let group = Node::new("group").with("id", group_of(group)?);
        let leave = Node::new("leave").child(group);
        let iq = about_groups("set", &Jid::server(GROUPS), leave);
        self.ask_group(iq).await.map(drop)
    }

    /// Calls a group otherwise.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn set_subject(&self, group: &str, subject: &str) -> Result<(), SandboxError> {
        self.change(group, Node::new("subject").bytes(subject))
            .await
    }

    /// Says something else about a group, or nothing if the text is empty.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn set_description(&self, group: &str, text: &str) -> Result<(), SandboxError> {
        let description = Node::new("description").with("id", new_id());
        let description = if text.is_empty() {
            description.with("delete", "true")
        } else {
            description.child(Node::new("body").bytes(text))
        };
        self.change(group, description).await
    }

    /// Lets only admins write, or everybody.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn set_announce(&self, group: &str, on: bool) -> Result<(), SandboxError> {
        let tag = if on {
            "announcement"
        } else {
            "not_announcement"
        };
        self.change(group, Node::new(tag)).await
    }

    /// Lets only admins change the subject, the description and the picture, or everybody.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn set_locked(&self, group: &str, on: bool) -> Result<(), SandboxError> {
        let tag = if on { "locked" } else { "unlocked" };
        self.change(group, Node::new(tag)).await
    }

    async fn change(&self, group: &str, change: Node) -> Result<(), SandboxError> {
        let iq = about_groups("set", &group_of(group)?, change);
        self.ask_group(iq).await.map(drop)
    }

    /// Gives a group a picture, the bytes of a JPEG, or takes it away.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn set_group_picture(
        &self,
        group: &str,
        jpeg: Option<Vec<u8>>,
    ) -> Result<(), SandboxError> {
        let mut iq = self.about_picture("set", &group_of(group)?);
        if let Some(jpeg) = jpeg {
            iq = iq.child(Node::new("picture").with("type", "image").bytes(jpeg));
        }
        self.ask_group(iq).await.map(drop)
    }

    /// Where a group's picture is; `None` if it has none.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub async fn group_picture(&self, group: &str) -> Result<Option<String>, SandboxError> {
        let picture = Node::new("picture")
            .with("type", "image")
            .with("query", "url");
        let iq = self.about_picture("get", &group_of(group)?).child(picture);
        match self.ask_group(iq).await {
            Ok(answer) => {
                let picture = answer.find("picture");
                let url = picture.and_then(|picture| picture.attr("url"));
                Ok(url.map(std::borrow::Cow::into_owned))
            }
            Err(SandboxError::Refused(404)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn about_picture(&self, kind: &'static str, group: &Jid) -> Node {
        Node::new("iq")
            .with("type", kind)
            .with("xmlns", "w:profile:picture")
            .with("to", Jid::server(self.flavour().user_server()))
            .with("target", group)
    }

    /// Forgets the sender keys members of groups gave, so that what they write next is asked for again.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub async fn forget_sender_keys(&self) -> Result<(), SandboxError> {
        let (done, wait) = oneshot::channel();
        self.command(Command::ForgetSenderKeys(done))?;
        wait.await.map_err(|_| SandboxError::Closed)
    }

    async fn ask_group(&self, iq: Node) -> Result<Node, SandboxError> {
        let (answered, wait) = oneshot::channel();
        self.command(Command::Ask(Box::new(iq), answered))?;
        wait.await.map_err(|_| SandboxError::Closed)?
    }
}
