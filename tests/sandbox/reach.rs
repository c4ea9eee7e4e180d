//! Who has not switched interop on, and what those do who want to write to them.

use drawbridge::{
    network::interop::wire::{Jid, Node},
    sandbox::{ContactHandle, Flavour, Status},
};

use super::{
    partner::{DEADLINE, Stage, number},
    talk::Talk,
    user::{Client, User, refusal},
};

fn not_opted_in() -> (u64, String) {
    (403, "not-opted-in".to_owned())
}

/// A user who is connected, and has no keys of the contact.
async fn outside(jid: &Jid) -> (Stage, User, Client) {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, jid).await;
    let client = user.connect(&stage).await;
    (stage, user, client)
}

/// Asks to be let through; what the gatekeeper says of it.
async fn ask(client: &mut Client, jid: &Jid) -> Node {
    let user = Node::new("user").with("jid", jid);
    let request = Node::new("reachability").child(user);
    client.ask("set", "w:interop", request).await
}

fn status(answer: &Node, jid: &Jid) -> String {
    let user = answer.find("reachability").unwrap().find("user").unwrap();
    assert_eq!(user.jid("jid").as_ref(), Some(jid));
    user.attr("status").unwrap().into_owned()
}

/// What the one who was asked answered.
async fn answered(client: &mut Client, jid: &Jid) -> String {
    let told = client.told("w:interop").await;
    assert_eq!(told.jid("from").as_ref(), Some(jid));
    let answer = told.find("reachability").unwrap();
    answer.attr("status").unwrap().into_owned()
}

/// What the server says to a message.
async fn refused(client: &mut Client, jid: &Jid) -> (Option<String>, Option<String>) {
    let enc = Node::new("enc").with("type", "msg").bytes([1]);
    let message = Node::new("message").with("to", jid).with("id", "early");
    client.send(message.child(enc)).await;
    let ack = client.next_of("ack").await;
    let attr = |name| ack.attr(name).map(std::borrow::Cow::into_owned);
    (attr("error"), attr("text"))
}

#[tokio::test]
async fn who_accepts_a_request_can_be_written_to() {
    let willing = number("447700900007");
    let (stage, mut user, mut client) = outside(&willing).await;
    assert_eq!(client.keys_refused(&willing).await, Some(not_opted_in()));
    assert_eq!(
        refused(&mut client, &willing).await,
        (Some("403".to_owned()), Some("not-opted-in".to_owned()))
    );
    let contact = stage.sandbox.contact(&willing.to_string()).unwrap();
    assert!(!contact.opted_in() && contact.received_count() == 0);
    let answer = ask(&mut client, &willing).await;
    assert_eq!(status(&answer, &willing), "sent");
    assert_eq!(answered(&mut client, &willing).await, "accepted");
    assert!(contact.opted_in() && contact.requests().is_empty());
    let bundle = client.keys_of(&willing).await.unwrap();
    user.ratchet.establish(&bundle);
    client.send(user.message("U1", &willing, "at last")).await;
    let echo = client.next_of("message").await;
    assert_eq!(user.read(&echo), "at last");
    let answer = ask(&mut client, &willing).await;
    assert_eq!(status(&answer, &willing), "already");
}

#[tokio::test]
async fn who_declines_is_not_asked_again() {
    let unwilling = number("447700900008");
    let (stage, _user, mut client) = outside(&unwilling).await;
    let answer = ask(&mut client, &unwilling).await;
    assert_eq!(status(&answer, &unwilling), "sent");
    assert_eq!(answered(&mut client, &unwilling).await, "declined");
    let answer = ask(&mut client, &unwilling).await;
    assert_eq!(status(&answer, &unwilling), "refused");
    assert_eq!(client.keys_refused(&unwilling).await, Some(not_opted_in()));
    let contact = stage.sandbox.contact(&unwilling.to_string()).unwrap();
    assert!(!contact.opted_in() && contact.requests().is_empty());

    contact.opt_in(true).unwrap();
    assert_eq!(
        answered(&mut client, &unwilling).await,
        "accepted",
        "who asked is told of a change of mind"
    );
}

