//! What the translation of a message needs to know of this room: events, people, polls, what became of files.

use std::collections::BTreeMap;

use ruma::OwnedEventId;

use super::{
    Copy, Place, Shown,
    files::{Obtained, Received},
};
use crate::{
    bridge::{
        changes::Change,
        context::{Bridge, BridgeError, event_id, lock},
        outgoing::blocking,
        routes::PortalRoute,
    },
    domain::{EncryptedVote, IncomingContent, IncomingMessage, MessageRef, Poll, RemoteUserId},
    imaging,
    store::{MessageLink, PollRow, RemoteMessageRow},
    translate::{Appearance, MatrixContext, MediaAtMatrix, mentioned},
};

/// How many mentioned users of a message are shown as such.
const MOST_MENTIONS: usize = 50;

/// What was looked up for a message, and what follows from it.
pub(super) struct About {
    pub(super) context: MatrixContext,
    pub(super) changes: Vec<Change>,
    pub(super) keep: bool,
}

/// Whether what is shown is the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// A notice in the place of a file that was asked for again.
    Placeholder,
}

impl About {
    pub(super) fn form(&self) -> Form {
        match self.context.media {
            Some(MediaAtMatrix::AskedAgain) => Form::Placeholder,
            _ => Form::Whole,
        }
    }
}

impl Bridge {
    pub(super) async fn about(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        (message, copy): (&IncomingMessage, Copy),
        batch: &[Shown],
    ) -> Result<About, BridgeError> {
        let route = place.route;
        let gatekeeper = &route.portal.key.gatekeeper;
        let mut about = About {
            context: MatrixContext {
                gatekeeper: self.gatekeeper_name(gatekeeper).to_owned(),
                sender: self.ghost_name(route, &row.message.sender),
                people: self.people(route, mentioned(message)).await?,
                ..MatrixContext::default()
            },
            changes: Vec::new(),
            keep: false,
        };
        let context = &mut about.context;
        if row.revision > 0 || copy == Copy::Mends {
            let own = MessageRef {
                id: row.message.stanza_id.clone(),
                sender: Some(row.message.sender.clone()),
            };
            context.replaces = self.shown_event(route, &own, batch).await?;
        }
        if let Some(quote) = &message.context.quote {
            context.reply_to = self.shown_event(route, &quote.message, batch).await?;
        }
        if message.context.mentions_login {
            context.login = self.login_appearance(route).await?;
        }
        match &message.content {
            IncomingContent::Media { details, file, .. } => {
                let received = Received {
                    details,
                    file: file.as_ref(),
                    encrypted: self.encrypts_files(place.room_id).await?,
                };
                let obtained = self.obtain(route, &**place.network, row, received).await?;
                let Obtained {
                    media,
                    change,
                    keep,
                } = obtained;
                context.media = Some(media);
                about.changes.extend(change);
                about.keep = keep;
            }
            IncomingContent::Text {
                preview: Some(preview),
                ..
            } if self.settings.conversation.link_previews => {
                if let Some(picture) = preview.thumbnail.clone() {
                    let small = blocking(move || imaging::thumbnail(&picture, 400)).await;
                    if let Some(small) = small.flatten() {
                        let picture = (small.jpeg, (small.width, small.height));
                        let encrypted = self.encrypts_files(place.room_id).await?;
                        context.preview = self
                            .upload_picture(row, "preview", picture, encrypted)
                            .await?;
                    }
                }
            }
            IncomingContent::Reaction { target, .. } => {
                context.target = self.shown_event(route, target, batch).await?;
            }
            IncomingContent::Edit { target, content } => {
                if target.sender.as_ref() == Some(&row.message.sender) {
                    context.target = self.shown_event(route, target, batch).await?;
                }
                let is_caption = matches!(**content, IncomingContent::Media { .. });
                if let (true, Some(event_id)) = (is_caption, &context.target) {
                    context.original = self.original(place, event_id).await?;
                }
            }
            IncomingContent::PollVote { poll, vote } => {
                if let Some(known) = self.poll_of(route, poll, batch).await? {
                    context.target = event_id(&known.event_id);
                    context.answers = self.answers(place, row, &known, vote).await?;
                }
            }
            _ => {}
        }
        Ok(about)
    }

