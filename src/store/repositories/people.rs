//! What can be asked of people and groups.

use async_trait::async_trait;

use super::Result;
use crate::{
    domain::{ChatId, GatekeeperId, GroupMember, GroupRole, LoginId, RemoteUserId, StanzaId},
    store::{
        GhostRow, GroupMemberRow, GroupRow, GroupShown, LoginRow, PuppetRow, ReachabilityRow,
        ReceiptStage,
    },
};

/// Groups and who is in them.
#[async_trait]
pub trait GroupRepository {
    /// A group.
    async fn group(&mut self, gatekeeper: &GatekeeperId, chat: &ChatId)
    -> Result<Option<GroupRow>>;
    /// Stores what a group is; what its room shows, only if the group is new.
    async fn put_group(&mut self, group: &GroupRow) -> Result<()>;
    /// Stores what the room of a group shows of it, and nothing else of the group.
    async fn set_group_shown(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        shown: &GroupShown,
    ) -> Result<()>;
    /// Forgets a group and its members.
    async fn delete_group(&mut self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Result<()>;
    /// Everybody who is in a group or whom its room still shows, by address.
    async fn group_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Vec<GroupMemberRow>>;
    /// Stores who is in a group: whoever is not among them is gone.
    async fn set_group_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        members: &[GroupMember],
    ) -> Result<()>;
    /// Stores what one member may do, or that they are gone (`None`).
    async fn set_group_role(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        user: &RemoteUserId,
        role: Option<GroupRole>,
    ) -> Result<()>;
    /// Stores what the room shows of a member, or of somebody who is in the group no more; who is neither in the group nor shown
    /// is forgotten.
    async fn set_member_shown(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        user: &RemoteUserId,
        shown: Option<GroupRole>,
    ) -> Result<()>;
    /// The room shows nobody any more: it is another room.
    async fn forget_shown(&mut self, gatekeeper: &GatekeeperId, chat: &ChatId) -> Result<()>;
    /// The members of whom the room shows something else than is true, up to `limit`.
    async fn unshown_members(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
        limit: i64,
    ) -> Result<Vec<GroupMemberRow>>;
    /// The logins that are in a group and not logged out.
    async fn group_logins(
        &mut self,
        gatekeeper: &GatekeeperId,
        chat: &ChatId,
    ) -> Result<Vec<LoginRow>>;
    /// The groups a user is in.
    async fn groups_with(
        &mut self,
        gatekeeper: &GatekeeperId,
        user: &RemoteUserId,
    ) -> Result<Vec<ChatId>>;
}

/// Sender keys of groups (sealed at rest), and who has the login's own.
#[async_trait]
pub trait SenderKeyRepository {
    /// The sender key of a member; the login's own is under its own address.
    async fn sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
    ) -> Result<Option<Vec<u8>>>;
    /// Stores a sender key.
    async fn put_sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
        record: &[u8],
    ) -> Result<()>;
    /// Forgets a sender key.
    async fn delete_sender_key(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        sender: &str,
    ) -> Result<()>;
    /// The addresses that have the login's current sender key of a group.
    async fn sender_key_shares(&mut self, login: LoginId, chat: &ChatId) -> Result<Vec<String>>;
    /// Remembers that an address has it.
    async fn put_sender_key_share(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        address: &str,
    ) -> Result<()>;
    /// Forgets that anybody has it.
    async fn delete_sender_key_shares(&mut self, login: LoginId, chat: &ChatId) -> Result<()>;
    /// The groups of which an address has the login's current sender key.
    async fn groups_sharing(&mut self, login: LoginId, address: &str) -> Result<Vec<ChatId>>;
    /// Forgets the login's own sender key of every group (a copy of the database was put back).
    async fn delete_own_sender_keys(&mut self, login: LoginId, own: &str) -> Result<()>;
    /// Remembers to whom a message to a group goes, as long as the message is in the outbox.
    async fn put_group_recipients(
        &mut self,
        login: LoginId,
        chat: &ChatId,
        stanza_id: &StanzaId,
        members: &[RemoteUserId],
    ) -> Result<()>;
    /// To whom a message to a group went; nobody if that is not known.
    async fn group_recipients(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Vec<RemoteUserId>>;
    /// Remembers how far a message to a group is with a member; never back.
    async fn put_group_receipt(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
        member: &RemoteUserId,
        stage: ReceiptStage,
    ) -> Result<()>;
    /// Who has a message to a group, or has read it, as far as they said so.
    async fn group_receivers(
        &mut self,
        login: LoginId,
        stanza_id: &StanzaId,
    ) -> Result<Vec<RemoteUserId>>;
}

/// Matrix users' own accounts on either side, blocked users, and who was asked to be reachable.
#[async_trait]
pub trait PeopleRepository {
    /// What the bridge may act as a Matrix user with.
    async fn puppet(&mut self, mxid: &str) -> Result<Option<PuppetRow>>;
    /// Stores it.
    async fn put_puppet(&mut self, puppet: &PuppetRow) -> Result<()>;
    /// Forgets it.
    async fn delete_puppet(&mut self, mxid: &str) -> Result<()>;
    /// Whose account at a gatekeeper this is.
    async fn owner_of_account(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
    ) -> Result<Option<String>>;
    /// The accounts of a Matrix user.
    async fn own_accounts(&mut self, mxid: &str) -> Result<Vec<(GatekeeperId, RemoteUserId)>>;
    /// Stores whose an account is, or that it is nobody's (`None`).
    async fn set_account_owner(
        &mut self,
        gatekeeper: &GatekeeperId,
        remote_id: &RemoteUserId,
        mxid: Option<&str>,
    ) -> Result<()>;
    /// The users a login has blocked.
    async fn blocked(&mut self, login: LoginId) -> Result<Vec<RemoteUserId>>;
    /// Stores whether a user is blocked.
    async fn set_blocked(
        &mut self,
        login: LoginId,
        user: &RemoteUserId,
        blocked: bool,
    ) -> Result<()>;
    /// Whom a login has asked to be reachable, newest first.
    async fn reachabilities(&mut self, login: LoginId) -> Result<Vec<ReachabilityRow>>;
    /// Stores what somebody was asked or said.
    async fn put_reachability(&mut self, login: LoginId, row: &ReachabilityRow) -> Result<()>;
    /// The ghosts a login has chats or groups with, by name; only those with `text` in their name or address, if given, large and
    /// small letters alike and a phone number however it is written.
    async fn contacts(
        &mut self,
        login: LoginId,
        text: Option<&str>,
        limit: i64,
    ) -> Result<Vec<GhostRow>>;
}