#[tokio::test]
async fn nobody_and_partners_users_cannot_be_asked() {
    let nobody = number("447700900998");
    let (stage, user, mut client) = outside(&nobody).await;
    let answer = ask(&mut client, &nobody).await;
    assert_eq!(refusal(&answer), Some((404, "item-not-found".to_owned())));
    let ivy = stage.sandbox.partner_users()[0].jid().clone();
    let answer = ask(&mut client, &ivy).await;
    assert_eq!(refusal(&answer).unwrap().0, 404);
    let elsewhere = Jid::user("100000000000004", "msgr");
    let answer = ask(&mut client, &elsewhere).await;
    assert_eq!(refusal(&answer).unwrap().0, 404);
    let answer = ask(&mut client, &user.login).await;
    assert_eq!(refusal(&answer).unwrap().0, 404);
}

#[tokio::test]
async fn a_request_waits_for_a_contact_who_is_away_and_decides_itself() {
    let mut talk = Talk::start().await;
    talk.contact.opt_in(false).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    talk.contact.set_online(false).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    let jid = talk.jid.clone();
    let named = Node::new("presence").with("name", "Alice");
    talk.client.send(named).await;
    let answer = ask(&mut talk.client, &jid).await;
    assert_eq!(status(&answer, &jid), "sent");
    let answer = ask(&mut talk.client, &jid).await;
    assert_eq!(status(&answer, &jid), "already");

    let talk = talk.restart().await;
    assert!(talk.contact.requests().is_empty());
    talk.contact.set_online(true).unwrap();
    let asked = |contact: &ContactHandle| contact.requests().pop();
    let request = talk.contact.wait_for(asked, DEADLINE).await.unwrap();
    assert_eq!(request.jid, talk.user.login);
    assert_eq!(request.name.as_deref(), Some("Alice"));
    assert!(talk.contact.messages(&talk.user.login)[0].notice);
    let mut talk = talk.restart().await;
    assert_eq!(talk.contact.requests(), [request]);
    assert!(talk.contact.answer_request("7-1@interop", true).is_err());
    talk.contact.answer_request(&talk.login, true).unwrap();
    assert_eq!(answered(&mut talk.client, &jid).await, "accepted");
    assert_eq!(talk.client.keys_refused(&jid).await, None);
}

#[tokio::test]
async fn who_opts_out_is_not_reached_and_does_not_reach() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    talk.contact.opt_in(false).unwrap();
    talk.contact.settle(DEADLINE).await.unwrap();
    let jid = talk.jid.clone();
    let message = talk.user.message("U2", &jid, "still there?");
    talk.client.send(message).await;
    let nack = loop {
        let ack = talk.client.next_of("ack").await;
        if ack.attr("id").as_deref() == Some("U2") {
            break ack;
        }
    };
    assert_eq!(nack.attr("error").as_deref(), Some("403"));
    assert_eq!(nack.attr("text").as_deref(), Some("not-opted-in"));
    let picture = Node::new("picture").with("query", "url");
    let answer = talk
        .client
        .ask_of("get", "w:profile:picture", Some(&jid), picture)
        .await;
    assert_eq!(refusal(&answer).unwrap().0, 401);
    let id = talk.contact.send_text(&talk.login, "hi").await.unwrap();
    talk.until(&id, |message| message.status == Status::Failed)
        .await;

    let mut talk = talk.restart().await;
    assert!(!talk.contact.opted_in());
    assert_eq!(talk.client.keys_refused(&jid).await, Some(not_opted_in()));
    let answer = ask(&mut talk.client, &jid).await;
    assert_eq!(status(&answer, &jid), "sent");
    talk.contact.opt_in(true).unwrap();
    assert_eq!(answered(&mut talk.client, &jid).await, "accepted");
    talk.say("U3", "again").await;
}
