//! Who a user is at a gatekeeper: logging in, being forgotten there, logging out; and asking to be let in.

use drawbridge::sandbox::{ContactHandle, Flavour};
use serde_json::json;

use super::{
    client::{PATIENCE, User},
    contact::Contact,
    management::{Desk, ghost_of},
    wait::until,
    world::{Plan, World},
};

/// What the bridge's own terms say.
const EEA: &str = "European Economic Area";

impl World {
    /// Waits until a gatekeeper knows a user by an identifier; the login.
    async fn knows(&self, flavour: Flavour, visible_id: &str) -> String {
        until(&format!("{visible_id} to be known"), PATIENCE, async || {
            self.sandbox.partner_login(flavour, visible_id)
        })
        .await
    }

    /// One of the contacts who are there from the start, by name.
    fn of_the_cast(&self, name: &str) -> ContactHandle {
        let mut contacts = self.sandbox.contacts().into_iter();
        contacts
            .find(|contact| contact.name() == name)
            .expect("one of the cast")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_is_a_conversation_and_each_gatekeeper_has_its_own() {
    let mut world = World::start(Plan {
        gatekeepers: json!({"messenger": {"visible_id": "{localpart}.{server}@bridge.example"}}),
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    let named = "alice.drawbridge.test@bridge.example";

    // Asked where, told what it means, and cancelled: nothing is left.
    let asked = desk.command(&mut alice, "login").await;
    assert!(
        asked.contains("`whatsapp`") && asked.contains("`messenger`"),
        "{asked}"
    );
    let terms = desk.command(&mut alice, "Messenger").await;
    assert!(terms.contains(EEA) && terms.contains(named), "{terms}");
    let guess = desk.command(&mut alice, "maybe").await;
    assert!(guess.contains("`accept`"), "{guess}");
    let cancelled = desk.command(&mut alice, "cancel").await;
    assert!(cancelled.contains("cancelled"), "{cancelled}");
    assert!(world.sandbox.partner_logins().is_empty());

    // The bridge restarts between question and answer.
    let terms = desk.command(&mut alice, "login messenger").await;
    assert!(terms.contains(EEA), "shown until accepted: {terms}");
    world.bridge.kill().await;
    world.bridge.start().await;
    let done = desk.command(&mut alice, "accept").await;
    assert!(
        done.contains("logged in at Messenger") && done.contains(named),
        "{done}"
    );

    // The second login asks nothing any more.
    let done = desk.command(&mut alice, "login").await;
    assert!(done.contains("logged in at WhatsApp"), "{done}");
    assert!(!done.contains(EEA), "{done}");
    world.knows(Flavour::Messenger, named).await;
    world.knows(Flavour::WhatsApp, &alice.mxid).await;
    assert_eq!(world.sandbox.partner_logins().len(), 2);
    let logins = desk.command(&mut alice, "list-logins").await;
    assert!(
        logins.contains(named) && logins.contains(&alice.mxid),
        "{logins}"
    );
    let everywhere = desk.command(&mut alice, "login").await;
    assert!(everywhere.contains("everywhere"), "{everywhere}");

    // Where a command means one of them, it says so or is told which.
    let resolve = "resolve-identifier +447700900005";
    let which = desk.command(&mut alice, resolve).await;
    assert!(which.contains("Say where"), "{which}");
    desk.command(&mut alice, "set-preferred-login whatsapp")
        .await;
    let found = desk.command(&mut alice, resolve).await;
    assert!(found.contains("can be written to at WhatsApp"), "{found}");

    // Both work; then one ends, and the other goes on.
    let there = Contact {
        phone: world.of_the_cast("Lotte Live"),
        user: world.knows(Flavour::Messenger, named).await,
    };
    let here = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("messenger {}", there.number());
    let away = desk.start_chat(&mut alice, &whom).await;
    let whom = format!("whatsapp {}", here.number());
    let stays = desk.start_chat(&mut alice, &whom).await;
    alice.say(&away, "by Messenger").await;
    there.receives("by Messenger").await;

    let asked = desk.command(&mut alice, "logout messenger").await;
    assert!(
        asked.contains("deletes your account") && asked.contains("one chat"),
        "{asked}"
    );
    assert!(
        world
            .sandbox
            .partner_login(Flavour::Messenger, named)
            .is_some()
    );
    let done = desk.command(&mut alice, "confirm").await;
    assert!(
        done.contains("logged out of Messenger") && done.contains("What is left"),
        "{done}"
    );
    assert_eq!(world.sandbox.partner_login(Flavour::Messenger, named), None);
    alice.say(&stays, "by WhatsApp").await;
    here.receives("by WhatsApp").await;
    let logins = desk.command(&mut alice, "list-logins").await;
    assert!(!logins.contains("Messenger"), "{logins}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_by_the_gatekeeper_is_enlisted_again_and_goes_on() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let mut contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    alice.say(&room, "before").await;
    contact.receives("before").await;

    let old = contact.user.clone();
    world.sandbox.unenlist(&old).await.expect("it is known");
    alice.say(&room, "forgotten").await;
    contact.receives("forgotten").await;
    contact.user = world.knows(Flavour::WhatsApp, &alice.mxid).await;
    assert_ne!(contact.user, old, "it is another login");
    contact.say("welcome back").await;
    alice
        .hear(&room, &ghost, |body| body == "welcome back")
        .await;
    alice.say(&room, "and on").await;
    contact.receives("and on").await;
    let logins = desk.command(&mut alice, "list-logins").await;
    assert!(logins.contains("WhatsApp: connected"), "{logins}");
}

/// Asks somebody, and waits for what they say.
async fn ask(desk: &mut Desk, alice: &mut User, number: &str, answer: &str) -> String {
    let whom = format!("whatsapp {number}");
    let refused = desk.command(alice, &format!("start-chat {whom}")).await;
    assert!(refused.contains("`request-reachability"), "{refused}");
    let asked = desk
        .command(alice, &format!("request-reachability {whom}"))
        .await;
    assert!(asked.contains("asked at WhatsApp"), "{asked}");
    desk.is_told(alice, answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_takes_no_messages_is_asked_and_what_they_say_is_told() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;

    let unwilling = world.of_the_cast("Ugo Unwilling").phone();
    ask(&mut desk, &mut alice, &unwilling, "does not want").await;
    let refused = desk
        .command(&mut alice, &format!("start-chat whatsapp {unwilling}"))
        .await;
    assert!(refused.contains("no messages of other apps"), "{refused}");

    let willing = world.of_the_cast("Willa Willing");
    let number = willing.phone();
    let told = ask(
        &mut desk,
        &mut alice,
        &number,
        "takes messages of other apps now",
    )
    .await;
    assert!(told.contains("`start-chat"), "{told}");
    let requests = desk.command(&mut alice, "list-requests").await;
    assert!(
        requests.contains("does not want them") && requests.contains("takes them"),
        "{requests}"
    );
    let room = desk
        .start_chat(&mut alice, &format!("whatsapp {number}"))
        .await;
    let ghost = ghost_of(&alice, &room).await;
    alice.say(&room, "thank you").await;
    let contact = Contact {
        phone: willing,
        user: world.knows(Flavour::WhatsApp, &alice.mxid).await,
    };
    contact.receives("thank you").await;
    // She answers with the same.
    alice
        .hear(&room, &ghost, |body| body.contains("thank you"))
        .await;
}
