//! Several Partners: the one under test, one the sandbox plays, and more of the options.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drawbridge::{
    network::interop::wire::{
        Jid, Node, noise,
        payload::{ClientPayload, Product},
    },
    sandbox::{ContactHandle, Fault, Flavour, Integrator, Sandbox, SandboxError, Script},
};
use serde_json::json;

use super::{
    partner::{DEADLINE, INTEGRATOR, Stage, number, options},
    ratchet::Peer,
    talk::{Talk, live},
    user::{Client, User},
};

/// A phone of a test's own, registered and connected.
async fn phone(stage: &Stage, digits: u64) -> Client {
    let noise_private: [u8; 32] = rand::random();
    let jid = number(&digits.to_string());
    let bundle = Peer::new(&jid, &jid).bundle(false);
    let registration = json!({
        "jid": jid.to_string(), "name": "A phone",
        "noise_key": STANDARD.encode(noise::public_key(&noise_private)),
        "registration_id": bundle.registration_id,
        "identity": STANDARD.encode(bundle.identity),
        "signed_prekey_id": bundle.signed_prekey.id,
        "signed_prekey": STANDARD.encode(bundle.signed_prekey.value),
        "signed_prekey_signature": STANDARD.encode(bundle.signed_prekey.signature),
    });
    let url = format!("http://{}/phones/register", stage.sandbox.http_address());
    let answer = stage.http.post(url).json(&registration).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    let payload = ClientPayload {
        username: Some(digits),
        passive: false,
        pull: true,
        device: 0,
        user_agent: None,
        product: Product::WhatsApp,
        account_id: 0,
        token: Vec::new(),
        enable_read_receipts: true,
    };
    let mut client = Client::open(stage, noise_private, &payload.encode()).await;
    assert_eq!(client.next().await.tag, "success");
    client
}

fn ivy(stage: &Stage) -> ContactHandle {
    let users = stage.sandbox.partner_users();
    let is_ivy = |user: &&ContactHandle| {
        user.flavour() == Flavour::WhatsApp && user.visible_id() == Some("@ivy:other.example")
    };
    users.iter().find(is_ivy).unwrap().clone()
}

#[tokio::test]
async fn users_of_the_other_partner_are_clients_contacts_talk_with() {
    let stage = Stage::start().await;
    let ivy = ivy(&stage);
    assert!(ivy.jid().to_string().starts_with("2-"));
    assert_eq!(ivy.phone(), "@ivy:other.example");
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .send_text(&ivy.jid().to_string(), "who are you?")
        .await
        .unwrap();
    let came = |user: &ContactHandle| user.received().pop();
    let got = ivy.wait_for(came, DEADLINE).await.unwrap();
    assert_eq!(got.text, "who are you?");
    assert_eq!(ivy.name_of(&live()).as_deref(), Some("Livia Live"));
    ivy.send_text(&live().to_string(), "Ivy").await.unwrap();
    let got = contact.wait_for(came, DEADLINE).await.unwrap();
    assert_eq!((got.text.as_str(), &got.sender), ("Ivy", ivy.jid()));
    assert_eq!(contact.name_of(ivy.jid()).as_deref(), Some("Ivy Other"));

    let login = ivy.jid().clone();
    let stage = stage.restart().await;
    let users = stage.sandbox.partner_users();
    assert_eq!(users.len(), 3);
    let again = users.iter().find(|user| *user.jid() == login).unwrap();
    contact_writes(&stage, again).await;
    let added = stage
        .sandbox
        .add_partner_user(
            Flavour::Messenger,
            "@una:other.example",
            "Una",
            Script::Echo,
        )
        .await
        .unwrap();
    assert!(stage.sandbox.contact(&added.jid().to_string()).is_ok());
    let is_phone = |contact: &ContactHandle| contact.visible_id().is_none();
    assert!(stage.sandbox.contacts().iter().all(is_phone));
    assert!(stage.sandbox.partner_logins().is_empty());
}

async fn contact_writes(stage: &Stage, to: &ContactHandle) {
    let contact = stage.sandbox.contact(&live().to_string()).unwrap();
    contact
        .send_text(&to.jid().to_string(), "after a restart")
        .await
        .unwrap();
    let came = |user: &ContactHandle| {
        user.received()
            .pop()
            .filter(|m| m.text == "after a restart")
    };
    to.wait_for(came, DEADLINE).await.unwrap();
}

