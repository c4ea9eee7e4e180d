//! What a test, a script or the page lets a contact do to its account, and what it sees of people.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::oneshot;

use super::{
    ContactHandle, Picture, Request, Stored, actor::Command, handle::recipient, people::Deed,
};
use crate::{network::interop::wire::Jid, sandbox::error::SandboxError};

/// The largest picture a contact may have, in bytes.
const MAX_PICTURE: usize = 256 * 1024;
/// What a JPEG begins with.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// A contact as itself and others are shown to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    name: String,
    people: super::people::People,
    online: bool,
}

impl Person {
    pub(super) fn of(stored: &Stored) -> Self {
        Self {
            name: stored.name.clone(),
            people: stored.people.clone(),
            online: stored.online,
        }
    }
}

impl ContactHandle {
    /// The name.
    #[must_use]
    pub fn name(&self) -> String {
        self.person().name.clone()
    }

    /// The id of the picture, once the gatekeeper has it.
    #[must_use]
    pub fn picture(&self) -> Option<String> {
        self.person().people.picture.clone()
    }

    /// Whether Partners' users may write to the contact.
    #[must_use]
    pub fn opted_in(&self) -> bool {
        !self.person().people.opted_out
    }

    /// Who asked whether they may write, and got no answer yet, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.person().people.requests.clone()
    }

    /// Whom the contact blocked.
    #[must_use]
    pub fn blocked(&self) -> BTreeSet<Jid> {
        self.person().people.blocked.clone()
    }

    /// How somebody the contact wrote with looks.
    #[must_use]
    pub fn picture_of(&self, user: &Jid) -> Option<Picture> {
        self.person().people.pictures.get(user).cloned()
    }

    /// Gives the contact another name.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn set_name(&self, name: &str) -> Result<(), SandboxError> {
        self.does(Deed::Name(name.to_owned()))
    }

    /// Gives the contact another picture, a JPEG, or none.
    ///
    /// # Errors
    /// [`SandboxError::Picture`] for what is no JPEG of a usable size, [`SandboxError::Closed`].
    pub fn set_picture(&self, jpeg: Option<&[u8]>) -> Result<(), SandboxError> {
        let usable = |jpeg: &[u8]| jpeg.starts_with(&JPEG) && jpeg.len() <= MAX_PICTURE;
        if !jpeg.is_none_or(usable) {
            return Err(SandboxError::Picture);
        }
        self.does(Deed::Picture(jpeg.unwrap_or_default().to_vec()))
    }

    /// Lets Partners' users write to the contact, or not any more. Who asked is told of the first.
    ///
    /// # Errors
    /// [`SandboxError::Closed`].
    pub fn opt_in(&self, opted_in: bool) -> Result<(), SandboxError> {
        self.does(Deed::OptIn(opted_in))
    }

    /// Accepts somebody's request, which lets all Partners' users write, or declines it.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for who did not ask, [`SandboxError::Closed`].
    pub fn answer_request(&self, asker: &str, accepts: bool) -> Result<(), SandboxError> {
        let jid = recipient(asker)?;
        if !self.requests().iter().any(|request| request.jid == jid) {
            return Err(SandboxError::Recipient(asker.to_owned()));
        }
        self.does(Deed::Answer(jid, accepts))
    }

    /// Blocks a user, or takes the block back.
    ///
    /// # Errors
    /// [`SandboxError::Recipient`] for what is no user's address, [`SandboxError::Closed`].
    pub fn block(&self, user: &str, block: bool) -> Result<(), SandboxError> {
        self.does(Deed::Block(recipient(user)?, block))
    }

    /// Waits until the gatekeeper has taken what was done to the account so far; at once if the phone is kept away.
    ///
    /// # Errors
    /// [`SandboxError::Deadline`] if it does not in time, [`SandboxError::Closed`].
    pub async fn settle(&self, deadline: Duration) -> Result<(), SandboxError> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Settle(done))?;
        wait.await.map_err(|_| SandboxError::Closed)?;
        let settled = |contact: &Self| {
            let person = contact.person();
            (!person.online || person.people.deeds.is_empty()).then_some(())
        };
        self.wait_for(settled, deadline).await
    }

    fn does(&self, deed: Deed) -> Result<(), SandboxError> {
        self.command(Command::Does(deed))
    }
}
