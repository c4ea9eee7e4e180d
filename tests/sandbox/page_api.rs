//! What a person at the page can do besides writing texts, and what nobody can.

use drawbridge::{domain::Typing, sandbox::content::Content};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use waproto::{
    buffa::MessageField,
    whatsapp::{
        Message,
        message::{
            AudioMessage, ContactMessage, LocationMessage, PollCreationMessage,
            poll_creation_message, protocol_message::Type,
        },
    },
};

use super::talk::{Talk, text_message};

/// What might be read as HTML, an attribute, a header, a stanza or a command.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</message><message to='x'/>\r\nX-Header: 1",
    "\u{202e}\u{0}\u{1b}[31m",
];

impl Talk {
    fn path(&self, rest: &str) -> String {
        let (http, jid, login) = (self.stage.sandbox.http_address(), &self.jid, &self.login);
        format!("http://{http}/api/contacts/{jid}/chats/{login}/{rest}")
    }

    /// Asks the API; the status and the answer.
    async fn ask(&self, method: Method, rest: &str, body: Value) -> (StatusCode, Value) {
        let request = self.stage.http.request(method, self.path(rest));
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn post(&self, rest: &str, body: Value) -> StatusCode {
        self.ask(Method::POST, rest, body).await.0
    }

    async fn shown(&self) -> Vec<Value> {
        let answer = self.stage.http.get(self.path("messages")).send().await;
        answer.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn a_person_answers_changes_reacts_and_deletes() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    let answer = json!({"text": "*hi*", "quotes": {"side": "theirs", "id": "U1"}});
    let (status, answered) = talk.ask(Method::POST, "messages", answer).await;
    assert_eq!(status, StatusCode::OK);
    let id = answered["id"].as_str().unwrap();
    let (_, got) = talk.hear().await;
    let context = got.extended_text_message.context_info.clone();
    assert_eq!(context.stanza_id.as_deref(), Some("U1"));
    assert_eq!(context.participant.as_deref(), Some(talk.login.as_str()));
    let mine = format!("messages/mine/{id}");
    let text = talk
        .post(&format!("{mine}/text"), json!({"text": "_hi_"}))
        .await;
    assert_eq!(text, StatusCode::NO_CONTENT);
    let (_, got) = talk.hear().await;
    assert!(got.edited_message.is_set());
    let reaction = talk
        .post("messages/theirs/U1/reaction", json!({"emoji": "🙏🏽"}))
        .await;
    assert_eq!(reaction, StatusCode::NO_CONTENT);
    let (_, got) = talk.hear().await;
    assert_eq!(got.reaction_message.text.as_deref(), Some("🙏🏽"));
    let shown = talk.shown().await;
    assert_eq!(shown.len(), 2);
    let theirs = &shown[0]["reactions"];
    assert_eq!(*theirs, json!([{"mine": true, "emoji": "🙏🏽"}]));
    assert_eq!(shown[1]["text"], "_hi_");
    assert_eq!(shown[1]["edited"], true);
    assert_eq!(
        shown[1]["quotes"],
        json!({"id": "U1", "mine": false, "text": "hello"})
    );
    let (status, _) = talk.ask(Method::DELETE, &mine, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, got) = talk.hear().await;
    assert_eq!(got.protocol_message.r#type, Some(Type::REVOKE));
    assert_eq!(talk.shown().await[1]["revoked"], true);
}

#[tokio::test]
async fn nobody_changes_what_is_not_theirs_or_not_there() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    let text = json!({"text": "forged"});
    assert_eq!(
        talk.post("messages/theirs/U1/text", text.clone()).await,
        StatusCode::BAD_REQUEST
    );
    let (status, _) = talk
        .ask(Method::DELETE, "messages/theirs/U1", Value::Null)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for rest in ["messages/mine/U1/text", "messages/mine/none/text"] {
        assert_eq!(talk.post(rest, text.clone()).await, StatusCode::NOT_FOUND);
    }
    let sideways = talk.post("messages/ours/U1/text", text).await;
    assert_eq!(sideways, StatusCode::BAD_REQUEST);
    let long = json!({"emoji": "x".repeat(33)});
    assert_eq!(
        talk.post("messages/theirs/U1/reaction", long).await,
        StatusCode::BAD_REQUEST
    );
    let vote = json!({"options": []});
    assert_eq!(
        talk.post("messages/theirs/U1/vote", vote).await,
        StatusCode::NOT_FOUND
    );
    for (method, rest) in [
        (Method::POST, "messages/theirs/U1/reaction"),
        (Method::DELETE, "messages/theirs/U1"),
        (Method::POST, "files?kind=file"),
        (Method::POST, "poll"),
    ] {
        let request = talk.stage.http.request(method, talk.path(rest));
        let foreign = request.header("origin", "http://evil.example");
        let answer = foreign.json(&json!({"emoji": "x"})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{rest}");
    }
    assert!(talk.contact.sent().is_empty());
}

#[tokio::test]
async fn places_cards_polls_timers_and_calls_are_sent() {
    let mut talk = Talk::start().await;
    let place = json!({"latitude": 1.5, "longitude": -2.5, "name": "Here"});
    assert_eq!(talk.post("location", place).await, StatusCode::OK);
    let (_, got) = talk.hear().await;
    assert_eq!(got.location_message.name.as_deref(), Some("Here"));
    let nowhere = json!({"latitude": 91, "longitude": 0});
    assert_eq!(
        talk.post("location", nowhere).await,
        StatusCode::BAD_REQUEST
    );

    let card = json!({"name": "Ann; Bob, \\", "phone": "+44 7700 900001"});
    assert_eq!(talk.post("card", card).await, StatusCode::OK);
    let (_, got) = talk.hear().await;
    let vcard = got.contact_message.vcard.clone().unwrap();
    assert!(vcard.contains("FN:Ann\\; Bob\\, \\\\\n"), "{vcard}");
    for bad in [
        json!({"name": "A\nTEL:1", "phone": "1"}),
        json!({"name": "A", "phone": "1\nX:2"}),
        json!({"name": " ", "phone": "1"}),
    ] {
        assert_eq!(talk.post("card", bad).await, StatusCode::BAD_REQUEST);
    }

    let poll = json!({"question": "Tea?", "options": ["yes", "no"], "several": false});
    let (_, asked) = talk.ask(Method::POST, "poll", poll).await;
    let (_, got) = talk.hear().await;
    assert!(got.poll_creation_message_v3.is_set());
    let vote = format!("messages/mine/{}/vote", asked["id"].as_str().unwrap());
    let both = talk.post(&vote, json!({"options": ["yes", "no"]})).await;
    assert_eq!(both, StatusCode::BAD_REQUEST);
    let other = talk.post(&vote, json!({"options": ["maybe"]})).await;
    assert_eq!(other, StatusCode::BAD_REQUEST);
    let yes = talk.post(&vote, json!({"options": ["yes"]})).await;
    assert_eq!(yes, StatusCode::NO_CONTENT);
    talk.hear().await;
    let shown = talk.shown().await;
    let content = &shown.last().unwrap()["content"];
    assert_eq!(
        content["options"],
        json!([{"text": "yes", "votes": 1, "mine": true}, {"text": "no", "votes": 0, "mine": false}])
    );
    assert_eq!(content.get("secret"), None);
    for options in [json!(["one"]), json!(["a", "a"]), json!(["a", " "])] {
        let poll = json!({"question": "?", "options": options});
        assert_eq!(talk.post("poll", poll).await, StatusCode::BAD_REQUEST);
    }

    let timer = talk.post("timer", json!({"seconds": 86_400})).await;
    assert_eq!(timer, StatusCode::OK);
    talk.hear().await;
    talk.contact
        .send_text(&talk.login, "soon gone")
        .await
        .unwrap();
    assert_eq!(talk.shown().await.last().unwrap()["text"], "soon gone");
    talk.stage.clock.advance(86_400_000);
    let after = talk.shown().await;
    assert!(after.iter().all(|message| message["text"] != "soon gone"));

    let (_, call) = talk.ask(Method::POST, "call", json!({"video": true})).await;
    let offered = talk.next("call", None).await;
    assert!(offered.find("offer").unwrap().find("video").is_some());
    let end = talk.post("hang_up", json!({"call": call["id"]})).await;
    assert_eq!(end, StatusCode::NO_CONTENT);
    let ended = talk.next("call", None).await;
    assert!(ended.find("terminate").is_some());
}

#[tokio::test]
async fn texts_mention_people_and_have_previews_of_their_links() {
    let mut talk = Talk::start().await;
    let text = json!({"text": "@1 see https://example.org/a", "mentions": [talk.login], "everybody": true,
        "preview": {"url": "https://example.org/a", "title": "A page"}});
    assert_eq!(talk.post("messages", text).await, StatusCode::OK);
    let (_, got) = talk.hear().await;
    let said = &got.extended_text_message;
    assert_eq!(said.context_info.mentioned_jid, [talk.login.clone()]);
    assert_eq!(said.matched_text.as_deref(), Some("https://example.org/a"));
    assert_eq!(said.title.as_deref(), Some("A page"));
    let shown = talk.shown().await;
    assert_eq!(shown[0]["everybody"], true);
    assert_eq!(shown[0]["content"]["preview"]["title"], "A page");
    for bad in [
        json!({"text": "hello", "mentions": ["nobody\n"]}),
        json!({"text": "hello", "mentions": vec![talk.login.clone(); 65]}),
        json!({"text": "hello", "preview": {"url": "https://example.org/b", "title": "Elsewhere"}}),
        json!({"text": "", "mentions": [talk.login]}),
    ] {
        assert_eq!(talk.post("messages", bad).await, StatusCode::BAD_REQUEST);
    }
    let event = json!({"name": "A party"});
    assert_eq!(talk.post("event", event).await, StatusCode::OK);
    let (_, got) = talk.hear().await;
    assert_eq!(got.event_message.name.as_deref(), Some("A party"));
    assert_eq!(talk.contact.sent().len(), 2);
}

#[tokio::test]
async fn a_person_is_there_or_away() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    let path = format!(
        "http://{}/api/contacts/{}/present",
        talk.stage.sandbox.http_address(),
        talk.jid
    );
    for (present, kind) in [(false, "unavailable"), (true, "available")] {
        let request = talk
            .stage
            .http
            .post(&path)
            .json(&json!({"present": present}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let told = talk.client.next_of("presence").await;
        assert_eq!(told.attr("type").as_deref(), Some(kind));
    }
}

#[tokio::test]
async fn the_page_shows_who_writes_and_says_so_itself() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    for (state, media) in [("composing", None), ("recording", Some("audio"))] {
        let told = talk.post("typing", json!({"state": state})).await;
        assert_eq!(told, StatusCode::NO_CONTENT);
        let node = talk.client.next_of("chatstate").await;
        let composing = node.find("composing").unwrap();
        assert_eq!(composing.attr("media").as_deref(), media);
    }
    let unknown = talk.post("typing", json!({"state": "thinking"})).await;
    assert_eq!(unknown, StatusCode::UNPROCESSABLE_ENTITY);
    let recording = drawbridge::network::interop::wire::Node::new("composing");
    let said = drawbridge::network::interop::wire::Node::new("chatstate")
        .with("to", &talk.jid)
        .child(recording.with("media", "audio"));
    talk.client.send(said).await;
    let login = talk.user.login.clone();
    let sees = |contact: &drawbridge::sandbox::ContactHandle| {
        (contact.typing_of(&login) == Typing::Recording).then_some(())
    };
    talk.contact
        .wait_for(sees, super::partner::DEADLINE)
        .await
        .unwrap();
    let chats = format!(
        "http://{}/api/contacts/{}/chats",
        talk.stage.sandbox.http_address(),
        talk.jid
    );
    let answer = talk.stage.http.get(chats).send().await.unwrap();
    let chats: Value = answer.json().await.unwrap();
    assert_eq!(chats[0]["typing"], "recording");

    let voice = Message {
        audio_message: MessageField::some(AudioMessage {
            ptt: Some(true),
            ..AudioMessage::default()
        }),
        ..Message::default()
    };
    talk.write("V1", voice).await;
    let played = talk.post("messages/theirs/V1/played", json!({})).await;
    assert_eq!(played, StatusCode::NO_CONTENT);
    let receipt = talk.next("receipt", Some("played")).await;
    assert_eq!(receipt.attr("id").as_deref(), Some("V1"));
}

#[tokio::test]
async fn hostile_texts_are_texts_wherever_they_are() {
    let mut talk = Talk::start().await;
    for (number, hostile) in HOSTILE.into_iter().enumerate() {
        let text = || Some(hostile.to_owned());
        let option = poll_creation_message::Option {
            option_name: text(),
            ..poll_creation_message::Option::default()
        };
        let messages = [
            text_message(hostile),
            Message {
                location_message: MessageField::some(LocationMessage {
                    degrees_latitude: Some(0.0),
                    degrees_longitude: Some(0.0),
                    name: text(),
                    address: text(),
                    ..LocationMessage::default()
                }),
                ..Message::default()
            },
            Message {
                contact_message: MessageField::some(ContactMessage {
                    display_name: text(),
                    vcard: text(),
                    ..ContactMessage::default()
                }),
                ..Message::default()
            },
            Message {
                poll_creation_message: MessageField::some(PollCreationMessage {
                    name: text(),
                    options: vec![option],
                    ..PollCreationMessage::default()
                }),
                ..Message::default()
            },
        ];
        for (kind, message) in messages.into_iter().enumerate() {
            let got = talk.write(&format!("H{number}-{kind}"), message).await;
            match &got.content {
                Content::Location(place) => assert_eq!(place.name.as_deref(), Some(hostile)),
                Content::Contacts { cards } => assert_eq!(cards[0].vcard, hostile),
                Content::Poll(poll) => assert_eq!(poll.options, [hostile]),
                _ => assert_eq!(got.text, hostile),
            }
        }
    }
    let answer = talk.stage.http.get(talk.path("messages")).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let shown: Vec<Value> = answer.json().await.unwrap();
    assert_eq!(shown.len(), HOSTILE.len() * 4);
    assert_eq!(shown[0]["text"], HOSTILE[0]);
}
