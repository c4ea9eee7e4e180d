//! The page's API, and who may call it.

use drawbridge::{network::interop::wire::Jid, sandbox::Flavour};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    partner::{DEADLINE, Stage},
    user::User,
};

fn live() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

fn url(stage: &Stage, path: &str) -> String {
    format!("http://{}{path}", stage.sandbox.http_address())
}

async fn get(stage: &Stage, path: &str) -> Value {
    let answer = stage.http.get(url(stage, path)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_person_at_the_page_is_one_of_the_contacts() {
    let stage = Stage::start().await;
    let mut user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &live()).await;
    let mut client = user.connect(&stage).await;
    let bundle = client.keys_of(&live()).await.unwrap();
    user.ratchet.establish(&bundle);
    client
        .send(user.message("m1", &live(), "<b>hello</b>"))
        .await;
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .wait_for(
            |contact| (contact.received_count() == 1).then_some(()),
            DEADLINE,
        )
        .await
        .unwrap();

    let contacts = get(&stage, "/api/contacts").await;
    let me = contacts
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["id"] == live().to_string())
        .unwrap();
    assert_eq!(
        (me["name"].as_str(), me["phone"].as_str()),
        (Some("Livia Live"), Some("+447700900005"))
    );
    let chats = get(&stage, &format!("/api/contacts/{}/chats", live())).await;
    assert_eq!(chats[0]["jid"], user.login.to_string());
    assert_eq!(chats[0]["unread"], 1);
    let path = format!("/api/contacts/{}/chats/{}", live(), user.login);
    let messages = get(&stage, &format!("{path}/messages")).await;
    assert_eq!(messages[0]["text"], "<b>hello</b>");

    let read = stage
        .http
        .post(url(&stage, &format!("{path}/read")))
        .send()
        .await
        .unwrap();
    assert_eq!(read.status(), StatusCode::NO_CONTENT);
    let receipt = loop {
        let receipt = client.next_of("receipt").await;
        if receipt.attr("type").as_deref() == Some("read") {
            break receipt;
        }
    };
    assert_eq!(receipt.attr("id").as_deref(), Some("m1"));

    let sent = stage
        .http
        .post(url(&stage, &format!("{path}/messages")))
        .json(&json!({"text": "hi yourself"}))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    let id = sent.json::<Value>().await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let message = client.next_of("message").await;
    assert_eq!(message.attr("id").as_deref(), Some(id.as_str()));
    assert_eq!(user.read(&message), "hi yourself");

    let info = get(&stage, "/api/info").await;
    assert_eq!(
        info["chat_address"],
        stage.sandbox.chat_address().to_string()
    );
    assert_eq!(info["root_key"].as_str().unwrap().len(), 64);
    let missing = stage
        .http
        .get(url(&stage, "/api/contacts/1@msgr/chats"))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_is_served_to_names_of_this_machine_alone() {
    let stage = Stage::start().await;
    let ask = |host: &str| stage.http.get(url(&stage, "/")).header("host", host).send();
    let page = ask("127.0.0.1:1").await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("default-src 'none'"));
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:29342",
    ] {
        let refused = ask(host).await.unwrap();
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}

#[tokio::test]
async fn another_sites_page_can_change_nothing() {
    let stage = Stage::start().await;
    let path = format!("/api/contacts/{}/chats/7-1234@interop/messages", live());
    let post = |name: &'static str, value: &'static str| {
        stage
            .http
            .post(url(&stage, &path))
            .header(name, value)
            .json(&json!({"text": "spam"}))
            .send()
    };
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(
            post(name, value).await.unwrap().status(),
            StatusCode::FORBIDDEN,
            "{name}: {value}"
        );
    }
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    assert!(contact.sent().is_empty());
    assert_eq!(
        post("sec-fetch-site", "same-origin")
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    assert_eq!(contact.sent().len(), 1);
}

#[tokio::test]
async fn the_page_is_told_when_something_changes() {
    let stage = Stage::start().await;
    let path = format!("/api/contacts/{}/events", live());
    let mut events = stage.http.get(url(&stage, &path)).send().await.unwrap();
    let first = tokio::time::timeout(DEADLINE, events.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(first.starts_with(b"data:"));
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact.send_text("7-1234@interop", "hello?").await.unwrap();
    let second = tokio::time::timeout(DEADLINE, events.chunk())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_ne!(first, second);
}
