//! A gatekeeper's client side against the sandbox: its own enlistment, chat server, mailbox, pushes and contacts.

use std::{sync::Arc, time::Duration};

use drawbridge::{
    clock::SystemClock,
    domain::{ChatId, LoginId},
    network::{ConnectionState, Network, interop::ConnectionPolicy},
    sandbox::{ContactHandle, Fault, Flavour, Integrator, Sandbox, SandboxOptions, Status},
    store::RemoteNotice,
};
use tokio::net::TcpListener;

use super::{
    peer::{DEADLINE, within},
    stage::{MXID, Stage},
};

/// A sandbox, a login at it, and a contact it has found.
pub(crate) struct Town {
    pub(crate) sandbox: Sandbox,
    pub(crate) stage: Stage,
    pub(crate) login: LoginId,
    /// What the gatekeeper calls the login.
    pub(crate) remote: String,
    pub(crate) contact: ContactHandle,
    pub(crate) chat: ChatId,
    _dir: tempfile::TempDir,
}

impl Town {
    pub(crate) async fn new(policy: ConnectionPolicy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let partner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", partner.local_addr().unwrap());
        let options = SandboxOptions {
            data_dir: dir.path().join("sandbox"),
            chat_listen: "127.0.0.1:0".to_owned(),
            http_listen: "127.0.0.1:0".to_owned(),
            integrators: vec![Integrator {
                id: 1,
                name: "drawbridge".to_owned(),
                base_url: address,
            }],
            with_cast: false,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options, Arc::new(SystemClock))
            .await
            .unwrap();
        let stage = Stage::new(&sandbox.profile_layer(Flavour::WhatsApp), policy).await;
        stage.serve_partner(partner);
        let contact = sandbox.add_contact(Flavour::WhatsApp, "Joe").await.unwrap();
        let login = stage.gatekeeper.log_in(MXID).await.unwrap();
        let found = stage.gatekeeper.resolve(login, &contact.phone()).await;
        let remote = sandbox
            .partner_login(Flavour::WhatsApp, MXID)
            .expect("it is enlisted");
        Self {
            sandbox,
            stage,
            login,
            remote,
            contact,
            chat: ChatId::direct(&found.unwrap()),
            _dir: dir,
        }
    }

