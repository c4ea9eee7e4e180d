//! `<iq>` about people: pictures, opting in to interop, and the requests of those who want to be let through.
//!
//! ```xml
//! <iq type="get" xmlns="w:profile:picture" target><picture type="image" query="url" [id]/></iq>  to  <picture id [type url]/>
//! <iq type="set" xmlns="w:profile:picture"><picture type="image">a JPEG</picture></iq>           to  <picture id/>
//! <iq type="set" xmlns="w:interop"><reachability><user jid/></reachability></iq>                 to  <reachability><user jid status/></reachability>
//! ```
//!
//! A phone answers with `<user jid status="accepted|declined"/>`, and says by itself `<opt_in_integrators/>` or
//! `<opt_out_integrators/>`.

use super::Desk;
use crate::{
    network::interop::wire::{Jid, Node},
    sandbox::directory::Account,
};

/// The largest picture that is taken, in bytes.
const MAX_PICTURE: usize = 1 << 20;
/// What a JPEG begins with.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
/// What a user is told who writes to somebody who did not switch interop on.
pub(super) const NOT_OPTED_IN: &str = "not-opted-in";

/// The bytes of a picture that is set: `None` if it is removed, 406 for what is no JPEG, 413 for what is too large.
pub(super) fn jpeg_in(node: &Node) -> Result<Option<&[u8]>, u16> {
    let bytes = node.find("picture").and_then(Node::content_bytes);
    match bytes.filter(|bytes| !bytes.is_empty()) {
        None => Ok(None),
        Some(bytes) if bytes.len() > MAX_PICTURE => Err(413),
        Some(bytes) if !bytes.starts_with(&JPEG) => Err(406),
        jpeg => Ok(jpeg),
    }
}

impl Desk<'_> {
    /// The picture a user shows, unless the asker has it.
    pub(super) fn get_picture(&self, node: &Node) -> Result<Option<Node>, u16> {
        let owner = self.target(node);
        let id = self.directory.picture_of(&owner, self.me)?.ok_or(404_u16)?;
        let known = node.find("picture").and_then(|asked| asked.attr("id"));
        Ok(Some(self.picture_node(&id, known.as_deref() == Some(&*id))))
    }

    /// `<picture>` with where it is, or its id alone if it is known.
    pub(super) fn picture_node(&self, id: &str, is_known: bool) -> Node {
        let picture = Node::new("picture").with("id", id);
        if is_known {
            return picture;
        }
        picture
            .with("type", "image")
            .with("url", self.directory.picture_url(self.flavour, id))
    }

    /// Sets the sender's own picture, or removes it.
    pub(super) fn set_picture(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        if self.target(node) != *self.me {
            return Err(403);
        }
        let id = jpeg_in(node)?.map(|jpeg| self.directory.keep_picture(jpeg, self.step));
        let answer = Node::new("picture").with_opt("id", id.clone());
        self.directory.set_picture(self.me, id, self.now, self.step);
        Ok(Some(answer))
    }

    /// Whom a request is about; the sender if it does not say.
    fn target(&self, node: &Node) -> Jid {
        let target = node.jid("target").map(|target| target.bare());
        target.unwrap_or_else(|| self.me.clone())
    }

    /// A Partner user's request to be let through, or a phone's answer to one.
    pub(super) fn reachability(&mut self, node: &Node) -> Result<Option<Node>, u16> {
        let asked = node.find("reachability").ok_or(400_u16)?;
        let user = asked.find("user").ok_or(400_u16)?;
        let jid = user.jid("jid").ok_or(400_u16)?.bare();
        if !matches!(self.me, Jid::Interop { .. }) {
            let accepts = match user.attr("status").as_deref() {
                Some("accepted") => true,
                Some("declined") => false,
                _ => return Err(400),
            };
            self.directory
                .answer_asker(self.me, &jid, accepts, self.now, self.step)?;
            return Ok(None);
        }
        let status = self
            .directory
            .ask_to_reach(self.me, &jid, self.now, self.step)?;
        let user = Node::new("user").with("jid", jid).with("status", status);
        Ok(Some(Node::new("reachability").child(user)))
    }

    /// A phone switches interop on or off.
    pub(super) fn opt(&mut self, opted_in: bool) {
        self.directory
            .set_opted_in(self.me, opted_in, self.now, self.step);
    }

    /// The integrators as a phone sees them.
    pub(super) fn integrators(&self) -> Node {
        let account = self.directory.accounts.get(self.me);
        let opted_in = account.is_some_and(|account| !account.people.opted_out);
        let opted_in = if opted_in { "true" } else { "false" };
        let list = Node::new("integrator_list").with("opted_in", opted_in);
        let known = &self.directory.setting.integrators;
        known.iter().fold(list, |list, integrator| {
            list.child(
                Node::new("integrator")
                    .with("id", u64::from(integrator.id))
                    .with("name", integrator.name.as_str())
                    .with("status", "active")
                    .with("identifier_type", "username")
                    .with("opted_in", opted_in),
            )
        })
    }

    /// Why the sender does not get somebody's keys: a code and its text.
    pub(super) fn keys_kept(&self, owner: &Account) -> Option<(u16, &'static str)> {
        let mine = self.directory.accounts.get(self.me)?;
        if owner.is_closed_to(mine) {
            return Some((403, NOT_OPTED_IN));
        }
        let blocked = owner.blocked.contains(self.me);
        blocked.then_some((406, "not-acceptable"))
    }

    /// What is said with a refusal, if it is that one of the two did not switch interop on.
    pub(super) fn why_refused(&self, node: &Node) -> Option<&'static str> {
        let to = self.directory.accounts.get(&node.jid("to")?.bare())?;
        let mine = self.directory.accounts.get(self.me)?;
        (to.is_closed_to(mine) || mine.is_closed_to(to)).then_some(NOT_OPTED_IN)
    }
}
