//! Who holds an `OpenID` token of the homeserver.
//!
//! <https://spec.matrix.org/v1.16/server-server-api/#openid>

use reqwest::StatusCode;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use super::{Client, MatrixError, request::TIMEOUT};

#[derive(Deserialize)]
struct Holder {
    sub: String,
}

impl Client {
    /// The user whom the homeserver gave an `OpenID` token; `None` if it gave it to nobody, or names somebody of another server.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub async fn openid_user(&self, token: &str) -> Result<Option<OwnedUserId>, MatrixError> {
        let request = self
            .0
            .http
            .get(format!(
                "{}/_matrix/federation/v1/openid/userinfo",
                self.0.base
            ))
            .query(&[("access_token", token)])
            .timeout(TIMEOUT)
            .build()?;
        let answer = self.0.http.execute(request).await.map_err(|error| {
            // The address holds the token.
            MatrixError::from(error.without_url())
        })?;
        let status = answer.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let text = format!("it answers {status}");
            return Err(MatrixError::Unreachable(text));
        }
        if !status.is_success() {
            return Ok(None);
        }
        let Ok(holder) = answer.json::<Holder>().await else {
            return Ok(None);
        };
        let user = UserId::parse(holder.sub).ok();
        Ok(user.filter(|user| user.server_name() == self.server_name()))
    }
}
