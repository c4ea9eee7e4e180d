//! A file that is asked for again: the contact's phone uploads what it kept, or says that it has nothing.

use drawbridge::{
    domain::MediaKind,
    network::interop::wire::{Jid, Node},
    sandbox::{Flavour, MediaToSend},
};
use waproto::{
    buffa::Message as _,
    whatsapp::{
        MediaRetryNotification, ServerErrorReceipt, media_retry_notification::ResultType,
        message::ImageMessage,
    },
};

use super::{files, talk::Talk};

async fn picture(talk: &mut Talk) -> (String, ImageMessage) {
    let media = MediaToSend::bytes(MediaKind::Image, "image/png", vec![5; 1000]);
    let id = talk.contact.send_media(&talk.login, media).await.unwrap();
    let (_, got) = talk.hear().await;
    (id, got.image_message.into_option().unwrap())
}

/// A request for a message's file, for whoever has its key.
fn request(talk: &Talk, id: &str, key: &[u8]) -> Node {
    ask_for(id, key, &talk.jid)
}

/// A request for the file of a message in a chat.
pub(crate) fn ask_for(id: &str, key: &[u8], chat: &Jid) -> Node {
    let said = ServerErrorReceipt {
        stanza_id: Some(id.to_owned()),
    };
    let sealed = files::seal_retry(key, id, &said.encode_to_vec());
    Node::new("receipt")
        .with("type", "server-error")
        .with("id", id)
        .with("to", chat)
        .child(
            Node::new("encrypt")
                .child(Node::new("enc_p").bytes(sealed))
                .child(Node::new("enc_iv").bytes([6; 12])),
        )
        .child(Node::new("rmr").with("jid", chat).with("from_me", "false"))
}

/// The answer to a request.
async fn answer(talk: &mut Talk, id: &str, key: &[u8]) -> MediaRetryNotification {
    let node = talk.next("notification", Some("mediaretry")).await;
    assert_eq!(node.attr("id").as_deref(), Some(id));
    assert_eq!(node.jid("from"), Some(talk.jid.clone()));
    let rmr = node.find("rmr").unwrap();
    assert_eq!(rmr.attr("from_me").as_deref(), Some("false"));
    let encrypt = node.find("encrypt").unwrap();
    let field = |tag| encrypt.find(tag).unwrap().content_bytes().unwrap();
    let said = files::open_retry(key, id, field("enc_iv"), field("enc_p"));
    MediaRetryNotification::decode_from_slice(&said).unwrap()
}

async fn fetched(talk: &Talk, path: &str) -> Option<Vec<u8>> {
    let base = talk.stage.profile(Flavour::WhatsApp).media_url;
    let url = format!("{}{path}", base.as_str().trim_end_matches('/'));
    let answer = talk.stage.http.get(url).send().await.unwrap();
    let answer = answer.error_for_status().ok()?;
    Some(answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_file_that_is_gone_is_uploaded_again_even_after_a_restart() {
    let mut talk = Talk::start().await;
    let (id, image) = picture(&mut talk).await;
    let old = image.direct_path.unwrap();
    let key = image.media_key.unwrap();
    let before = fetched(&talk, &old).await.unwrap();
    talk.stage.sandbox.forget_media().await.unwrap();
    assert_eq!(fetched(&talk, &old).await, None);
    let mut talk = talk.restart().await;

    let node = request(&talk, &id, &key);
    talk.client.send(node).await;
    let ack = talk.client.next_of("ack").await;
    assert_eq!(ack.attr("class").as_deref(), Some("receipt"));
    assert_eq!(ack.attr("type").as_deref(), Some("server-error"));
    let said = answer(&mut talk, &id, &key).await;
    assert_eq!(said.result, Some(ResultType::SUCCESS));
    assert_eq!(said.stanza_id.as_deref(), Some(id.as_str()));
    let new = said.direct_path.unwrap();
    assert_ne!(new, old);
    assert_eq!(fetched(&talk, &new).await.unwrap(), before);
    let kept = talk.contact.message(&talk.login, &id).unwrap();
    let remote = kept.content.file().unwrap().remote.clone().unwrap();
    assert_eq!(remote.path, new);
    assert_eq!(talk.contact.counters().files_asked_again, 1);
    let phone = talk.jid.to_string();
    talk.stage
        .until("the request is acknowledged", || {
            talk.stage.sandbox.waiting(&phone) == 0
        })
        .await;
}

#[tokio::test]
async fn a_phone_without_its_files_says_so() {
    let mut talk = Talk::start().await;
    let (id, image) = picture(&mut talk).await;
    let key = image.media_key.unwrap();
    talk.contact.lose_files(true).unwrap();
    let node = request(&talk, &id, &key);
    talk.client.send(node).await;
    let said = answer(&mut talk, &id, &key).await;
    assert_eq!(said.result, Some(ResultType::NOT_FOUND));
    assert_eq!(said.direct_path, None);

    talk.contact.lose_files(false).unwrap();
    let node = request(&talk, &id, &key);
    talk.client.send(node).await;
    let said = answer(&mut talk, &id, &key).await;
    assert_eq!(said.result, Some(ResultType::SUCCESS));
}

#[tokio::test]
async fn a_request_without_the_files_key_gets_no_answer() {
    let mut talk = Talk::start().await;
    let (id, image) = picture(&mut talk).await;
    let forged = request(&talk, &id, &[1; 32]);
    talk.client.send(forged).await;
    let unknown = request(&talk, "nothing", &[1; 32]);
    talk.client.send(unknown).await;
    let key = image.media_key.unwrap();
    let node = request(&talk, &id, &key);
    talk.client.send(node).await;
    answer(&mut talk, &id, &key).await;
    assert_eq!(talk.contact.counters().files_asked_again, 1);
    let phone = talk.jid.to_string();
    talk.stage
        .until("all are acknowledged", || {
            talk.stage.sandbox.waiting(&phone) == 0
        })
        .await;
}
