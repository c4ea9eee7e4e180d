//! Acting as a user who lets the bridge: with a token for everybody of the homeserver, or with the user's own.
//!
//! What is sent so carries a mark, by which the bridge knows its own doing when it comes back: the homeserver delivers it like
//! everything else the user does.

use std::borrow::Cow;

use ruma::UserId;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::{Client, Intent, MatrixError, client::Access, request::Identity};

impl Client {
    /// A user of this homeserver, by the token of an application service whose namespace has everybody. `mark` is the key that
    /// marks what is sent.
    ///
    /// # Errors
    /// That the homeserver's address is none.
    pub fn puppet(
        &self,
        user: &UserId,
        token: SecretString,
        mark: &str,
    ) -> Result<Intent, MatrixError> {
        let client = self.with_token(token, Access::Everybody, mark, None)?;
        Ok(Intent::new(client, user.to_owned()))
    }

    /// A user by an access token of their own, at this homeserver or at the one at `address`.
    ///
    /// # Errors
    /// That the address is none.
    pub fn logged_in(
        &self,
        user: &UserId,
        token: SecretString,
        mark: &str,
        address: Option<&Url>,
    ) -> Result<Intent, MatrixError> {
        let client = self.with_token(token, Access::One, mark, address)?;
        Ok(Intent::new(client, user.to_owned()))
    }
}

impl Intent {
    /// Whether this is a user who lets the bridge act as them, and no account of the bridge.
    #[must_use]
    pub fn is_puppet(&self) -> bool {
        self.client.0.mark.is_some()
    }

    /// A content with the mark of what is sent as a user.
    pub(super) fn marked<'a>(&self, content: &'a Value) -> Cow<'a, Value> {
        match (&self.client.0.mark, content) {
            (Some(mark), Value::Object(_)) => {
                let mut content = content.clone();
                content[mark] = json!(true);
                Cow::Owned(content)
            }
            _ => Cow::Borrowed(content),
        }
    }

    /// What this account keeps at the homeserver under a type; `None` if nothing.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn account_data(&self, kind: &str) -> Result<Option<Value>, MatrixError> {
        let identity = Identity::Device(&self.user);
        let path = self.account_data_path(kind);
        match self.client.json(&path, identity).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.errcode() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps something at the homeserver under a type.
    ///
    /// # Errors
    /// What the homeserver said.
    pub async fn set_account_data(&self, kind: &str, value: &Value) -> Result<(), MatrixError> {
        let identity = Identity::Device(&self.user);
        let path = self.account_data_path(kind);
        self.client.put_json(&path, identity, value).await
    }

    fn account_data_path<'a>(&'a self, kind: &'a str) -> [&'a str; 7] {
        [
            "_matrix",
            "client",
            "v3",
            "user",
            self.user.as_str(),
            "account_data",
            kind,
        ]
    }
}
