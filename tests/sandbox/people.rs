//! Names and pictures, blocks: what people show each other, and whom they do not want.

use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, Flavour, SandboxError},
};

use super::{
    partner::{DEADLINE, number},
    talk::Talk,
    user::{Client, User, refusal},
};

fn changing() -> Jid {
    number("447700900009")
}

/// Bytes that pass for a JPEG.
pub(crate) fn jpeg(fill: u8) -> Vec<u8> {
    [vec![0xff, 0xd8, 0xff, 0xe0], vec![fill; 500]].concat()
}

fn wanted() -> Node {
    Node::new("picture")
        .with("type", "image")
        .with("query", "url")
}

async fn look(client: &mut Client, at: &Jid, picture: Node) -> Node {
    client
        .ask_of("get", "w:profile:picture", Some(at), picture)
        .await
}

async fn show(client: &mut Client, bytes: &[u8]) -> Node {
    let picture = Node::new("picture").with("type", "image").bytes(bytes);
    client.ask("set", "w:profile:picture", picture).await
}

/// The id of a picture and where it is.
fn shown(answer: &Node) -> (String, String) {
    let picture = answer.find("picture").unwrap();
    assert_eq!(picture.attr("type").as_deref(), Some("image"));
    let attr = |name| picture.attr(name).unwrap().into_owned();
    (attr("id"), attr("url"))
}

