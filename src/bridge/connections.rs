//! What a login's user is told about its connection: only what needs them, and when that is over.

use super::context::{Bridge, BridgeError, lock};
use crate::{domain::LoginId, network::ConnectionState, store::LoginRow};

impl Bridge {
    /// Tells the login's user, in the management room, that a connection will not work without their doing, and when it works
    /// again. States that pass by themselves are logged only.
    pub(super) async fn show_connection(&self, login: LoginId, state: ConnectionState) {
        tracing::info!(%login, ?state, "connection");
        let text = {
            let mut shown = lock(&self.connection_states);
            match state {
                ConnectionState::Failed { reason } => {
                    if shown.get(&login) == Some(&reason) {
                        return;
                    }
                    shown.insert(login, reason.clone());
                    format!("The connection does not work: {reason}")
                }
                ConnectionState::Connected if shown.remove(&login).is_some() => {
                    "The connection works again.".to_owned()
                }
                _ => return,
            }
        };
        if let Err(error) = self.tell_owner(login, &text).await {
            tracing::warn!(%login, %error, "the user could not be told about the connection");
        }
    }

    async fn tell_owner(&self, login: LoginId, text: &str) -> Result<(), BridgeError> {
        let now = self.now().0.to_string();
        self.tell_owner_once(login, &["connection", &now], text)
            .await
    }

    /// Tells a login's user something in the management room; once for the same words.
    pub(super) async fn tell_owner_once(
        &self,
        login: LoginId,
        words: &[&str],
        text: &str,
    ) -> Result<(), BridgeError> {
        let found = self
            .db
            .read(move |txn| {
                Box::pin(async move {
                    let Some(row) = txn.login(login).await? else {
                        return Ok(None);
                    };
                    let room = txn.management_room(&row.mxid).await?;
                    Ok(room.map(|room| (row, room)))
                })
            })
            .await?;
        let Some((row, room)): Option<(LoginRow, String)> = found else {
            return Ok(());
        };
        let Ok(room_id) = ruma::OwnedRoomId::try_from(room) else {
            return Ok(());
        };
        let login = login.to_string();
        let words: Vec<&str> = std::iter::once(login.as_str())
            .chain(words.iter().copied())
            .collect();
        let txn_id = self.effect_id(&words);
        let name = self.gatekeeper_name(&row.gatekeeper);
        self.say(&room_id, &txn_id, &format!("**{name}**: {text}"))
            .await
    }
}
