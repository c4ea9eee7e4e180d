//! What a Matrix user does to their own account, and how others look to them.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{PATIENCE, User, encode, http};

impl User {
    /// Somebody's profile; what is not there is null.
    pub(crate) async fn profile(&self, of: &str) -> Value {
        let path = format!("v3/profile/{}", encode(of));
        let (_, answer) = self.ask(Method::GET, &path, None).await;
        answer
    }

    /// Waits until somebody's profile is as wanted.
    pub(crate) async fn sees_profile<T>(
        &self,
        of: &str,
        what: &str,
        look: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let what = format!("the profile of {of} to have {what}");
        super::wait::until(&what, PATIENCE, async || look(&self.profile(of).await)).await
    }

    /// Waits until somebody is called so.
    pub(crate) async fn sees_name(&self, of: &str, name: &str) {
        let is_it = |profile: &Value| (profile["displayname"] == name).then_some(());
        self.sees_profile(of, &format!("the name {name:?}"), is_it)
            .await;
    }

    /// Takes another name.
    pub(crate) async fn takes_name(&self, name: &str) {
        self.set_profile("displayname", &json!({"displayname": name}))
            .await;
    }

    /// Takes another picture.
    pub(crate) async fn takes_picture(&self, uri: &str) {
        self.set_profile("avatar_url", &json!({"avatar_url": uri}))
            .await;
    }

    async fn set_profile(&self, field: &str, body: &Value) {
        let path = format!("v3/profile/{}/{field}", encode(&self.mxid));
        self.demand(Method::PUT, &path, Some(body)).await;
    }

    /// What is kept with the account under a type.
    pub(crate) async fn account_data(&self, kind: &str) -> Value {
        let path = format!("v3/user/{}/account_data/{kind}", encode(&self.mxid));
        let (status, answer) = self.ask(Method::GET, &path, None).await;
        if status.is_success() {
            answer
        } else {
            Value::Null
        }
    }

    /// Keeps something with the account.
    pub(crate) async fn set_account_data(&self, kind: &str, content: &Value) {
        let path = format!("v3/user/{}/account_data/{kind}", encode(&self.mxid));
        self.demand(Method::PUT, &path, Some(content)).await;
    }

    /// Whether a user is ignored.
    pub(crate) async fn ignores(&self, user: &str) -> bool {
        let list = self.account_data("m.ignored_user_list").await;
        list["ignored_users"].get(user).is_some()
    }

    /// Waits until a user is ignored, or not any more.
    pub(crate) async fn comes_to_ignore(&self, user: &str, ignored: bool) {
        let what = format!("{user} to be ignored: {ignored}");
        let is_so = async || (self.ignores(user).await == ignored).then_some(());
        super::wait::until(&what, PATIENCE, is_so).await;
    }

    /// Logs in once more; that session's token.
    pub(crate) async fn another_session(&self) -> String {
        let body = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.mxid},
            "password": "correct horse",
        });
        let answer = self.post("v3/login", &body).await;
        let token = answer["access_token"].as_str().expect("a token");
        token.to_owned()
    }

    /// Ends a session by its token.
    pub(crate) async fn ends_session(&self, token: &str) {
        let request = http().post(format!("{}/_matrix/client/v3/logout", self.base));
        let answer = request.bearer_auth(token).json(&json!({})).send().await;
        let status = answer.expect("the homeserver answers").status();
        assert!(status.is_success(), "{status}");
    }

    /// Waits until somebody's membership of a room is as wanted.
    pub(crate) async fn sees_member(&self, room: &str, user: &str, membership: &str) {
        let what = format!("{user} to be {membership} in {room}");
        super::wait::until(&what, PATIENCE, async || {
            let path = format!("v3/rooms/{}/members", encode(room));
            let (_, answer) = self.ask(Method::GET, &path, None).await;
            let mut members = answer["chunk"].as_array().into_iter().flatten();
            members
                .any(|m| m["state_key"] == user && m["content"]["membership"] == membership)
                .then_some(())
        })
        .await;
    }

    /// Waits until somebody is in a room no more, by what comes by `/sync`.
    pub(crate) async fn sees_gone(&mut self, room: &str, user: &str) {
        let gone =
            |event: &Value| event["state_key"] == user && event["content"]["membership"] == "leave";
        self.watch(&format!("{user} to leave {room}"), |seen| {
            seen.timeline(room).iter().any(gone).then_some(())
        })
        .await;
    }
}