async fn picture_at(talk: &Talk, url: &str) -> Vec<u8> {
    let answer = talk.stage.http.get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_contacts_picture_is_shown_and_its_changes_are_told() {
    let mut talk = Talk::with(changing()).await;
    talk.contact.settle(DEADLINE).await.unwrap();
    let (id, url) = shown(&look(&mut talk.client, &changing(), wanted()).await);
    assert_eq!(talk.contact.picture(), Some(id.clone()));
    let bytes = picture_at(&talk, &url).await;
    assert!(image::load_from_memory(&bytes).is_ok());
    let known = wanted().with("id", id.as_str());
    let answer = look(&mut talk.client, &changing(), known).await;
    let picture = answer.find("picture").unwrap();
    assert_eq!(picture.attr("id").as_deref(), Some(id.as_str()));
    assert_eq!(picture.attr("url"), None);

    talk.say("U1", "picture").await;
    let told = talk.client.told("picture").await;
    assert_eq!(told.jid("from"), Some(changing()));
    let next = told.find("set").unwrap().attr("id").unwrap().into_owned();
    assert_ne!(next, id);
    let known = wanted().with("id", id);
    let (now, other) = shown(&look(&mut talk.client, &changing(), known).await);
    assert_eq!(now, next);
    assert_ne!(picture_at(&talk, &other).await, bytes);

    talk.say("U2", "no picture").await;
    let told = talk.client.told("picture").await;
    assert!(told.find("delete").is_some());
    let answer = look(&mut talk.client, &changing(), wanted()).await;
    assert_eq!(refusal(&answer), Some((404, "item-not-found".to_owned())));
}

#[tokio::test]
async fn a_new_name_is_told_to_those_who_wrote_with_its_owner_and_to_nobody_else() {
    let mut talk = Talk::with(changing()).await;
    let stranger = User::enlist(
        &talk.stage,
        "@bob:example.org",
        Flavour::WhatsApp,
        &changing(),
    )
    .await;
    talk.say("U1", "Name  Clara").await;
    let told = talk.client.told("profile").await;
    assert_eq!(told.jid("from"), Some(changing()));
    let name = told.find("name").unwrap().content_bytes().unwrap();
    assert_eq!(name, b"Clara");
    assert_eq!(talk.contact.name(), "Clara");
    let waiting = talk.stage.sandbox.waiting(&stranger.login.to_string());
    assert_eq!(waiting, 0);
    let talk = talk.restart().await;
    assert_eq!(talk.contact.name(), "Clara");
}

#[tokio::test]
async fn a_contact_sees_how_a_user_looks_and_is_called() {
    let mut talk = Talk::start().await;
    show(&mut talk.client, &jpeg(1)).await;
    talk.say("U1", "hello").await;
    let login = talk.user.login.clone();
    let sees = |id: Option<String>| {
        let login = login.clone();
        talk.contact.wait_for(
            move |contact: &ContactHandle| {
                let seen = contact.picture_of(&login);
                (seen.as_ref().map(|seen| &seen.id) == id.as_ref()).then_some(seen)
            },
            DEADLINE,
        )
    };
    let answer = look(&mut talk.client, &login, wanted()).await;
    let (id, _) = shown(&answer);
    let seen = sees(Some(id)).await.unwrap().unwrap();
    assert_eq!(picture_at(&talk, &seen.url).await, jpeg(1));

    let set = show(&mut talk.client, &jpeg(2)).await;
    let id = set
        .find("picture")
        .unwrap()
        .attr("id")
        .unwrap()
        .into_owned();
    let seen = sees(Some(id)).await.unwrap().unwrap();
    assert_eq!(picture_at(&talk, &seen.url).await, jpeg(2));
    show(&mut talk.client, b"").await;
    sees(None).await.unwrap();

    let named = Node::new("presence")
        .with("type", "available")
        .with("name", "Alice");
    talk.client.send(named).await;
    let called = |contact: &ContactHandle| {
        (contact.name_of(&login).as_deref() == Some("Alice")).then_some(())
    };
    talk.contact.wait_for(called, DEADLINE).await.unwrap();
}

#[tokio::test]
async fn only_pictures_are_taken_and_they_are_kept() {
    let mut talk = Talk::start().await;
    let refused = show(&mut talk.client, b"<svg/>").await;
    assert_eq!(refusal(&refused), Some((406, "not-acceptable".to_owned())));
    let large = jpeg(0).repeat(3000);
    let refused = show(&mut talk.client, &large).await;
    assert_eq!(refusal(&refused).unwrap().0, 413);
    let svg = talk.contact.set_picture(Some(b"<svg/>"));
    assert!(matches!(svg, Err(SandboxError::Picture)));
    let others = Node::new("picture").with("type", "image").bytes(jpeg(3));
    let jid = talk.jid.clone();
    let refused = talk
        .client
        .ask_of("set", "w:profile:picture", Some(&jid), others)
        .await;
    assert_eq!(refusal(&refused).unwrap().0, 403);

    talk.contact.set_online(false).unwrap();
    let away = |contact: &ContactHandle| (!contact.is_connected()).then_some(());
    talk.contact.wait_for(away, DEADLINE).await.unwrap();
    talk.contact.set_picture(Some(&jpeg(4))).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    let mut talk = talk.restart().await;
    let answer = look(&mut talk.client, &jid, wanted()).await;
    assert_eq!(refusal(&answer).unwrap().0, 404, "it was away");
    talk.contact.set_online(true).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    let mut talk = talk.restart().await;
    let (_, url) = shown(&look(&mut talk.client, &jid, wanted()).await);
    assert_eq!(picture_at(&talk, &url).await, jpeg(4));
    let missing = url.replace(".jpg", "x.jpg");
    let missing = talk.stage.http.get(missing).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn who_is_blocked_gets_no_keys_no_picture_and_no_message_through() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    talk.contact.set_picture(Some(&jpeg(5))).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    let told = talk.client.told("picture").await;
    assert!(told.find("set").is_some());
    talk.contact.block(&talk.login, true).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    assert!(talk.contact.blocked().contains(&talk.user.login));
    let jid = talk.jid.clone();
    assert_eq!(
        talk.client.keys_refused(&jid).await,
        Some((406, "not-acceptable".to_owned()))
    );
    let answer = look(&mut talk.client, &jid, wanted()).await;
    assert_eq!(refusal(&answer), Some((401, "not-authorized".to_owned())));
    let message = talk.user.message("U2", &jid, "are you there?");
    talk.client.send(message).await;
    let nack = talk.client.next_of("ack").await;
    assert_eq!(nack.attr("error").as_deref(), Some("403"));
    assert_eq!(nack.attr("text"), None);
    let waiting = talk.stage.sandbox.waiting(&talk.login);
    talk.contact.set_name("Nobody").unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    assert_eq!(talk.stage.sandbox.waiting(&talk.login), waiting);

    talk.contact.block(&talk.login, false).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    assert_eq!(talk.client.keys_refused(&jid).await, None);
}

#[tokio::test]
async fn a_block_in_another_client_of_a_user_is_told_to_this_one() {
    let mut talk = Talk::start().await;
    let (login, jid) = (talk.login.clone(), talk.jid.clone());
    let sandbox = &talk.stage.sandbox;
    sandbox
        .block_elsewhere(&login, &jid.to_string(), true)
        .await
        .unwrap();
    let told = talk.client.told("blocklist").await;
    assert_eq!(told.jid("from"), Some(Jid::server("s.whatsapp.net")));
    let item = told.find("item").unwrap();
    assert_eq!(item.attr("action").as_deref(), Some("block"));
    assert_eq!(item.jid("jid"), Some(jid.clone()));
    let list = talk.client.ask("get", "blocklist", Node::new("list")).await;
    let list = list.find("list").unwrap();
    assert_eq!(list.children()[0].jid("jid"), Some(jid.clone()));
    sandbox
        .block_elsewhere(&login, &jid.to_string(), false)
        .await
        .unwrap();
    let told = talk.client.told("blocklist").await;
    let item = told.find("item").unwrap();
    assert_eq!(item.attr("action").as_deref(), Some("unblock"));

    sandbox
        .block_elsewhere(&jid.to_string(), &login, true)
        .await
        .unwrap();
    let blocked =
        |contact: &ContactHandle| contact.blocked().contains(&talk.user.login).then_some(());
    talk.contact.wait_for(blocked, DEADLINE).await.unwrap();
    let nobody = sandbox.block_elsewhere("7-1@interop", &login, true).await;
    assert!(matches!(nobody, Err(SandboxError::Recipient(_))));
}