    pub(crate) async fn until_texts(&self, count: usize) -> Vec<Option<String>> {
        within("texts from the contact", async {
            loop {
                let texts = self.stage.texts(self.login, &self.chat).await;
                if texts.len() >= count && texts.iter().all(Option::is_some) {
                    return texts;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn until_received(&self, count: usize) -> Vec<String> {
        let enough = |contact: &ContactHandle| (contact.received_count() >= count).then_some(());
        self.contact.wait_for(enough, DEADLINE).await.unwrap();
        let received = self.contact.received();
        received.into_iter().map(|message| message.text).collect()
    }

    pub(crate) async fn end(self) {
        self.stage.gatekeeper.stop().await;
        self.sandbox.shutdown().await;
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_receipts_go_both_ways() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (stage, login) = (&town.stage, town.login);
    stage.send_to(login, &town.chat, "M1", "hello").await;
    assert_eq!(town.until_received(1).await, ["hello"]);
    stage.until_sent(login).await;

    let answer = town.contact.send_text(&town.remote, "hello yourself").await;
    let answer = answer.unwrap();
    assert_eq!(
        town.until_texts(1).await,
        [Some("hello yourself".to_owned())]
    );
    let has_come = |wanted: Status| {
        let answer = answer.clone();
        move |contact: &ContactHandle| {
            let sent = contact.sent();
            sent.iter()
                .any(|message| message.id == answer && message.status == wanted)
                .then_some(())
        }
    };
    let delivered = has_come(Status::Delivered);
    town.contact.wait_for(delivered, DEADLINE).await.unwrap();
    stage.read(login, &town.chat, &[&answer]).await;
    let read = has_come(Status::Read);
    town.contact.wait_for(read, DEADLINE).await.unwrap();

    town.contact.mark_read(&town.remote).unwrap();
    within("the contact's read receipt", async {
        loop {
            let inbox = stage.inbox_of(login, &town.chat).await;
            if let Some(RemoteNotice::Read { ids }) =
                inbox.iter().find_map(|row| row.message.notice.clone())
            {
                assert_eq!(ids[0].as_str(), "M1");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_brings_the_mailbox_of_a_login_that_was_away() {
    let town = Town::new(ConnectionPolicy::OnDemand { idle_ms: 300 }).await;
    let idle = |state: &ConnectionState| *state == ConnectionState::Idle;
    town.stage.until_state(town.login, idle).await;
    for text in numbered(100) {
        town.contact.send_text(&town.remote, &text).await.unwrap();
    }
    let expected: Vec<Option<String>> = numbered(100).into_iter().map(Some).collect();
    assert_eq!(town.until_texts(100).await, expected);
    town.stage.until_state(town.login, idle).await;
    assert_eq!(town.sandbox.waiting(&town.remote), 0);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_the_sandbox_forgot_enlists_again_and_goes_on() {
    let town = Town::new(ConnectionPolicy::Always).await;
    town.sandbox.unenlist(&town.remote).await.unwrap();
    let (stage, login) = (&town.stage, town.login);
    let again = within("another enlistment", async {
        loop {
            let called = stage.row(login).await.remote_login;
            if called.as_ref() != Some(&town.remote) {
                return called.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(
        town.sandbox.partner_login(Flavour::WhatsApp, MXID),
        Some(again.clone())
    );
    // Nobody knows the session of somebody of another name.
    let queued = stage.gatekeeper.prepare(login, &town.chat).await;
    queued.unwrap();
    stage.send_to(login, &town.chat, "M1", "still here").await;
    assert_eq!(town.until_received(1).await, ["still here"]);
    stage.until_sent(login).await;
    // In the same chat as before.
    town.contact.send_text(&again, "so am I").await.unwrap();
    assert_eq!(town.until_texts(1).await, [Some("so am I".to_owned())]);
    let counters = town.contact.counters();
    assert_eq!((counters.key_reuse, counters.undecryptable), (0, 0));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_enlistment() {
    let town = Town::new(ConnectionPolicy::Always).await;
    town.stage.gatekeeper.log_out(town.login).await.unwrap();
    assert_eq!(town.sandbox.partner_login(Flavour::WhatsApp, MXID), None);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_over_cut_lines_and_bad_deliveries() {
    const COUNT: usize = 120;
    let town = Town::new(ConnectionPolicy::Always).await;
    let faults = town.sandbox.faults();
    faults.inject_after(Fault::Disconnect, Some("message"), 10, 2);
    faults.inject_after(Fault::Disconnect, Some("ack"), 25, 2);
    faults.inject_after(Fault::Duplicate, Some("message"), 20, 10);
    faults.inject_after(Fault::Drop, Some("ack"), 60, 1);
    faults.inject_after(Fault::UnknownStanza, None, 30, 5);
    let (stage, login) = (&town.stage, town.login);
    for (number, text) in numbered(COUNT).into_iter().enumerate() {
        stage
            .send_to(login, &town.chat, &format!("M{number}"), &text)
            .await;
        town.contact.send_text(&town.remote, &text).await.unwrap();
        if number % 40 == 39 {
            town.sandbox.cut(&town.remote);
        }
    }
    let expected: Vec<Option<String>> = numbered(COUNT).into_iter().map(Some).collect();
    assert_eq!(town.until_texts(COUNT).await, expected);
    assert_eq!(town.until_received(COUNT).await, numbered(COUNT));
    within("the end of the faults", async {
        while faults.pending() > 0 || !town.sandbox.is_connected(&town.remote) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // What was not acknowledged goes again on the next connection.
    town.sandbox.cut(&town.remote);
    stage.until_sent(login).await;
    let counters = town.contact.counters();
    assert_eq!((counters.key_reuse, counters.undecryptable), (0, 0));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_message_is_asked_for_again_and_comes() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let faults = town.sandbox.faults();
    faults.inject(Fault::CorruptCiphertext, Some("message"), 1);
    town.contact
        .send_text(&town.remote, "spoilt")
        .await
        .unwrap();
    assert_eq!(town.until_texts(1).await, [Some("spoilt".to_owned())]);
    town.end().await;
}
