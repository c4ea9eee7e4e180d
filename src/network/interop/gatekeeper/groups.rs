//! Groups: asked for, made and changed; the sessions a message to one needs.

use super::Gatekeeper;
use crate::{
    domain::{ChatId, Group, GroupChange, LoginId, RemoteUserId},
    network::{
        NetworkError,
        interop::{
            connection::AskError,
            inbound,
            outbound::{self, Missing},
            session::{RequestError, groups, iq},
            wire::{Jid, Node},
        },
    },
    store::{Lane, StoreError},
};

/// The keys of how many users are fetched with one request.
const KEYS_AT_ONCE: usize = 100;

/// How often a group is asked for again because it changed meanwhile.
const MOST_TRIES: usize = 3;

impl Gatekeeper {
    pub(super) async fn groups_of(
        &self,
        login: LoginId,
    ) -> Result<Vec<(ChatId, Group)>, NetworkError> {
        self.check_groups()?;
        let own = self.own(login).await?;
        let known = self.known_groups(login, &own).await?;
        let shape = &self.context.profile.stanzas.groups;
        let asked = self.connect(login).ask(groups::all(shape)).await;
        let told = groups::read_all(shape, &asked.map_err(refusal)?);
        let mut found = Vec::with_capacity(told.len());
        for (chat, group) in told {
            let version = known.iter().find(|(known, _)| *known == chat);
            let version = version.and_then(|(_, version)| version.clone());
            if self.keep(login, &chat, &group, version).await? {
                found.push((chat, group));
            } else {
                found.push((chat.clone(), self.one_group(login, &chat).await?));
            }
        }
        // One that is not told of may have been joined since: it is asked for by itself before it is given up.
        for (chat, _) in known {
            if !found.iter().any(|(told, _)| *told == chat) {
                match self.one_group(login, &chat).await {
                    Ok(group) => found.push((chat, group)),
                    Err(NetworkError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn one_group(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<Group, NetworkError> {
        self.check_groups()?;
        let group = address(chat)?;
        let shape = &self.context.profile.stanzas.groups;
        for _ in 0..MOST_TRIES {
            let version = self.version(chat).await?;
            let asked = self.connect(login).ask(groups::one(shape, &group)).await;
            let answer = match asked {
                Ok(answer) => answer,
                Err(error) => {
                    if is_outside(&error) {
                        self.not_in(login, chat).await?;
                    }
                    return Err(refusal(error));
                }
            };
            let told = answer.find("group");
            let Some((_, told)) = told.and_then(|told| groups::read(shape, told)) else {
                return Err(NetworkError::Unreachable(
                    "the gatekeeper's answer tells nothing of the group".to_owned(),
                ));
            };
            if self.keep(login, chat, &told, version).await? {
                return Ok(told);
            }
        }
        Err(NetworkError::Unreachable(
            "the group keeps changing".to_owned(),
        ))
    }

    pub(super) async fn make_group(
        &self,
        login: LoginId,
        key: &str,
        subject: &str,
        members: &[RemoteUserId],
    ) -> Result<(ChatId, Group), NetworkError> {
        self.check_groups()?;
        let most = self.context.profile.features.group_members;
        if members.len() >= most {
            return Err(NetworkError::Refused(format!(
                "a group can have {most} members, and these would be {}",
                members.len() + 1
            )));
        }
        let members = addresses(members)?;
        let shape = &self.context.profile.stanzas.groups;
        let create = groups::create(shape, key, subject, &members);
        let answer = self.connect(login).ask(create).await.map_err(refusal)?;
        let told = answer.find("group");
        let Some((chat, group)) = told.and_then(|told| groups::read(shape, told)) else {
            return Err(NetworkError::Unreachable(
                "the gatekeeper's answer tells nothing of the new group".to_owned(),
            ));
        };
        let version = self.version(&chat).await?;
        // One that was told of meanwhile is known better by now.
        if version.is_none() {
            self.keep(login, &chat, &group, version).await?;
        }
        Ok((chat, group))
    }

    pub(super) async fn ask_group_change(
        &self,
        login: LoginId,
        chat: &ChatId,
        change: &GroupChange,
    ) -> Result<Vec<(RemoteUserId, String)>, NetworkError> {
        self.check_groups()?;
        let group = address(chat)?;
        let members = match change {
            GroupChange::Add(users)
            | GroupChange::Remove(users)
            | GroupChange::Promote(users)
            | GroupChange::Demote(users) => addresses(users)?,
            _ => Vec::new(),
        };
        let shape = &self.context.profile.stanzas.groups;
        let id = format!("{:032X}", rand::random::<u128>());
        let iq = groups::change(shape, &group, change, &members, &id);
        let answer = self.connect(login).ask(iq).await.map_err(refusal)?;
        let refused = groups::refused(&answer).into_iter();
        Ok(refused
            .map(|(user, code)| (user, why(change, code)))
            .collect())
    }

    /// Makes what a message to a group needs: it is known who is in it, and there are sessions with those who lack the sender key.
    /// Those for whom there are no keys are remembered for a while and left out.
    pub(super) async fn prepare_group(
        &self,
        login: LoginId,
        chat: &ChatId,
    ) -> Result<(), NetworkError> {
        let mut missing = self.missing(login, chat).await?;
        if missing == Missing::Members {
            self.one_group(login, chat).await?;
            missing = self.missing(login, chat).await?;
        }
        let Missing::Sessions(users) = missing else {
            return Err(NetworkError::Unsendable(
                "the gatekeeper does not say who is in this group: it cannot be written to"
                    .to_owned(),
            ));
        };
        for some in users.chunks(KEYS_AT_ONCE) {
            let fetch = iq::key_fetch(&self.context.server(), some, false);
            let answer = self.connect(login).ask(fetch).await?;
            self.establish_all(login, some, &answer).await?;
        }
        Ok(())
    }

    async fn missing(&self, login: LoginId, chat: &ChatId) -> Result<Missing, NetworkError> {
        let (context, chat) = (self.context.clone(), chat.clone());
        self.context
            .db
            .read(move |txn| {
                let (context, chat) = (context.clone(), chat.clone());
                Box::pin(async move {
                    let (rules, now) = (context.group_rules(), context.now());
                    outbound::missing_in_group(txn, login, &chat, rules, now).await
                })
            })
            .await?
    }

    /// Makes sessions with users out of the answer to a key fetch, in one step.
    async fn establish_all(
        &self,
        login: LoginId,
        users: &[Jid],
        answer: &Node,
    ) -> Result<(), NetworkError> {
        let now = self.context.now();
        let found: Vec<(Jid, Option<Node>)> = users
            .iter()
            .map(|user| {
                let mut fetched = iq::fetched_users(answer).iter();
                let found = fetched.find(|found| found.jid("jid").as_ref() == Some(user));
                (user.clone(), found.cloned())
            })
            .collect();
        let context = self.context.clone();
        let noticed = self
            .context
            .db
            .step(Lane::login(login), move |txn| {
                let (context, found) = (context.clone(), found.clone());
                Box::pin(async move {
                    let mut noticed = Vec::new();
                    for (user, node) in found {
                        let made = match &node {
                            Some(node) => {
                                outbound::establish_from_key_response(txn, login, &user, node, now)
                                    .await?
                            }
                            None => Err(NetworkError::NoSuchUser("no keys came".to_owned())),
                        };
                        match made {
                            Ok(chat) => noticed.extend(chat),
                            Err(error) => {
                                tracing::debug!(%login, %error, "a member of a group is left out");
                                let for_now = error.is_transient();
                                context.keyless.remember(login, user, for_now, now);
                            }
                        }
                    }
                    Ok(noticed)
                })
            })
            .await?;
        for chat in noticed {
            self.context.sink.waiting(login, &chat);
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), NetworkError> {
        if self.context.profile.features.group_members == 0 {
            return Err(NetworkError::Refused(format!(
                "{} has no groups here",
                self.name
            )));
        }
        Ok(())
    }

    async fn own(&self, login: LoginId) -> Result<RemoteUserId, NetworkError> {
        let row = self.row(login).await?;
        row.remote_login
            .and_then(|own| RemoteUserId::parse(own).ok())
            .ok_or_else(|| {
                NetworkError::Unreachable("this login is not enlisted at the moment".to_owned())
            })
    }

    /// The groups the store says a login is in, each with its version.
    async fn known_groups(
        &self,
        login: LoginId,
        own: &RemoteUserId,
    ) -> Result<Vec<(ChatId, Option<String>)>, StoreError> {
        let (gatekeeper, own) = (self.context.gatekeeper.clone(), own.clone());
        let known = self
            .context
            .db
            .read(move |txn| {
                let (gatekeeper, own) = (gatekeeper.clone(), own.clone());
                Box::pin(async move {
                    let mut known = Vec::new();
                    for chat in txn.groups_with(&gatekeeper, &own).await? {
                        let version = inbound::group_version(txn, &gatekeeper, &chat).await?;
                        known.push((chat, version));
                    }
                    Ok(known)
                })
            })
            .await?;
        tracing::debug!(%login, count = known.len(), "the groups that are known are compared");
        Ok(known)
    }

    async fn version(&self, chat: &ChatId) -> Result<Option<String>, StoreError> {
        let (gatekeeper, chat) = (self.context.gatekeeper.clone(), chat.clone());
        self.context
            .db
            .read(move |txn| {
                let (gatekeeper, chat) = (gatekeeper.clone(), chat.clone());
                Box::pin(async move { inbound::group_version(txn, &gatekeeper, &chat).await })
            })
            .await
    }

    /// Stores a group as it was told; `false` if it has changed since its version was read.
    async fn keep(
        &self,
        login: LoginId,
        chat: &ChatId,
        group: &Group,
        version: Option<String>,
    ) -> Result<bool, StoreError> {
        let gatekeeper = self.context.gatekeeper.clone();
        let (chat, group) = (chat.clone(), group.clone());
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                let (gatekeeper, chat) = (gatekeeper.clone(), chat.clone());
                let (group, version) = (group.clone(), version.clone());
                Box::pin(async move {
                    let version = version.as_deref();
                    inbound::store_group(txn, &gatekeeper, &chat, &group, version).await
                })
            })
            .await
    }

    /// The login is in a group no more.
    async fn not_in(&self, login: LoginId, chat: &ChatId) -> Result<(), NetworkError> {
        let own = self.own(login).await?;
        let (gatekeeper, chat) = (self.context.gatekeeper.clone(), chat.clone());
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                let (gatekeeper, chat, own) = (gatekeeper.clone(), chat.clone(), own.clone());
                Box::pin(async move {
                    if outbound::is_member(txn, &gatekeeper, &chat, &own).await? {
                        txn.set_group_role(&gatekeeper, &chat, &own, None).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

/// The address of a group.
fn address(chat: &ChatId) -> Result<Jid, NetworkError> {
    let jid = chat.as_str().parse::<Jid>().ok();
    jid.filter(|jid| groups::address(jid).is_some())
        .ok_or_else(|| NetworkError::Refused("this is not the address of a group".to_owned()))
}

fn addresses(users: &[RemoteUserId]) -> Result<Vec<Jid>, NetworkError> {
    let parse = |user: &RemoteUserId| match user.as_str().parse() {
        Ok(jid @ (Jid::User { .. } | Jid::Interop { .. })) => Ok(jid),
        _ => Err(NetworkError::NoSuchUser(format!(
            "{user} is not the address of a user"
        ))),
    };
    users.iter().map(parse).collect()
}

/// Whether the gatekeeper says that there is no such group for the login.
fn is_outside(error: &AskError) -> bool {
    matches!(
        error,
        AskError::Request(RequestError::Refused {
            code: 403 | 404,
            ..
        })
    )
}

/// A refusal in words.
fn refusal(error: AskError) -> NetworkError {
    let AskError::Request(RequestError::Refused { code, .. }) = &error else {
        return error.into();
    };
    let words = match code {
        403 => "you are not in this group, or only its admins may do that",
        404 => "there is no such group",
        406 => "the gatekeeper does not take that name or text",
        _ => return error.into(),
    };
    NetworkError::Refused(words.to_owned())
}

/// Why one user was refused.
fn why(change: &GroupChange, code: u16) -> String {
    let words = match (change, code) {
        (GroupChange::Add(_), 401 | 403) => "they do not let you add them to groups",
        (GroupChange::Add(_), 404) => "they have no account, or take no messages of other apps",
        (GroupChange::Add(_), 408) => "they left a short while ago and cannot be added yet",
        (GroupChange::Add(_), 409) => "they are in the group already",
        (GroupChange::Promote(_), 409) => "they are an admin already",
        (GroupChange::Demote(_), 409) => "they are no admin",
        (_, 403) => "they made the group: nobody can do that to them",
        (_, 404) => "they are not in the group",
        (_, code) => return format!("the gatekeeper refused them (code {code})"),
    };
    words.to_owned()
}
