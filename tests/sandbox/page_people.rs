//! What a person at the page does about people.

use drawbridge::{network::interop::wire::Node, sandbox::ContactHandle};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{partner::DEADLINE, people::jpeg, talk::Talk};

impl Talk {
    fn people(&self, rest: &str) -> String {
        let (http, jid) = (self.stage.sandbox.http_address(), &self.jid);
        format!("http://{http}/api/contacts/{jid}/{rest}")
    }

    async fn change(&self, rest: &str, body: Value) -> StatusCode {
        let request = self.stage.http.post(self.people(rest)).json(&body);
        request.send().await.unwrap().status()
    }

    async fn get(&self, url: String) -> Value {
        let answer = self.stage.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    fn api(&self, path: &str) -> String {
        format!("http://{}/api/{path}", self.stage.sandbox.http_address())
    }

    /// The contact in the list of contacts.
    async fn listed(&self) -> Value {
        let all = self.get(self.api("contacts")).await;
        let me = |one: &&Value| one["id"] == self.jid.to_string();
        all.as_array().unwrap().iter().find(me).unwrap().clone()
    }
}

#[tokio::test]
async fn a_person_changes_their_name_and_picture() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    let named = talk.change("name", json!({"name": " Livia L. "})).await;
    assert_eq!(named, StatusCode::NO_CONTENT);
    let told = talk.client.told("profile").await;
    let name = told.find("name").unwrap().content_bytes().unwrap();
    assert_eq!(name, b"Livia L.");
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        let status = talk.change("name", json!({"name": name})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name:?}");
    }
    let url = talk.people("picture");
    let set = talk.stage.http.post(&url).body(jpeg(1)).send().await;
    assert_eq!(set.unwrap().status(), StatusCode::NO_CONTENT);
    let told = talk.client.told("picture").await;
    let id = told.find("set").unwrap().attr("id").unwrap().into_owned();
    talk.contact.settle(DEADLINE).await.unwrap();
    let me = talk.listed().await;
    assert_eq!(me["name"], "Livia L.");
    let path = me["picture"].as_str().unwrap();
    assert!(path.contains(&id) && path.starts_with("/whatsapp/media/"));
    let http = talk.stage.sandbox.http_address();
    let picture = talk.stage.http.get(format!("http://{http}{path}"));
    let picture = picture.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(picture, jpeg(1));
    let text = talk.stage.http.post(&url).body("no picture").send().await;
    assert_eq!(text.unwrap().status(), StatusCode::BAD_REQUEST);
    let gone = talk.stage.http.request(Method::DELETE, &url).send().await;
    assert_eq!(gone.unwrap().status(), StatusCode::NO_CONTENT);
    let told = talk.client.told("picture").await;
    assert!(told.find("delete").is_some());
}

#[tokio::test]
async fn a_person_decides_who_may_write() {
    let mut talk = Talk::start().await;
    let out = talk.change("opted_in", json!({"opted_in": false})).await;
    assert_eq!(out, StatusCode::NO_CONTENT);
    talk.contact.settle(DEADLINE).await.unwrap();
    assert_eq!(talk.listed().await["opted_in"], false);
    let user = Node::new("user").with("jid", &talk.jid);
    let request = Node::new("reachability").child(user);
    talk.client.ask("set", "w:interop", request).await;
    let asked = |contact: &ContactHandle| contact.requests().pop();
    talk.contact.wait_for(asked, DEADLINE).await.unwrap();
    let me = talk.listed().await;
    assert_eq!(me["requests"][0]["jid"], talk.login);
    let path = format!("requests/{}", talk.login);
    let declined = talk.change(&path, json!({"accept": false})).await;
    assert_eq!(declined, StatusCode::NO_CONTENT);
    let told = talk.client.told("w:interop").await;
    let answer = told.find("reachability").unwrap();
    assert_eq!(answer.attr("status").as_deref(), Some("declined"));
    let again = talk.change(&path, json!({"accept": true})).await;
    assert_eq!(again, StatusCode::BAD_REQUEST);
    let back = talk.change("opted_in", json!({"opted_in": true})).await;
    assert_eq!(back, StatusCode::NO_CONTENT);
    let told = talk.client.told("w:interop").await;
    let answer = told.find("reachability").unwrap();
    assert_eq!(answer.attr("status").as_deref(), Some("accepted"));
}

#[tokio::test]
async fn a_person_blocks_and_is_blocked() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    let chat = format!("chats/{}", talk.login);
    let block = format!("{chat}/blocked");
    let blocked = talk.change(&block, json!({"blocked": true})).await;
    assert_eq!(blocked, StatusCode::NO_CONTENT);
    talk.contact.settle(DEADLINE).await.unwrap();
    let jid = talk.jid.clone();
    assert_eq!(talk.client.keys_refused(&jid).await.unwrap().0, 406);
    let chats = talk.get(talk.people("chats")).await;
    assert_eq!(chats[0]["blocked"], true);
    assert_eq!(chats[0]["blocks_me"], false);

    let path = format!("{chat}/blocks_me");
    let blocked = talk.change(&path, json!({"blocked": true})).await;
    assert_eq!(blocked, StatusCode::NO_CONTENT);
    let told = talk.client.told("blocklist").await;
    assert_eq!(told.find("item").unwrap().jid("jid"), Some(jid));
    let chats = talk.get(talk.people("chats")).await;
    assert_eq!(chats[0]["blocks_me"], true);
    let nobody = talk
        .change("chats/7-1@interop/blocks_me", json!({"blocked": true}))
        .await;
    assert_eq!(nobody, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn partners_users_are_listed_and_can_be_unenlisted() {
    let mut talk = Talk::start().await;
    let users = talk.get(talk.api("partners")).await;
    let of = |integrator: u16| {
        let users = users.as_array().unwrap().iter();
        users.filter(move |user| user["integrator"] == integrator)
    };
    assert_eq!(of(2).count(), 3);
    let ours: Vec<_> = of(super::partner::INTEGRATOR).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0]["login"], talk.login);
    assert_eq!(ours[0]["visible_id"], "@alice:example.org");
    assert_eq!(ours[0]["connected"], true);
    let remove = |login: &str| {
        let url = talk.api(&format!("partners/{login}"));
        talk.stage.http.request(Method::DELETE, url).send()
    };
    let phone = remove(&talk.jid.to_string()).await.unwrap();
    assert_eq!(phone.status(), StatusCode::NOT_FOUND);
    let gone = remove(&talk.login).await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    while talk.client.next_or_end().await.is_some() {}
    let contacts = talk.get(talk.api("contacts")).await;
    let contacts = contacts.as_array().unwrap();
    assert!(
        contacts
            .iter()
            .any(|one| one["visible_id"] == "@ivy:other.example")
    );
}