    async fn original(
        &self,
        place: &Place<'_>,
        event_id: &OwnedEventId,
    ) -> Result<Option<serde_json::Value>, BridgeError> {
        match self.bot().event(place.room_id, event_id).await {
            Ok(event) => Ok(event.map(|mut event| {
                // Homeservers give the latest edit along with the event.
                let edit = &mut event["unsigned"]["m.relations"]["m.replace"];
                let latest = edit["content"]["m.new_content"].take();
                if latest.is_object() {
                    latest
                } else {
                    event["content"].take()
                }
            })),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    async fn answers(
        &self,
        place: &Place<'_>,
        row: &RemoteMessageRow,
        known: &PollRow,
        vote: &EncryptedVote,
    ) -> Result<Option<Vec<String>>, BridgeError> {
        let own = if let Some(author) = &known.author {
            author.to_string()
        } else {
            let now = self.author_address(place.route, &known.message).await?;
            now.unwrap_or_default()
        };
        let poll = Poll {
            question: known.question.clone(),
            options: known.options.iter().map(|o| o.text.clone()).collect(),
            selectable: known.selectable,
            secret: known.secret,
        };
        let voter = &row.message.sender;
        let chosen = place
            .network
            .read_vote(&own, (&known.message, &poll), voter, vote);
        Ok(chosen.map(|places| {
            let id = |place: usize| known.options.get(place).map(|option| option.id.clone());
            places.into_iter().filter_map(id).collect()
        }))
    }

    async fn poll_of(
        &self,
        route: &PortalRoute,
        message: &MessageRef,
        batch: &[Shown],
    ) -> Result<Option<PollRow>, BridgeError> {
        let pending = batch.iter().flat_map(|shown| &shown.changes);
        let in_batch = pending.into_iter().find_map(|change| match change {
            Change::Poll(row) if row.message == *message => Some(row.clone()),
            _ => None,
        });
        if in_batch.is_some() {
            return Ok(in_batch);
        }
        let (portal, message) = (route.portal.id, message.clone());
        Ok(self
            .db
            .read(move |txn| {
                let message = message.clone();
                Box::pin(async move {
                    let found = txn.poll(portal, &message).await?;
                    if found.is_some() || message.sender.is_none() {
                        return Ok(found);
                    }
                    // A login of ours may have had that address when it made the poll.
                    let ours = MessageRef {
                        id: message.id.clone(),
                        sender: None,
                    };
                    let found = txn.poll(portal, &ours).await?;
                    Ok(found.filter(|poll| poll.author == message.sender))
                })
            })
            .await?)
    }

    /// The event that shows a message in this portal: of this batch, or of the store.
    pub(super) async fn shown_event(
        &self,
        route: &PortalRoute,
        message: &MessageRef,
        batch: &[Shown],
    ) -> Result<Option<OwnedEventId>, BridgeError> {
        let links = self.shown_events(route, message, batch).await?;
        if let Some(link) = links.first() {
            return Ok(event_id(&link.event_id));
        }
        if message.sender.is_some() {
            return Ok(None);
        }
        // The gatekeeper's acknowledgement of one's own message can be later than what somebody does with it.
        let (portal, login, id) = (route.portal.id, route.login, message.id.clone());
        let sent = self
            .db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move {
                    let author = txn.author(portal, &id).await?.unwrap_or(login);
                    txn.retryable(author, &id).await
                })
            })
            .await?;
        let row = sent.map(|(row, _)| row.row);
        let here = row.filter(|row| row.portal == Some(route.portal.id) && row.part >= 0);
        Ok(here
            .and_then(|row| row.event_id)
            .and_then(|id| event_id(&id)))
    }

    /// The events that show a message in this portal, its edits behind it: of the store and of this batch.
    pub(super) async fn shown_events(
        &self,
        route: &PortalRoute,
        message: &MessageRef,
        batch: &[Shown],
    ) -> Result<Vec<MessageLink>, BridgeError> {
        let (portal, of) = (route.portal.id, message.clone());
        let mut links = self
            .db
            .read(move |txn| {
                let of = of.clone();
                Box::pin(async move {
                    txn.links_by_stanza(portal, of.sender.as_ref(), &of.id)
                        .await
                })
            })
            .await?;
        for change in batch.iter().flat_map(|shown| &shown.changes) {
            if let Change::Link(link) = change
                && link.stanza_id == message.id
                && link.sender == message.sender
                && links.iter().all(|known| known.event_id != link.event_id)
            {
                links.push(link.clone());
            }
        }
        links.sort_by_key(|link| link.part);
        Ok(links)
    }

    /// What a contact's ghost is called.
    pub(in crate::bridge) fn ghost_name(&self, route: &PortalRoute, user: &RemoteUserId) -> String {
        let mxid = self.naming.mxid(&route.portal.key.gatekeeper, user);
        let known = lock(&self.ghosts).get(&mxid).cloned().flatten();
        known.unwrap_or_else(|| mxid.localpart().to_owned())
    }

    async fn people(
        &self,
        route: &PortalRoute,
        users: &[RemoteUserId],
    ) -> Result<BTreeMap<RemoteUserId, Appearance>, BridgeError> {
        let mut seen: Vec<&RemoteUserId> = Vec::new();
        for user in users {
            if seen.len() < MOST_MENTIONS && !seen.contains(&user) {
                seen.push(user);
            }
        }
        let users: Vec<RemoteUserId> = seen.into_iter().cloned().collect();
        if users.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (gatekeeper, of) = (route.portal.key.gatekeeper.clone(), users.clone());
        let at = gatekeeper.clone();
        // Nobody gets an account for being mentioned.
        let rows = self
            .db
            .read(move |txn| {
                let (at, of) = (at.clone(), of.clone());
                Box::pin(async move {
                    let mut rows = Vec::new();
                    for user in &of {
                        rows.push(txn.ghost(&at, user).await?);
                    }
                    Ok(rows)
                })
            })
            .await?;
        let mut people = BTreeMap::new();
        for (user, row) in users.into_iter().zip(rows) {
            if let Some(login) = route.login_called(&user).filter(|_| route.is_group()) {
                let (mxid, name) = (login.owner.clone(), self.name_of(&login.owner).await?);
                people.insert(user, Appearance { mxid, name });
                continue;
            }
            let mxid = self.naming.mxid(&gatekeeper, &user);
            if mxid.as_str().len() > 255 {
                continue;
            }
            let name = row.and_then(|row| row.name);
            let name = name.unwrap_or_else(|| self.made_up_name(&gatekeeper, &user));
            people.insert(user, Appearance { mxid, name });
        }
        Ok(people)
    }

    /// What the gatekeeper calls the login of ours that wrote a message.
    async fn author_address(
        &self,
        route: &PortalRoute,
        message: &MessageRef,
    ) -> Result<Option<String>, BridgeError> {
        if route.logins.len() < 2 {
            return self.remote_login(route).await;
        }
        let (portal, login, id) = (route.portal.id, route.login, message.id.clone());
        let row = self
            .db
            .read(move |txn| {
                let id = id.clone();
                Box::pin(async move {
                    let author = txn.author(portal, &id).await?.unwrap_or(login);
                    txn.login(author).await
                })
            })
            .await?;
        Ok(row.and_then(|row| row.remote_login))
    }

    /// What the gatekeeper calls a portal's login.
    pub(super) async fn remote_login(
        &self,
        route: &PortalRoute,
    ) -> Result<Option<String>, BridgeError> {
        let login = route.login;
        let row = self
            .db
            .read(move |txn| Box::pin(async move { txn.login(login).await }))
            .await?;
        Ok(row.and_then(|row| row.remote_login))
    }

    async fn login_appearance(
        &self,
        route: &PortalRoute,
    ) -> Result<Option<(String, Appearance)>, BridgeError> {
        let Some(remote) = self.remote_login(route).await? else {
            return Ok(None);
        };
        let user = remote.split('@').next().unwrap_or_default().to_owned();
        let appearance = Appearance {
            mxid: route.owner.clone(),
            name: self.name_of(&route.owner).await?,
        };
        Ok(Some((user, appearance)))
    }
}
