//! Groups by the page's API.

use drawbridge::network::interop::wire::Jid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    groups::liam,
    member::Member,
    partner::Stage,
    talk::{live, text_message},
};

async fn ask(stage: &Stage, method: Method, rest: &str, body: Value) -> (StatusCode, Value) {
    let http = stage.sandbox.http_address();
    let url = format!("http://{http}/api/contacts/{}/{rest}", live());
    let answer = stage.http.request(method, url).json(&body).send().await;
    let answer = answer.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

async fn post(stage: &Stage, rest: &str, body: Value) -> (StatusCode, Value) {
    ask(stage, Method::POST, rest, body).await
}

async fn get(stage: &Stage, rest: &str) -> Value {
    let (status, answer) = ask(stage, Method::GET, rest, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{rest}");
    answer
}

#[tokio::test]
async fn a_person_makes_a_group_writes_in_it_and_changes_it() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let new = json!({"subject": "<b>Flat</b>", "members": [alice.jid(), liam()]});
    let (status, made) = post(&stage, "groups", new).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let group: Jid = made["jid"].as_str().unwrap().parse().unwrap();
    let path = format!("groups/{group}");
    let shown = get(&stage, &path).await;
    assert_eq!(shown["subject"], "<b>Flat</b>");
    assert_eq!(shown["admin"], true);
    assert_eq!(shown["members"].as_array().unwrap().len(), 3);

    let chat = format!("chats/{group}");
    let text = json!({"text": "hello all"});
    let (status, _) = post(&stage, &format!("{chat}/messages"), text).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(alice.hear_text(&group).await, "hello all");
    alice
        .write(&group, "A1", &text_message("hello you"), &[live()])
        .await;
    alice
        .find(|node| node.tag == "receipt" && node.attr("id").as_deref() == Some("A1"))
        .await;
    let messages = get(&stage, &format!("{chat}/messages")).await;
    let last = messages.as_array().unwrap().last().unwrap();
    assert_eq!(last["text"], "hello you");
    assert_eq!(last["sender"], alice.jid().to_string());
    assert_eq!(last["sender_name"], "@alice:example.org");
    let answer = json!({"text": "yes?", "quotes": {"side": "theirs", "id": "A1"}});
    post(&stage, &format!("{chat}/messages"), answer).await;
    let (_, message) = alice.hear(&group).await;
    let context = message.extended_text_message.context_info.clone();
    assert_eq!(context.participant, Some(alice.jid().to_string()));
    let (status, _) = ask(
        &stage,
        Method::DELETE,
        &format!("{chat}/messages/theirs/A1"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT, "an admin may");
    let (node, _) = alice.hear(&group).await;
    assert_eq!(node.attr("edit").as_deref(), Some("8"));

    for (rest, body) in [
        ("subject", json!({"text": "Flat"})),
        ("description", json!({"text": "about us"})),
        ("announce", json!({"on": true})),
        ("locked", json!({"on": true})),
    ] {
        let (status, _) = post(&stage, &format!("{path}/{rest}"), body).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{rest}");
    }
    let change = json!({"what": "promote", "members": [alice.jid(), "1@s.whatsapp.net"]});
    let (_, outcomes) = post(&stage, &format!("{path}/members"), change).await;
    assert_eq!(
        outcomes,
        json!([
            {"jid": "1@s.whatsapp.net", "error": 404},
            {"jid": alice.jid(), "error": null},
        ])
    );
    let http = stage.sandbox.http_address();
    let url = format!("http://{http}/api/contacts/{}/{path}/picture", live());
    let jpeg = stage.http.post(&url).body(vec![0xff, 0xd8, 0xff, 1]).send();
    assert_eq!(jpeg.await.unwrap().status(), StatusCode::NO_CONTENT);
    let text = stage.http.post(&url).body("GIF89a").send();
    assert_eq!(text.await.unwrap().status(), StatusCode::BAD_REQUEST);
    let shown = get(&stage, &path).await;
    assert_eq!(
        (&shown["subject"], &shown["description"]),
        (&json!("Flat"), &json!("about us"))
    );
    assert_eq!(
        (&shown["announce"], &shown["locked"]),
        (&json!(true), &json!(true))
    );
    let picture = format!("http://{http}{}", shown["picture"].as_str().unwrap());
    let picture = stage.http.get(picture).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert_eq!(
        picture.bytes().await.unwrap().to_vec(),
        [0xff, 0xd8, 0xff, 1]
    );
    let (status, _) = ask(
        &stage,
        Method::DELETE,
        &format!("{path}/picture"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = post(&stage, &format!("{path}/leave"), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let all = get(&stage, "groups").await;
    assert_eq!(all[0]["member"], false);
    let chats = get(&stage, "chats").await;
    assert_eq!(chats[0]["name"], "Flat");
    assert_eq!(chats[0]["group"]["jid"], group.to_string());
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let stage = Stage::start().await;
    let mut alice = Member::start(&stage, "@alice:example.org").await;
    let group = alice.create("K1", &[&live()]).await;
    for (rest, body, wanted) in [
        ("groups", json!({"subject": ""}), StatusCode::CONFLICT),
        (
            "groups",
            json!({"subject": "x", "members": ["not an address"]}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "groups/7-1@interop/leave",
            Value::Null,
            StatusCode::BAD_REQUEST,
        ),
        (
            &format!("groups/{group}/announce"),
            json!({"on": true}),
            StatusCode::CONFLICT,
        ),
    ] {
        let (status, said) = post(&stage, rest, body).await;
        assert_eq!(status, wanted, "{rest}: {said}");
        assert!(said["error"].is_string());
    }
    let none = "groups/120363000000000009@g.us";
    let (status, _) = ask(&stage, Method::GET, none, Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
