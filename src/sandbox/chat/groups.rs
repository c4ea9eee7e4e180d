//! What a client asks of groups: `w:g2` for everything but the picture, which is asked for and set as anybody's.

use super::{Desk, people::jpeg_in};
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::directory::{Description, Group, NewGroup, Role, is_group, participant},
};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 100;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2048;
/// The longest key of a creation.
const MAX_KEY: usize = 128;

type Outcome = Result<Option<Node>, u16>;

/// The users an element names.
fn named(node: &Node) -> Vec<Jid> {
    let named = node.children().iter();
    named
        .filter(|child| child.tag == "participant")
        .filter_map(|child| Some(child.jid("jid")?.bare()))
        .collect()
}

impl Desk<'_> {
    /// `<iq xmlns="w:g2">`.
    pub(super) fn groups(&mut self, node: &Node, is_set: bool) -> Outcome {
        let to = node.jid("to").ok_or(400_u16)?;
        if is_group(&to) {
            return if is_set {
                self.change_group(&to, node)
            } else {
                let group = self.group_of_mine(&to)?;
                Ok(Some(group.node()))
            };
        }
        if !is_set {
            let groups = self.directory.groups_of(self.me);
            let groups = groups
                .iter()
                .filter_map(|jid| self.directory.groups.all.get(jid))
                .fold(Node::new("groups"), |list, group| list.child(group.node()));
            return Ok(Some(groups));
        }
        if let Some(create) = node.find("create") {
            return self.create(create);
        }
        let leave = node.find("leave").ok_or(501_u16)?;
        let group = leave.find("group").and_then(|group| group.jid("id"));
        let group = group.ok_or(400_u16)?;
        self.role_in(&group)?;
        let me = self.me.clone();
        self.directory
            .take_out(&group, &me, std::slice::from_ref(&me), self.now, self.step);
        Ok(Some(leave.clone()))
    }

    /// `<create subject key><participant jid/>…</create>`.
    fn create(&mut self, create: &Node) -> Outcome {
        let key = create.attr("key").unwrap_or_default();
        let subject = create.attr("subject").unwrap_or_default();
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(400);
        }
        if subject.trim().is_empty() || subject.chars().count() > MAX_SUBJECT {
            return Err(406);
        }
        if let Some(made) = self.directory.group_made(self.me, &key) {
            return Ok(Some(made.node()));
        }
        let new = NewGroup {
            creator: self.me,
            flavour: self.flavour,
            key: &key,
            subject: &subject,
            members: &named(create),
        };
        let jid = self.directory.create_group(&new, self.now, self.step);
        Ok(self.directory.groups.all.get(&jid).map(Group::node))
    }

    /// A group the client is in.
    fn group_of_mine(&self, jid: &Jid) -> Result<&Group, u16> {
        let found = self.directory.groups.all.get(jid);
        let group = found.filter(|group| group.flavour == self.flavour);
        let group = group.ok_or(404_u16)?;
        if group.members.contains_key(self.me) {
            Ok(group)
        } else {
            Err(403)
        }
    }

    /// The client's role in a group.
    fn role_in(&self, group: &Jid) -> Result<Role, u16> {
        let group = self.group_of_mine(group)?;
        group.role(self.me).ok_or(403)
    }

    fn admin_in(&self, group: &Jid) -> Result<(), u16> {
        self.role_in(group)?.is_admin().then_some(()).ok_or(403)
    }

    /// Whether the client may change what a group says of itself.
    fn may_edit(&self, group: &Jid) -> Result<(), u16> {
        let found = self.group_of_mine(group)?;
        if found.locked {
            self.admin_in(group)
        } else {
            Ok(())
        }
    }

    fn change_group(&mut self, group: &Jid, node: &Node) -> Outcome {
        let change = node.children().first().ok_or(400_u16)?;
        match &*change.tag {
            "subject" => self.set_subject(group, change),
            "description" => self.set_description(group, change),
            "announcement" | "not_announcement" => {
                let on = change.tag == "announcement";
                self.switch(group, change, |found| {
                    std::mem::replace(&mut found.announce, on) != on
                })
            }
            "locked" | "unlocked" => {
                let on = change.tag == "locked";
                self.switch(group, change, |found| {
                    std::mem::replace(&mut found.locked, on) != on
                })
            }
            "add" | "remove" | "promote" | "demote" => self.change_members(group, change),
            _ => Err(501),
        }
    }

    fn set_subject(&mut self, group: &Jid, change: &Node) -> Outcome {
        self.may_edit(group)?;
        let text = text_in(change).ok_or(400_u16)?;
        if text.trim().is_empty() || text.chars().count() > MAX_SUBJECT {
            return Err(406);
        }
        let (me, at) = (self.me.clone(), self.now / 1000);
        self.apply(group, |found| {
            if found.subject == text {
                return None;
            }
            let change = Node::new("subject")
                .with("subject", text.as_str())
                .with("s_t", at.to_string());
            found.subject = text;
            found.subject_by = me;
            found.subject_at = at;
            Some(change)
        });
        Ok(None)
    }

    fn set_description(&mut self, group: &Jid, change: &Node) -> Outcome {
        self.may_edit(group)?;
        let id = change
            .attr("id")
            .filter(|id| !id.is_empty() && id.len() <= MAX_KEY);
        let id = id.ok_or(400_u16)?.into_owned();
        let deletes = change.attr("delete").as_deref() == Some("true");
        let text = change.find("body").and_then(text_in).unwrap_or_default();
        if text.chars().count() > MAX_DESCRIPTION {
            return Err(406);
        }
        let told = if deletes || text.is_empty() {
            Node::new("description")
                .with("id", id.as_str())
                .with("delete", "true")
        } else {
            let body = Node::new("body").bytes(text.as_str());
            Node::new("description").with("id", id.as_str()).child(body)
        };
        let new = (!deletes && !text.is_empty()).then_some(Description { id, text });
        self.apply(group, |found| {
            let changed = found.description != new;
            found.description = new;
            changed.then_some(told)
        });
        Ok(None)
    }

    /// Switches something only admins may.
    fn switch(
        &mut self,
        group: &Jid,
        change: &Node,
        how: impl FnOnce(&mut Group) -> bool,
    ) -> Outcome {
        self.admin_in(group)?;
        let told = Node::new(change.tag.clone());
        self.apply(group, |found| how(found).then_some(told));
        Ok(None)
    }

    /// Changes a group; everybody in it is told what `how` says.
    fn apply(&mut self, group: &Jid, how: impl FnOnce(&mut Group) -> Option<Node>) {
        let Some(found) = self.directory.groups.all.get_mut(group) else {
            return;
        };
        if let Some(change) = how(found) {
            self.directory.save_group(group, self.step);
            self.directory
                .tell_group(group, self.me, &change, self.now, self.step);
        }
    }

    /// `<add|remove|promote|demote><participant jid/>…`: the same with the code of each that could not be.
    fn change_members(&mut self, group: &Jid, change: &Node) -> Outcome {
        self.admin_in(group)?;
        let wanted = named(change);
        if wanted.is_empty() {
            return Err(400);
        }
        let mut answer = Node::new(change.tag.clone());
        let mut done: Vec<Jid> = Vec::new();
        for jid in wanted {
            let node = Node::new("participant").with("jid", &jid);
            let outcome = if done.contains(&jid) {
                Ok(())
            } else {
                self.check_member(group, &change.tag, &jid)
            };
            answer = answer.child(match outcome {
                Ok(()) => node,
                Err(code) => node.with("error", u64::from(code)),
            });
            if outcome.is_ok() && !done.contains(&jid) {
                done.push(jid);
            }
        }
        if !done.is_empty() {
            self.carry_out(group, &change.tag, &done);
        }
        Ok(Some(answer))
    }

    fn check_member(&self, group: &Jid, what: &str, jid: &Jid) -> Result<(), u16> {
        let role = self.group_of_mine(group)?.role(jid);
        match (what, role) {
            ("add", None) => {
                let found = self.directory.addable(jid, self.me, self.flavour);
                found.map(|_| ())
            }
            (_, None) => Err(404),
            ("remove" | "demote", Some(Role::Creator)) => Err(403),
            ("promote", Some(Role::Admin | Role::Creator))
            | ("demote", Some(Role::Member))
            | ("add", Some(_)) => Err(409),
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, group: &Jid, what: &str, whom: &[Jid]) {
        let role = match what {
            "remove" => {
                let me = self.me.clone();
                return self
                    .directory
                    .take_out(group, &me, whom, self.now, self.step);
            }
            "promote" => Role::Admin,
            _ => Role::Member,
        };
        let Some(found) = self.directory.groups.all.get_mut(group) else {
            return;
        };
        let before: Vec<Jid> = found.members.keys().cloned().collect();
        let mut change = Node::new(what.to_owned());
        for jid in whom {
            found.members.insert(jid.clone(), role);
            change = change.child(participant(jid, role));
        }
        let full = found.node();
        self.directory.save_group(group, self.step);
        self.directory
            .tell(group, &before, self.me, &change, self.now, self.step);
        if what == "add" {
            let create = Node::new("create").with("reason", "invite").child(full);
            self.directory
                .tell(group, whom, self.me, &create, self.now, self.step);
        }
    }

    /// `<iq xmlns="w:profile:picture" target=G>`: as with people's pictures.
    pub(super) fn group_picture(&mut self, node: &Node, is_set: bool) -> Outcome {
        let group = node.jid("target").ok_or(400_u16)?;
        if !is_set {
            let found = self.group_of_mine(&group)?;
            let id = found.picture.as_deref().ok_or(404_u16)?;
            let known = node.find("picture").and_then(|asked| asked.attr("id"));
            return Ok(Some(self.picture_node(id, known.as_deref() == Some(id))));
        }
        self.may_edit(&group)?;
        let id = jpeg_in(node)?.map(|jpeg| self.directory.keep_picture(jpeg, self.step));
        let told = Node::new("picture").with_opt("id", id.clone());
        let answer = told.clone();
        self.apply(&group, |found| {
            let changed = found.picture != id;
            found.picture = id;
            changed.then_some(told)
        });
        Ok(Some(answer))
    }
}

/// The text in an element, as bytes or as a child `<body>`.
fn text_in(node: &Node) -> Option<String> {
    let bytes = node.content_bytes()?;
    String::from_utf8(bytes.to_vec()).ok()
}
