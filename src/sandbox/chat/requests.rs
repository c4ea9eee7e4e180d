//! `<iq>`: ping, keys, blocklist, pictures, the Partner's deletion request, and what phones ask about Partners.

use super::Desk;
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::directory::{Effect, GROUPS, Kind, is_group},
};

/// How many users one request may look up.
const MOST_LOOKED_UP: usize = 20;

impl Desk<'_> {
    pub(super) fn request(&mut self, node: &Node) {
        let kind = node.attr("type");
        if !matches!(kind.as_deref(), Some("get" | "set")) {
            return;
        }
        let is_set = kind.as_deref() == Some("set");
        let mut gone = false;
        let outcome = match (node.attr("xmlns").as_deref(), is_set) {
            (Some("w:p" | "urn:xmpp:ping"), false) | (Some("passive"), true) => Ok(None),
            (Some("encrypt"), false) => self.get_keys(node),
            (Some("encrypt"), true) => self.set_keys(node),
            (Some("w:g2"), _) => self.groups(node, is_set),
            (Some("w:profile:picture"), _) if node.jid("target").as_ref().is_some_and(is_group) => {
                self.group_picture(node, is_set)
            }
            (Some("blocklist"), false) => Ok(Some(self.blocklist())),
            (Some("blocklist"), true) => self.block(node),
            (Some("w:profile:picture"), false) => self.get_picture(node),
            (Some("w:profile:picture"), true) => self.set_picture(node),
            (Some("w:interop"), true) if node.find("delete").is_some() => {
                gone = true;
                Ok(None)
            }
            (Some("w:interop"), true) if node.find("reachability").is_some() => {
                self.reachability(node)
            }
            (Some("w:interop"), _) => self.interop(node),
            _ => Err(501),
        };
        let asked = node.jid("to").filter(|to| to.server_name() == GROUPS);
        let answer = Node::new("iq")
            .with("from", asked.unwrap_or_else(|| self.server()))
            .with_opt("id", node.attr("id").map(std::borrow::Cow::into_owned));
        let answer = match outcome {
            Ok(Some(child)) => answer.with("type", "result").child(child),
            Ok(None) => answer.with("type", "result"),
            Err(code) => answer.with("type", "error").child(
                Node::new("error")
                    .with("code", u64::from(code))
                    .with("text", text_of(code)),
            ),
        };
        self.answer(answer);
        if gone {
            self.delete();
        }
    }

    /// The account ends; its client is told and disconnected.
    fn delete(&mut self) {
        self.directory.leave_groups(self.me, self.now, self.step);
        self.directory.remove_account(self.me, self.step);
        self.step.effects.push(Effect::End(self.sender.clone()));
    }

    fn blocklist(&self) -> Node {
        let blocked = self
            .directory
            .accounts
            .get(self.me)
            .map(|account| &account.blocked);
        blocked
            .into_iter()
            .flatten()
            .fold(Node::new("list"), |list, jid| {
                list.child(Node::new("item").with("jid", jid))
            })
    }

    fn block(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        let item = node.find("item").ok_or(400_u16)?;
        let jid = item.jid("jid").ok_or(400_u16)?.bare();
        let block = match item.attr("action").as_deref() {
            Some("block") => true,
            Some("unblock") => false,
            _ => return Err(400),
        };
        self.directory.set_blocked(self.me, &jid, block, self.step);
        Ok(Some(self.blocklist()))
    }

    /// `<integrator fetch="all"/>`, `<users><user external_id integrator_id/></users>`, `<opt_in_integrators/>`,
    /// `<opt_out_integrators/>`, of phones alone.
    fn interop(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        if matches!(self.me, Jid::Interop { .. }) {
            return Err(403);
        }
        for (tag, opted_in) in [("opt_in_integrators", true), ("opt_out_integrators", false)] {
            if node.find(tag).is_some() {
                self.opt(opted_in);
                return Ok(None);
            }
        }
        if node.find("integrator").is_some() {
            return Ok(Some(self.integrators()));
        }
        let users = node.find("users").ok_or(501_u16)?.children();
        if users.is_empty() || users.len() > MOST_LOOKED_UP {
            return Err(400);
        }
        let found = users.iter().fold(Node::new("users"), |list, user| {
            list.child(self.look_up(user))
        });
        Ok(Some(found))
    }

    fn look_up(&self, user: &Node) -> Node {
        let id = user.attr("external_id").unwrap_or_default().into_owned();
        let answer = Node::new("user").with("external_id", id.as_str());
        let found = self.directory.accounts.values().find(|account| {
            account.flavour == self.flavour
                && matches!(&account.kind, Kind::Partner { integrator, visible_id, .. }
                    if *visible_id == id
                        && user.number("integrator_id").is_none_or(|wanted| wanted == u64::from(*integrator)))
        });
        match found {
            Some(account) => answer
                .with("jid", &account.jid)
                .with("normalized_external_id", id),
            None => answer.child(
                Node::new("error")
                    .with("code", "404")
                    .with("text", "item-not-found"),
            ),
        }
    }
}

fn text_of(code: u16) -> &'static str {
    match code {
        400 => "bad-request",
        401 => "not-authorized",
        403 => "forbidden",
        404 => "item-not-found",
        406 => "not-acceptable",
        409 => "conflict",
        413 => "request-entity-too-large",
        _ => "feature-not-implemented",
    }
}
