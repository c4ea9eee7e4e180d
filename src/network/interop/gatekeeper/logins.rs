//! Logins made and ended, and the users they can write to.

use super::{Gatekeeper, people::keys_code};
use crate::{
    domain::{LoginId, RemoteUserId},
    network::{
        ConnectionState, NetworkError,
        interop::{
            address_book,
            connection::{AskError, Connection, Purpose},
            deletion, enlisting, keys, outbound,
            visible_id::visible_id,
            wire::Jid,
        },
    },
    store::{Lane, LoginRow, LoginState, StoreError},
};

impl Gatekeeper {
    /// What others see as the identifier of a Matrix user who logs in now.
    pub(super) fn identifier_of(&self, mxid: &str) -> Result<String, NetworkError> {
        let escapes = &self.context.profile.visible_id_escapes;
        visible_id(&self.visible_id, mxid, escapes)
            .map_err(|error| NetworkError::Refused(error.to_string()))
    }

    /// Makes a login for a Matrix user, or goes on with the one there is.
    pub(super) async fn make_login(&self, mxid: &str) -> Result<LoginId, NetworkError> {
        let _changing = self.changing.lock().await;
        let row = if let Some(row) = self.login_of(mxid).await? {
            row
        } else {
            let visible_id = self.identifier_of(mxid)?;
            enlisting::create(&self.context, mxid, visible_id).await?
        };
        let id = row.id;
        if row.state != LoginState::Active {
            // A connection that retries the enlistment by itself would race this one.
            self.disconnect(id).await;
            enlisting::enlist(&self.context, row).await?;
        }
        let connection = self.connect(id);
        connection.hurry().await;
        match connection.settled().await {
            ConnectionState::Failed { reason } => Err(NetworkError::Refused(reason)),
            _ => Ok(id),
        }
    }

    /// Has the gatekeeper delete a login, then deletes it here.
    pub(super) async fn end_login(&self, login: LoginId) -> Result<(), NetworkError> {
        let _changing = self.changing.lock().await;
        let row = self.row(login).await?;
        self.disconnect(login).await;
        self.set_state(login, LoginState::LoggedOut).await?;
        if row.remote_login.is_some() {
            let farewell = Connection::start(self.context.clone(), login, Purpose::Farewell);
            let asked = farewell.ask(deletion::request(&self.context)).await;
            farewell.stop().await;
            match asked {
                Ok(_) | Err(AskError::Unenlisted) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move { txn.delete_login(login).await })
            })
            .await?;
        Ok(())
    }

    /// The user that is meant, with a session.
    pub(super) async fn find(
        &self,
        login: LoginId,
        input: &str,
    ) -> Result<RemoteUserId, NetworkError> {
        let profile = &self.context.profile;
        let user = address_book::parse(input, &profile.user_server, profile.user_names)
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        let id = RemoteUserId::parse(user.to_string())
            .map_err(|error| NetworkError::NoSuchUser(error.to_string()))?;
        self.establish(login, &user).await?;
        Ok(id)
    }

    pub(super) async fn row(&self, login: LoginId) -> Result<LoginRow, NetworkError> {
        self.context
            .db
            .read(move |txn| Box::pin(async move { txn.login(login).await }))
            .await?
            .filter(|row| row.gatekeeper == self.context.gatekeeper)
            .ok_or(NetworkError::NoSuchLogin)
    }

    /// The login a user has here already, if any.
    async fn login_of(&self, mxid: &str) -> Result<Option<LoginRow>, StoreError> {
        let mxid = mxid.to_owned();
        let rows = self
            .context
            .db
            .read(move |txn| {
                let mxid = mxid.clone();
                Box::pin(async move { txn.logins_of(&mxid).await })
            })
            .await?;
        Ok(rows
            .into_iter()
            .find(|row| row.gatekeeper == self.context.gatekeeper))
    }

    /// Makes sure there is a session with a user.
    pub(super) async fn establish(&self, login: LoginId, user: &Jid) -> Result<(), NetworkError> {
        let with = user.clone();
        let has = self
            .context
            .db
            .read(move |txn| {
                let with = with.clone();
                Box::pin(async move { outbound::has_session(txn, login, &with).await })
            })
            .await?;
        if has {
            return Ok(());
        }
        if self.row(login).await?.state == LoginState::LoggedOut {
            return Err(NetworkError::NoSuchLogin);
        }
        let connection = self.connect(login);
        let answer = connection
            .ask(keys::fetch(&self.context, user, false))
            .await?;
        let refused = keys_code(&answer, user).and_then(|code| self.keys_refused(code));
        if let Some(error) = refused {
            return Err(error);
        }
        keys::establish(&self.context, login, user, &answer).await?
    }

    async fn set_state(&self, login: LoginId, state: LoginState) -> Result<(), StoreError> {
        self.context
            .db
            .step(Lane::login(login), move |txn| {
                Box::pin(async move { txn.set_login_state(login, state, None).await })
            })
            .await
    }
}
