//! Accounts that are to leave a room: written down together with the change that makes them leave, and struck out once they have.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    bridge::context::{Bridge, BridgeError},
    store::{Lane, StoreError, StoreTxn},
    translate::bridge_notice,
};

/// What the keys of such notes begin with.
const PREFIX: &str = "leaving/";

/// Who is to leave a room, and what goes with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::bridge) struct Leaving {
    /// Who.
    pub(in crate::bridge) accounts: Vec<OwnedUserId>,
    /// What the bot says before.
    pub(in crate::bridge) word: Option<String>,
    /// Aliases of the bridge's that are to lead there no more.
    pub(in crate::bridge) aliases: Vec<String>,
    /// Where those lead from now on; nowhere if `None`.
    pub(in crate::bridge) goes_on_in: Option<OwnedRoomId>,
}

fn key(room_id: &RoomId) -> String {
    format!("{PREFIX}{room_id}")
}

impl Leaving {
    /// Writes it down, beside what is written down of the room already.
    pub(in crate::bridge) async fn note(
        &self,
        txn: &mut dyn StoreTxn,
        room_id: &RoomId,
    ) -> Result<(), StoreError> {
        let key = key(room_id);
        loop {
            let before = txn.value(&key).await?;
            let mut all = before.as_deref().map(Self::read).unwrap_or_default();
            all.accounts.extend(self.accounts.iter().cloned());
            all.aliases.extend(self.aliases.iter().cloned());
            all.word = self.word.clone().or(all.word);
            all.goes_on_in = self.goes_on_in.clone().or(all.goes_on_in);
            let all = all.write();
            // Another may write something down, or strike it out, at the same time.
            if txn
                .replace_value(&key, before.as_deref(), Some(&all))
                .await?
            {
                return Ok(());
            }
        }
    }

    fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    fn write(&self) -> String {
        serde_json::to_string(self).expect("texts and lists of them are JSON")
    }

    /// What is left of it once `done` is done; `None` if nothing is.
    fn without(mut self, done: &Self) -> Option<Self> {
        self.accounts
            .retain(|account| !done.accounts.contains(account));
        self.aliases.retain(|alias| !done.aliases.contains(alias));
        self.word = self.word.filter(|word| done.word.as_ref() != Some(word));
        let is_left = self.word.is_some() || !self.accounts.is_empty() || !self.aliases.is_empty();
        is_left.then_some(self)
    }
}

impl Bridge {
    /// Lets those leave a room who are to.
    pub(in crate::bridge) async fn carry_out_leaving(
        &self,
        room_id: &RoomId,
    ) -> Result<(), BridgeError> {
        while let Some(noted) = self.kept(&key(room_id)).await? {
            let leaving = Leaving::read(&noted);
            self.let_leave(room_id, &leaving).await?;
            self.strike_out(room_id, leaving).await?;
        }
        Ok(())
    }

    async fn let_leave(&self, room_id: &RoomId, leaving: &Leaving) -> Result<(), BridgeError> {
        fail::fail_point!("leaving.begun");
        if let Some(word) = &leaving.word {
            let content = bridge_notice(word, None);
            let txn_id = self.effect_id(&["leave", room_id.as_str()]);
            passing(
                self.bot()
                    .send(room_id, "m.room.message", &txn_id, &content, None)
                    .await,
            )?;
        }
        for alias in &leaving.aliases {
            let bot = self.bot();
            passing(match &leaving.goes_on_in {
                Some(other) => bot.move_alias(alias, other).await,
                None => bot.delete_alias(alias).await,
            })?;
        }
        for account in &leaving.accounts {
            passing(self.client.ghost(account).leave(room_id).await)?;
        }
        Ok(())
    }

    /// Strikes out what is done. What was written down since stays.
    async fn strike_out(&self, room_id: &RoomId, done: Leaving) -> Result<(), BridgeError> {
        let key = key(room_id);
        self.db
            .step(Lane::room(room_id.as_str()), move |txn| {
                let (key, done) = (key.clone(), done.clone());
                Box::pin(async move {
                    loop {
                        let Some(noted) = txn.value(&key).await? else {
                            return Ok(());
                        };
                        let rest = Leaving::read(&noted).without(&done);
                        let rest = rest.map(|rest| rest.write());
                        if txn
                            .replace_value(&key, Some(&noted), rest.as_deref())
                            .await?
                        {
                            return Ok(());
                        }
                    }
                })
            })
            .await?;
        Ok(())
    }

    /// Carries out what an earlier process did not get to.
    pub(in crate::bridge) async fn carry_out_leavings(&self) -> Result<(), BridgeError> {
        let noted = self
            .db
            .read(|txn| Box::pin(async move { txn.values(PREFIX).await }))
            .await?;
        for (key, _) in noted {
            let room = key.strip_prefix(PREFIX).unwrap_or_default();
            if let Ok(room_id) = OwnedRoomId::try_from(room) {
                self.carry_out_leaving(&room_id).await?;
            }
        }
        Ok(())
    }

    /// The bridge's accounts in a room, the bot last; none if no one of them can tell.
    pub(in crate::bridge) async fn ours_in(
        &self,
        room_id: &RoomId,
        witnesses: &[OwnedUserId],
    ) -> Result<Vec<OwnedUserId>, BridgeError> {
        let bot = self.client.bot_id();
        let all = std::iter::once(bot).chain(witnesses.iter().map(AsRef::<UserId>::as_ref));
        for witness in all {
            match self.client.ghost(witness).members(room_id).await {
                Ok(mut members) => {
                    members.retain(|member| self.is_ours(member));
                    members.sort_by_key(|member| (member == bot, member.clone()));
                    return Ok(members);
                }
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(Vec::new())
    }
}

/// Only a failure that may pass is one: who cannot leave is not there.
fn passing<T>(outcome: Result<T, crate::matrix::MatrixError>) -> Result<(), BridgeError> {
    match outcome {
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => {
            tracing::debug!(%error, "a part of taking leave was refused");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn what_was_written_down_meanwhile_is_left_to_be_done() {
        let (first, second) = (user_id!("@a:x").to_owned(), user_id!("@b:x").to_owned());
        let done = Leaving {
            accounts: vec![first.clone()],
            word: Some("bye".to_owned()),
            aliases: vec!["#a:x".to_owned()],
            goes_on_in: None,
        };
        assert_eq!(done.clone().without(&done), None);
        let mut noted = done.clone();
        noted.accounts.push(second.clone());
        let left = noted.without(&done).expect("somebody is left");
        assert_eq!(left.accounts, [second]);
        assert_eq!((left.word, left.aliases), (None, Vec::new()));
    }
}
