//! The bot's commands, and who may use them.

use drawbridge::sandbox::Flavour;

use super::{
    contact::Contact,
    management::Desk,
    world::{BOT, Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_answers_its_commands() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;

    let help = desk.command(&mut alice, "help").await;
    for command in [
        "login",
        "logout",
        "list-logins",
        "start-chat",
        "ping",
        "version",
    ] {
        assert!(help.contains(command), "{help}");
    }
    let version = desk.command(&mut alice, "version").await;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let nobody = desk.command(&mut alice, "list-logins").await;
    assert!(nobody.contains("not logged in"), "{nobody}");
    let typo = desk.command(&mut alice, "strat-chat").await;
    assert!(typo.contains("`start-chat`"), "{typo}");
    let early = desk.command(&mut alice, "start-chat whatsapp 123").await;
    assert!(early.contains("login whatsapp"), "{early}");

    desk.log_in(&mut alice, "whatsapp").await;
    let list = desk.command(&mut alice, "list-logins").await;
    assert!(
        list.contains("WhatsApp") && !list.contains("Messenger"),
        "{list}"
    );
    let ping = desk.command(&mut alice, "ping").await;
    assert!(ping.contains("WhatsApp: connect"), "{ping}");
    let unknown = desk
        .command(&mut alice, "start-chat whatsapp +49 100 1")
        .await;
    assert!(unknown.contains("neither a phone number nor"), "{unknown}");

    // A user of their own at the gatekeeper ends with the logout, and can begin again.
    let logout = desk.command(&mut alice, "logout whatsapp confirm").await;
    assert!(logout.contains("logged out of WhatsApp"), "{logout}");
    let list = desk.command(&mut alice, "list-logins").await;
    assert!(list.contains("not logged in"), "{list}");
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    alice.say(&room, "here again").await;
    contact.receives("here again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_permission_is_refused() {
    let world = World::start(Plan::default()).await;
    let mut mallory = world.user("mallory").await;
    let room = mallory.direct_chat(BOT).await;
    let refused = |event: &serde_json::Value| {
        event["state_key"] == BOT && event["content"]["membership"] == "leave"
    };
    mallory
        .watch("the bot to decline", |seen| {
            seen.timeline(&room).iter().any(refused).then_some(())
        })
        .await;
    mallory.say(&room, "login whatsapp").await;

    // The bridge still serves those who may, and has done nothing for her.
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    assert!(mallory.bodies(&room, BOT).await.is_empty());
}
