//! The prekey directory: upload, count, digest, rotation, and the fetch that hands a one-time prekey out once.

use std::collections::BTreeMap;

use super::Desk;
use crate::{
    domain::Timestamp,
    network::interop::wire::{Jid, Node},
    sandbox::directory::{
        DeviceKeys, Directory, Effect, Line, SignedKey, key_id, key_value, prekey_node,
    },
};

/// With fewer one-time prekeys than this their owner is told.
const LOW: usize = 5;
/// How many one-time prekeys an account may have in the directory.
const MOST: usize = 5000;
/// How many users one fetch may name.
const MOST_FETCHED: usize = 100;

impl Desk<'_> {
    /// `<iq type="set" xmlns="encrypt">`: an upload or a rotation.
    pub(super) fn set_keys(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        if let Some(rotate) = node.find("rotate") {
            let signed = rotate
                .find("skey")
                .and_then(SignedKey::read)
                .ok_or(400_u16)?;
            let account = self.directory.accounts.get_mut(self.me).ok_or(404_u16)?;
            let keys = account.keys.as_mut().ok_or(409_u16)?;
            if !signed.is_signed_by(&keys.identity) {
                return Err(406);
            }
            keys.signed = signed;
            self.directory.save_account(self.me, self.step);
            return Ok(None);
        }
        let keys = DeviceKeys::read(node).ok_or(400_u16)?;
        if !keys.signed.is_signed_by(&keys.identity) {
            return Err(406);
        }
        let account = self.directory.accounts.get_mut(self.me).ok_or(404_u16)?;
        let old = account.keys.replace(keys);
        let changed = match (&old, &account.keys) {
            (Some(old), Some(new)) => old.identity != new.identity,
            _ => false,
        };
        self.directory.save_account(self.me, self.step);
        if changed {
            self.directory.clear_prekeys(self.me, self.step);
        }
        for key in node.find("list").map_or(&[][..], Node::children) {
            let (Some(id), Some(value)) = (key_id(key), key_value(key, "value")) else {
                continue;
            };
            let held = self.directory.prekeys.get(self.me).map_or(0, BTreeMap::len);
            if held < MOST {
                self.directory.add_prekey(self.me, id, value, self.step);
            }
        }
        if changed {
            self.directory
                .announce_identity(self.me, self.now, self.step);
        }
        Ok(None)
    }

    /// `<iq type="get" xmlns="encrypt">`: count, digest or fetch.
    pub(super) fn get_keys(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        if node.find("count").is_some() {
            let held = self.directory.prekeys.get(self.me).map_or(0, BTreeMap::len);
            return Ok(Some(Node::new("count").with("value", held as u64)));
        }
        if node.find("digest").is_some() {
            let account = self.directory.accounts.get(self.me).ok_or(404_u16)?;
            let keys = account.keys.as_ref().ok_or(404_u16)?;
            let digest = keys
                .nodes()
                .into_iter()
                .fold(Node::new("digest"), Node::child);
            let held = self.directory.prekeys.get(self.me);
            let list = held
                .into_iter()
                .flat_map(|held| held.keys())
                .fold(Node::new("list"), |list, id| {
                    list.child(Node::new("id").bytes(&id.to_be_bytes()[1..]))
                });
            return Ok(Some(digest.child(list)));
        }
        let wanted = node.find("key").ok_or(501_u16)?.children();
        if wanted.len() > MOST_FETCHED {
            return Err(413);
        }
        let mut list = Node::new("list");
        for user in wanted {
            if let Some(jid) = user.jid("jid") {
                list = list.child(self.bundle(&jid));
            }
        }
        Ok(Some(list))
    }

    fn bundle(&mut self, jid: &Jid) -> Node {
        let user = Node::new("user").with("jid", jid);
        let owner = jid.bare();
        let found = self
            .directory
            .accounts
            .get(&owner)
            .filter(|account| account.flavour == self.flavour && jid.device() == 0);
        let Some(keys) = found.and_then(|account| account.keys.clone()) else {
            return user.child(
                Node::new("error")
                    .with("code", "404")
                    .with("text", "item-not-found"),
            );
        };
        if let Some((code, text)) = found.and_then(|account| self.keys_kept(account)) {
            let error = Node::new("error").with("code", u64::from(code));
            return user.child(error.with("text", text));
        }
        let mut user = keys.nodes().into_iter().fold(user, Node::child);
        if let Some(((id, value), left)) = self.directory.take_prekey(&owner, self.step) {
            user = user.child(prekey_node(id, &value));
            if left < LOW {
                let notification = low(self.flavour.user_server(), left, self.now);
                self.step.effects.push(Effect::Live(owner, notification));
            }
        }
        user
    }
}

/// Tells a client that has just logged in if its one-time prekeys are few.
pub(in crate::sandbox) fn prekeys_low(
    directory: &Directory,
    jid: &Jid,
    now: Timestamp,
    line: &Line,
) {
    let held = directory.prekeys.get(jid).map_or(0, BTreeMap::len);
    if let Some(account) = directory.accounts.get(jid).filter(|_| held < LOW) {
        line.send(low(account.flavour.user_server(), held, now.0));
    }
}

/// `<notification type="encrypt" from id t><count value/></notification>`.
fn low(server: &str, left: usize, now: i64) -> Node {
    Node::new("notification")
        .with("type", "encrypt")
        .with("from", Jid::server(server))
        .with("id", format!("prekeys-{now}-{left}"))
        .with("t", (now / 1000).to_string())
        .child(Node::new("count").with("value", left as u64))
}
