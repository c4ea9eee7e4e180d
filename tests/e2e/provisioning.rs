//! A user looks after their own login by the API, with a token of the real homeserver.

use drawbridge::sandbox::Flavour;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{User, encode, http},
    contact::Contact,
    homeserver::free_port,
    world::{BOT, MARKED, Plan, World},
};

/// The API as a user asks it.
struct Api {
    base: String,
    token: String,
}

impl Api {
    /// With an `OpenID` token that the homeserver gave the user.
    async fn of(user: &User, listen: &str) -> Self {
        let path = format!("v3/user/{}/openid/request_token", encode(&user.mxid));
        let given = user.post(&path, &json!({})).await;
        let token = given["access_token"].as_str().expect("a token");
        Self {
            base: format!("http://{listen}/_drawbridge/v1"),
            token: format!("openid:{token}"),
        }
    }

    /// What is answered, which must be so.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Value {
        let request = http().request(method, format!("{}/{path}", self.base));
        let request = request.bearer_auth(&self.token);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("the API answers");
        let (is, body) = (answer.status(), answer.json().await.unwrap_or(Value::Null));
        assert_eq!(is, status, "{path}: {body}");
        body
    }
}

#[tokio::test]
async fn a_user_looks_after_their_login_by_the_api() {
    let listen = format!("127.0.0.1:{}", free_port());
    let secret = format!("{MARKED}-0123456789abcdef0123456789abcdef");
    let plan = Plan {
        config: json!({
            "provisioning": { "enabled": true, "listen": listen, "secret": secret },
            "relay": { "enabled": true, "admins_only": false },
        }),
        ..Plan::default()
    };
    let world = World::start(plan).await;
    let mut alice = world.user("alice").await;
    let mut bob = world.user("bob").await;
    let api = Api::of(&alice, &listen).await;
    let me = api.ask(Method::GET, "whoami", None, 200).await;
    assert_eq!(me["user_id"], alice.mxid);
    // Who has an access token of the homeserver has no OpenID token.
    let other = Api {
        base: api.base.clone(),
        token: format!("openid:{}", alice.token),
    };
    other.ask(Method::GET, "whoami", None, 401).await;

    let flows = api.ask(Method::GET, "login_flows", None, 200).await;
    let terms = &flows[0]["terms"]["version"];
    let wanted = json!({ "gatekeeper": "whatsapp", "accepted_terms": terms });
    let login = api.ask(Method::POST, "logins", Some(wanted), 200).await;
    let login = login["login"].as_i64().expect("a number");

    let lena = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let chat = json!({ "identifier": lena.number() });
    let path = format!("logins/{login}/chats");
    let chat = api.ask(Method::POST, &path, Some(chat), 200).await;
    let room = chat["room_id"].as_str().expect("a room");
    alice.join(room).await;
    alice.say(room, "by the API").await;
    lena.receives("by the API").await;

    let max = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let body = json!({ "preset": "public_chat", "invite": [BOT] });
    let own = alice.create_room(body).await;
    let path = format!("rooms/{}", encode(&own));
    let link = json!({ "login": login, "identifier": max.number() });
    let links = format!("{path}/links");
    let linked = api.ask(Method::POST, &links, Some(link), 200).await;
    assert_eq!(linked["links"][0]["chat"], max.jid());
    let relay = format!("{path}/relay");
    let speaks = json!({ "login": login });
    api.ask(Method::PUT, &relay, Some(speaks), 204).await;
    bob.join(&own).await;
    bob.say(&own, "said by Bob").await;
    max.gets("what Bob says", |message| {
        message.text.contains("said by Bob").then_some(())
    })
    .await;
    // Bob has nothing to look after here.
    let bobs = Api::of(&bob, &listen).await;
    bobs.ask(Method::GET, &path, None, 404).await;
    bobs.ask(Method::DELETE, &relay, None, 404).await;

    api.ask(Method::GET, "status", None, 403).await;
    let path = format!("logins/{login}");
    api.ask(Method::DELETE, &path, None, 204).await;
    assert_eq!(api.ask(Method::GET, "logins", None, 200).await, json!([]));
}
