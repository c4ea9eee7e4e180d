//! Finding people: by the bot's commands, and by a client's own directory.

use drawbridge::sandbox::Flavour;
use reqwest::Method;

use super::{
    client::{User, encode, http},
    contact::Contact,
    management::{Desk, ghost_of},
    world::{BOT, Plan, World},
};

impl User {
    /// What the client API finds, as status and body.
    async fn looks_up(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, answer) = self.ask(Method::GET, &format!("v3/{path}"), None).await;
        (status.as_u16(), answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_commands_and_by_a_clients_directory() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let number = contact.number();

    // Nobody is known yet; a number is looked at without a chat being opened.
    let nobody = desk.command(&mut alice, "contacts").await;
    assert!(nobody.contains("no contacts at WhatsApp yet"), "{nobody}");
    let resolve = format!("resolve-identifier whatsapp {number}");
    let found = desk.command(&mut alice, &resolve).await;
    assert!(
        found.contains("can be written to") && found.contains("start-chat"),
        "{found}"
    );
    assert_eq!(alice.seen.invitations().len(), 0);
    for (wrong, why) in [
        ("+447700900999", "resolve-identifier whatsapp"),
        ("nonsense", "resolve-identifier whatsapp"),
    ] {
        let answer = desk.command(&mut alice, &format!("{why} {wrong}")).await;
        assert!(!answer.contains("can be written to"), "{answer}");
    }

    // A client's directory, through the homeserver.
    let (_, protocols) = alice.looks_up("thirdparty/protocols").await;
    for (id, name) in [("whatsapp", "WhatsApp"), ("messenger", "Messenger")] {
        let instance = &protocols[id]["instances"][0];
        assert_eq!(instance["desc"], name, "{protocols}");
    }
    let by_phone = format!("thirdparty/user/whatsapp?phone={}", encode(&number));
    let (status, users) = alice.looks_up(&by_phone).await;
    assert_eq!(status, 200, "{users}");
    let ghost = users[0]["userid"].as_str().expect("a user").to_owned();
    let address = format!(
        "thirdparty/user/whatsapp?address={}",
        encode(&contact.jid())
    );
    assert_eq!(alice.looks_up(&address).await.1, users);

    // Whom the directory found can be invited, and is the contact.
    let room = alice.direct_chat(&ghost).await;
    alice.sees_member(&room, &ghost, "join").await;
    alice.say(&room, "found you").await;
    contact.receives("found you").await;
    contact.say("here I am").await;
    alice.hear(&room, &ghost, |body| body == "here I am").await;
    alice.sees_name(&ghost, "Nora New (WhatsApp)").await;
    for command in ["contacts", "search whatsapp nora", "search nOrA", &resolve] {
        let found = desk.command(&mut alice, command).await;
        assert!(
            found.contains("Nora New") && found.contains(&room),
            "{command}: {found}"
        );
    }
    let none = desk.command(&mut alice, "search zebedee").await;
    assert!(none.contains("Nobody you know"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_lead_to_rooms_and_groups_to_the_public_rooms_they_are_linked_to() {
    let world = World::start(Plan::default()).await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    ghost_of(&alice, &room).await;

    // The alias of a portal leads to its room, and does so again after somebody took it away: the bridge is asked for it.
    let named = alice.state(&room, "m.room.canonical_alias", "").await;
    let alias = named.expect("an alias")["alias"].as_str().map(encode);
    let alias = format!("directory/room/{}", alias.expect("an alias"));
    let deleted = http()
        .delete(format!("{}/_matrix/client/v3/{alias}", alice.base))
        .bearer_auth(world.secret("as_token"))
        .send()
        .await
        .expect("the homeserver answers");
    assert!(deleted.status().is_success(), "{}", deleted.status());
    let (status, found) = alice.looks_up(&alias).await;
    assert_eq!(
        (status, &found["room_id"]),
        (200, &room.clone().into()),
        "{found}"
    );
    let alias = encode("#_drawbridge_portal_77:drawbridge.test");
    let (status, _) = alice.looks_up(&format!("directory/room/{alias}")).await;
    assert_eq!(status, 404);

    // A group whose room anybody may enter is found by its id.
    let members = [contact.user.parse().expect("an address")];
    let group = contact.phone.create_group("Gardeners", &members).await;
    let group = group.expect("a group").to_string();
    let public = alice
        .create_room(
            serde_json::json!({"preset": "public_chat", "room_alias_name": "gardeners",
            "power_level_content_override": {"users": {BOT: 100}}, "invite": [BOT]}),
        )
        .await;
    let lookup = format!("thirdparty/location/whatsapp?chat={}", encode(&group));
    assert_eq!(alice.looks_up(&lookup).await.1, serde_json::json!([]));
    alice.sees_member(&public, BOT, "join").await;
    let link = format!("bridge {public} whatsapp {group}");
    let linked = desk.command(&mut alice, &link).await;
    let (_, found) = alice.looks_up(&lookup).await;
    assert_eq!(found[0]["alias"], "#gardeners:drawbridge.test", "{linked}");
}
