//! Showing that an account at a gatekeeper is one's own: a code given in Matrix is sent from that account to one's login.

use rand::RngExt as _;
use ruma::UserId;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::context::{Bridge, BridgeError, lock};
use crate::{
    domain::{GatekeeperId, LoginId, RemoteUserId, Timestamp},
    store::Lane,
};

/// What keys begin with under which open claims are kept.
const CLAIM: &str = "claim/";
/// How long a code is good, in milliseconds.
const GOOD_FOR: i64 = 15 * 60 * 1000;
/// How many wrong codes end a claim.
const MOST_TRIES: u32 = 5;
/// What codes are made of: nothing that is taken for something else.
const LETTERS: &[u8; 31] = b"ABCDEFGHJKLMNPQRSTUVWXYZ3456789";
/// How long a code is: about 40 bits, which nobody finds in five tries.
const LENGTH: usize = 8;

/// An open claim; stored as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    gatekeeper: GatekeeperId,
    remote: RemoteUserId,
    mxid: String,
    code: String,
    until: Timestamp,
    tries: u32,
}

fn claim_key(gatekeeper: &GatekeeperId, remote: &RemoteUserId) -> String {
    format!("{CLAIM}{gatekeeper}/{remote}")
}

fn new_code() -> String {
    let mut rng = rand::rng();
    let letters = (0..LENGTH).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]));
    let mut code: String = letters.collect();
    code.insert(LENGTH / 2, '-');
    code
}

/// A code as it was meant, however it was typed.
fn meant(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

impl Claim {
    fn is_shown_by(&self, text: &str) -> bool {
        meant(text)
            .as_bytes()
            .ct_eq(meant(&self.code).as_bytes())
            .into()
    }
}

impl Bridge {
    pub(super) async fn load_claims(&self) -> Result<(), BridgeError> {
        let open = self
            .db
            .read(|txn| Box::pin(async move { txn.values(CLAIM).await }))
            .await?;
        let open = open
            .into_iter()
            .filter_map(|(_, text)| serde_json::from_str::<Claim>(&text).ok());
        lock(&self.people.claims).extend(open.map(|claim| (claim.gatekeeper, claim.remote)));
        Ok(())
    }

    /// Begins to show that an account at a gatekeeper is a user's own: the code that is to be sent from it, within a quarter of an
    /// hour, to that user's login. A second code takes the place of the first.
    ///
    /// # Errors
    /// The store's.
    pub async fn claim_account(
        &self,
        user: &UserId,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<String, BridgeError> {
        let code = new_code();
        let claim = Claim {
            gatekeeper: gatekeeper.clone(),
            remote: remote.clone(),
            mxid: user.to_string(),
            code: code.clone(),
            until: self.now().plus_millis(GOOD_FOR),
            tries: 0,
        };
        self.keep_claim(&claim).await?;
        lock(&self.people.claims).insert((claim.gatekeeper, claim.remote));
        Ok(code)
    }

    async fn keep_claim(&self, claim: &Claim) -> Result<(), BridgeError> {
        let text = serde_json::to_string(claim).map_err(|error| {
            BridgeError::Inconsistent(format!("a claim cannot be written as JSON: {error}"))
        })?;
        let key = claim_key(&claim.gatekeeper, &claim.remote);
        self.keep(&key, Some(&text)).await
    }

    async fn end_claim(&self, claim: &Claim) -> Result<(), BridgeError> {
        lock(&self.people.claims).remove(&(claim.gatekeeper.clone(), claim.remote.clone()));
        let key = claim_key(&claim.gatekeeper, &claim.remote);
        self.keep(&key, None).await
    }

    /// Takes a text somebody wrote to a login for the code of a claim; whether it was the right one, and need not be shown.
    pub(super) async fn take_claim(
        &self,
        login: LoginId,
        sender: &RemoteUserId,
        text: &str,
    ) -> Result<bool, BridgeError> {
        let is_open = |(_, remote): &(GatekeeperId, RemoteUserId)| remote == sender;
        if !lock(&self.people.claims).iter().any(is_open) || text.len() > 4 * LENGTH {
            return Ok(false);
        }
        let of = self.login_row(login).await?;
        let kept = self.kept(&claim_key(&of.gatekeeper, sender)).await?;
        let claim = kept.and_then(|text| serde_json::from_str::<Claim>(&text).ok());
        let Some(mut claim) = claim.filter(|claim| claim.mxid == of.mxid) else {
            return Ok(false);
        };
        if self.now() > claim.until {
            self.end_claim(&claim).await?;
            return Ok(false);
        }
        if !claim.is_shown_by(text) {
            claim.tries += 1;
            if claim.tries >= MOST_TRIES {
                let name = self.called(&of.gatekeeper, sender).await?;
                let text = format!(
                    "{name} wrote {MOST_TRIES} messages that are not the code, so the claim has ended, and that code is good for nothing any more. \
                     Write `claim-account {} {sender}` for another one.",
                    of.gatekeeper
                );
                let words = ["claim ended", sender.as_str(), &claim.code];
                self.tell_owner_once(login, &words, &text).await?;
                self.end_claim(&claim).await?;
            } else {
                self.keep_claim(&claim).await?;
            }
            return Ok(false);
        }
        let name = self.called(&of.gatekeeper, sender).await?;
        self.set_owner(&claim.gatekeeper, sender, Some(&claim.mxid))
            .await?;
        let text = format!(
            "{name} is you: what you write with that account in chats with this bridge is shown as yours where it may act as you."
        );
        self.tell_owner_once(login, &["claim", sender.as_str(), &claim.code], &text)
            .await?;
        // Last, so that a crash before has it taken again.
        self.end_claim(&claim).await?;
        Ok(true)
    }

    /// An account at a gatekeeper is a user's no more; whether it was theirs.
    ///
    /// # Errors
    /// The store's.
    pub async fn unclaim(
        &self,
        user: &UserId,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
    ) -> Result<bool, BridgeError> {
        let owner = self.account_owner(gatekeeper, remote).await?;
        if owner.as_deref() != Some(user) {
            return Ok(false);
        }
        self.set_owner(gatekeeper, remote, None).await?;
        Ok(true)
    }

    async fn set_owner(
        &self,
        gatekeeper: &GatekeeperId,
        remote: &RemoteUserId,
        mxid: Option<&str>,
    ) -> Result<(), BridgeError> {
        let key = (gatekeeper.clone(), remote.clone());
        let (of, id) = key.clone();
        let mxid = mxid.map(str::to_owned);
        self.db
            .step(Lane::room(&claim_key(gatekeeper, remote)), move |txn| {
                let (of, id, mxid) = (of.clone(), id.clone(), mxid.clone());
                Box::pin(async move { txn.set_account_owner(&of, &id, mxid.as_deref()).await })
            })
            .await?;
        lock(&self.people.accounts).remove(&key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let claim = Claim {
            gatekeeper: GatekeeperId::parse("whatsapp").unwrap(),
            remote: RemoteUserId::parse("1@s").unwrap(),
            mxid: String::new(),
            code: "ABCD-3456".to_owned(),
            until: Timestamp(0),
            tries: 0,
        };
        for right in ["ABCD-3456", " abcd3456\n", "abcd 3456."] {
            assert!(claim.is_shown_by(right), "{right}");
        }
        for wrong in ["", "ABCD-3457", "ABCD", "ABCD-34566"] {
            assert!(!claim.is_shown_by(wrong), "{wrong}");
        }
    }
}
