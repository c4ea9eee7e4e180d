//! People: pictures, names, who is blocked, who is asked to be reachable.

use super::Gatekeeper;
use crate::{
    domain::{ChatId, LoginId, Picture, Reachability, RemoteUserId},
    network::{
        NetworkError,
        interop::{
            address_book,
            connection::AskError,
            keys, pictures,
            session::{RequestError, iq, people},
            wire::{Jid, Node},
        },
    },
    store::LoginState,
};

/// The longest name that is told, in characters.
const MOST_NAME_CHARS: usize = 100;

/// The codes that mean that there is no picture, or that it is not shown to who asks.
const NO_PICTURE: [u16; 4] = [401, 403, 404, 410];

impl Gatekeeper {
    pub(super) fn address_of(&self, input: &str) -> Result<RemoteUserId, NetworkError> {
        let profile = &self.context.profile;
        let user = address_book::parse(input, &profile.user_server, profile.user_names)
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        RemoteUserId::parse(user.to_string())
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))
    }

    pub(super) async fn picture_of(
        &self,
        login: LoginId,
        of: &ChatId,
        known: Option<&str>,
    ) -> Result<Picture, NetworkError> {
        if !self.context.profile.features.pictures {
            return Ok(Picture::None);
        }
        let shape = &self.context.profile.stanzas.people;
        let of = jid(of.as_str())?;
        let asked = people::picture_get(&self.context.server(), shape, &of, known);
        let answer = match self.question(login, asked).await {
            Ok(answer) => answer,
            Err(error) if code(&error).is_some_and(|code| NO_PICTURE.contains(&code)) => {
                return Ok(Picture::None);
            }
            Err(error) => return Err(error.into()),
        };
        match people::found_picture(&answer) {
            None => Ok(Picture::None),
            Some(found) if known == Some(found.id.as_str()) => Ok(Picture::Same),
            Some(people::FoundPicture { id, url: Some(url) }) => Ok(Picture::Jpeg {
                bytes: pictures::fetch(&self.context, &url).await?,
                id,
            }),
            Some(_) => Err(NetworkError::Refused(
                "the gatekeeper does not say where the picture is".to_owned(),
            )),
        }
    }

    pub(super) async fn change_picture(
        &self,
        login: LoginId,
        of: Option<&ChatId>,
        jpeg: Option<Vec<u8>>,
    ) -> Result<Option<String>, NetworkError> {
        let profile = &self.context.profile;
        if !profile.features.pictures {
            return Err(NetworkError::Refused(format!(
                "{} has no pictures",
                self.name
            )));
        }
        let of = of.map(|of| jid(of.as_str())).transpose()?;
        let server = self.context.server();
        let set = people::picture_set(&server, &profile.stanzas.people, of.as_ref(), jpeg);
        let answer = self.question(login, set).await?;
        Ok(people::found_picture(&answer).map(|picture| picture.id))
    }

    pub(super) fn tell_name(&self, login: LoginId, name: &str) {
        let name = name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MOST_NAME_CHARS)
            .collect::<String>();
        let name = name.trim();
        if self.context.profile.features.presence
            && !name.is_empty()
            && let Some(connection) = self.connected(login)
        {
            connection.name(name.to_owned());
        }
    }

    pub(super) async fn change_block(
        &self,
        login: LoginId,
        user: &RemoteUserId,
        block: bool,
    ) -> Result<(), NetworkError> {
        let user = jid(user.as_str())?;
        let set = iq::blocklist_set(&self.context.server(), &user, block);
        self.question(login, set).await?;
        Ok(())
    }

    pub(super) async fn blocklist(
        &self,
        login: LoginId,
    ) -> Result<Vec<RemoteUserId>, NetworkError> {
        let get = iq::blocklist_get(&self.context.server());
        let answer = self.question(login, get).await?;
        Ok(iq::blocked(&answer)
            .into_iter()
            .filter_map(|user| RemoteUserId::parse(user.bare().to_string()).ok())
            .collect())
    }

    pub(super) async fn request_reachability(
        &self,
        login: LoginId,
        user: &RemoteUserId,
    ) -> Result<Reachability, NetworkError> {
        let profile = &self.context.profile;
        if !profile.features.reachability {
            return Err(NetworkError::Refused(format!(
                "{} has no way to ask somebody to take messages of other apps: tell them some other way",
                self.name
            )));
        }
        let shape = &profile.stanzas.people;
        let user = jid(user.as_str())?;
        let asked = people::reachability_ask(&self.context.server(), shape, &user);
        let answer = match self.question(login, asked).await {
            Ok(answer) => answer,
            Err(error) if code(&error) == Some(404) => return Err(self.no_such_user()),
            Err(error) => return Err(error.into()),
        };
        match people::asked_user(&answer, shape, &user) {
            Some(people::AskedUser::Sent) => Ok(Reachability::Asked),
            Some(people::AskedUser::Already) => self.asked_before(login, &user).await,
            Some(people::AskedUser::Refused) => Ok(Reachability::Declined),
            None => Err(NetworkError::Refused(
                "the gatekeeper does not say what came of it".to_owned(),
            )),
        }
    }

    /// Whether somebody who needs not be asked again can be written to: whose keys are given can.
    async fn asked_before(&self, login: LoginId, user: &Jid) -> Result<Reachability, NetworkError> {
        let fetch = keys::fetch(&self.context, user, false);
        let answer = self.question(login, fetch).await?;
        Ok(match keys_code(&answer, user) {
            Some(403) => Reachability::Asked,
            _ => Reachability::Accepted,
        })
    }

    pub(super) fn no_such_user(&self) -> NetworkError {
        NetworkError::NoSuchUser(format!("{} has no such user", self.name))
    }

    /// Why a user's keys are not given, by the code of the gatekeeper; `None` for one that says nothing about the user.
    pub(super) fn keys_refused(&self, code: u16) -> Option<NetworkError> {
        match code {
            403 => Some(NetworkError::NotReachable),
            404 => Some(self.no_such_user()),
            406 => Some(NetworkError::NoSuchUser(format!(
                "this user of {} does not take messages from you",
                self.name
            ))),
            _ => None,
        }
    }

    /// Asks the gatekeeper as a login that is there and not logged out.
    async fn question(&self, login: LoginId, iq: Node) -> Result<Node, Unanswered> {
        let row = self.row(login).await?;
        if row.state == LoginState::LoggedOut {
            return Err(NetworkError::NoSuchLogin.into());
        }
        Ok(self.connect(login).ask(iq).await?)
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    /// Nobody could be asked.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Who was asked did not say.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<Unanswered> for NetworkError {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Network(error) => error,
            Unanswered::Ask(error) => error.into(),
        }
    }
}

/// The code with which a user's keys are not given, if so.
pub(super) fn keys_code(answer: &Node, user: &Jid) -> Option<u16> {
    iq::fetched_users(answer)
        .iter()
        .find(|found| found.jid("jid").as_ref() == Some(user))
        .map_or(Some(404), iq::fetch_error)
}

/// The code the gatekeeper refused with, if it did.
fn code(error: &Unanswered) -> Option<u16> {
    match error {
        Unanswered::Ask(AskError::Request(RequestError::Refused { code, .. })) => Some(*code),
        _ => None,
    }
}

fn jid(address: &str) -> Result<Jid, NetworkError> {
    match address.parse() {
        Ok(jid @ (Jid::User { .. } | Jid::Interop { .. })) => Ok(jid),
        Ok(Jid::Server(_)) | Err(_) => Err(NetworkError::NoSuchUser(format!(
            "{address:?} is no address of this gatekeeper"
        ))),
    }
}