#[tokio::test]
async fn two_partners_users_cannot_write_to_each_other() {
    let mut talk = Talk::start().await;
    let ivy = ivy(&talk.stage);
    let message = talk.user.message("U1", ivy.jid(), "hello");
    talk.client.send(message).await;
    let nack = talk.client.next_of("ack").await;
    assert_eq!(nack.attr("error").as_deref(), Some("404"));
    let id = ivy.send_text(&talk.login, "hello").await.unwrap();
    let failed = |user: &ContactHandle| {
        let message = user.message(&talk.login, &id)?;
        (message.status == drawbridge::sandbox::Status::Failed).then_some(())
    };
    ivy.wait_for(failed, DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_phone_sees_every_partner_and_finds_their_users() {
    let stage = Stage::start().await;
    let ours = User::enlist(&stage, "@ivy:other.example", Flavour::WhatsApp, &live()).await;
    let ivy = ivy(&stage);
    let mut phone = phone(&stage, 447_700_900_777).await;
    let all = Node::new("integrator").with("fetch", "all");
    let answer = phone.ask("get", "w:interop", all.clone()).await;
    let list = answer.find("integrator_list").unwrap();
    assert_eq!(list.attr("opted_in").as_deref(), Some("true"));
    let ids: Vec<_> = list.children().iter().map(|one| one.number("id")).collect();
    assert_eq!(ids, [Some(u64::from(INTEGRATOR)), Some(2)]);
    assert_eq!(
        list.children()[1].attr("name").as_deref(),
        Some("OtherBridge")
    );
    let user = |integrator: u16| {
        Node::new("user")
            .with("external_id", "@ivy:other.example")
            .with("integrator_id", u64::from(integrator))
    };
    let users = [INTEGRATOR, 2, 3].map(user);
    let users = users.into_iter().fold(Node::new("users"), Node::child);
    let answer = phone.ask("get", "w:interop", users).await;
    let found = answer.find("users").unwrap().children();
    let jids: Vec<_> = found.iter().map(|user| user.jid("jid")).collect();
    assert_eq!(jids, [Some(ours.login), Some(ivy.jid().clone()), None]);

    phone
        .ask("set", "w:interop", Node::new("opt_out_integrators"))
        .await;
    let answer = phone.ask("get", "w:interop", all).await;
    let list = answer.find("integrator_list").unwrap();
    assert_eq!(list.attr("opted_in").as_deref(), Some("false"));
}

#[tokio::test]
async fn faults_and_time_are_for_the_partner_under_test() {
    let talk = Talk::start().await;
    let ivy = ivy(&talk.stage);
    let faults = talk.stage.sandbox.faults();
    faults.inject(Fault::Drop, Some("message"), 1);
    contact_writes(&talk.stage, &ivy).await;
    assert_eq!(faults.pending(), 1);
    faults.clear();
    ivy.set_online(false).unwrap();
    let login = ivy.jid().to_string();
    talk.stage
        .until("she is away", || !talk.stage.sandbox.is_connected(&login))
        .await;
    talk.stage.clock.advance(40 * 24 * 60 * 60 * 1000);
    talk.stage.sandbox.sweep().await;
    ivy.set_online(true).unwrap();
    talk.stage
        .until("she is back", || talk.stage.sandbox.is_connected(&login))
        .await;
}

#[tokio::test]
async fn the_options_may_have_the_second_partner_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path().to_owned(), "http://127.0.0.1:1");
    options.integrators.push(Integrator {
        id: Integrator::OTHER,
        name: "second partner".to_owned(),
        base_url: "http://127.0.0.1:2".to_owned(),
    });
    let clock = drawbridge::clock::ManualClock::new(1_800_000_000_000);
    let sandbox = Sandbox::start(options, std::sync::Arc::new(clock))
        .await
        .unwrap();
    assert!(sandbox.partner_users().is_empty());
    let added = sandbox
        .add_partner_user(Flavour::WhatsApp, "@x:y", "X", Script::Live)
        .await;
    assert!(matches!(added, Err(SandboxError::NotPlayed)));
    let first = sandbox.profile_layer(Flavour::WhatsApp);
    assert_eq!(first["integrator_id"], INTEGRATOR);
    let second = sandbox.profile_layer_of(Flavour::WhatsApp, 2).unwrap();
    assert_eq!(second["integrator_id"], 2);
    assert_eq!(second["token"]["issuer"], "second partner");
    assert_eq!(second["enlist_url"], first["enlist_url"]);
    assert_eq!(sandbox.profile_layer_of(Flavour::WhatsApp, 3), None);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn who_was_unenlisted_enlists_again_under_another_login() {
    let mut talk = Talk::start().await;
    talk.say("U1", "hello").await;
    talk.stage.sandbox.unenlist(&talk.login).await.unwrap();
    while talk.client.next_or_end().await.is_some() {}
    let failure = talk.user.dial(&talk.stage).await.next().await;
    assert_eq!(failure.attr("reason").as_deref(), Some("404"));
    assert_eq!(
        talk.stage
            .sandbox
            .partner_login(Flavour::WhatsApp, "@alice:example.org"),
        None
    );
    let again = User::enlist(
        &talk.stage,
        "@alice:example.org",
        Flavour::WhatsApp,
        &talk.jid,
    )
    .await;
    assert_ne!(again.login, talk.user.login);
    again.connect(&talk.stage).await;
    let known = Jid::to_string(&again.login);
    assert_eq!(
        talk.stage
            .sandbox
            .partner_login(Flavour::WhatsApp, "@alice:example.org"),
        Some(known)
    );
}
