//! What only those may do who look after the bridge, and how the bot explains itself.

use drawbridge::sandbox::Flavour;
use serde_json::json;

use super::{
    contact::Contact,
    management::{Desk, ghost_of},
    world::{Plan, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn admins_look_after_the_bridge_and_others_may_not() {
    let world = World::start(Plan {
        config: json!({"bridge": {"permissions": {"@root:drawbridge.test": "admin"}}}),
        ..Plan::default()
    })
    .await;
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    let mut root = world.user("root").await;
    let mut office = Desk::open(&mut root).await;

    // The help is grouped, explains each command, and shows to each what they may do.
    let help = desk.command(&mut alice, "help").await;
    let all = office.command(&mut root, "help").await;
    for part in ["Logins", "People", "Linking rooms", "Double puppeting"] {
        assert!(help.contains(part) && all.contains(part), "{part}: {help}");
    }
    assert!(!help.contains("Administration") && all.contains("Administration"));
    let one = desk.command(&mut alice, "help block").await;
    assert!(one.contains("Example: `block +49"), "{one}");
    let near = desk.command(&mut alice, "list-bloked").await;
    assert!(near.contains("`list-blocked`"), "{near}");
    let near = office.command(&mut root, "quarantin").await;
    assert!(near.contains("`quarantine`"), "{near}");
    for command in [
        "status",
        "list-users",
        "quarantine list",
        "doctor",
        "clean-up",
        "sudo @root:drawbridge.test help",
    ] {
        let refused = desk.command(&mut alice, command).await;
        assert!(refused.contains("no such command"), "{command}: {refused}");
    }

    let users = office.command(&mut root, "list-users").await;
    assert!(
        users.contains(&alice.mxid) && users.contains("WhatsApp"),
        "{users}"
    );
    let status = office.command(&mut root, "status").await;
    assert!(
        status.contains("The bridge works.") && status.contains("1 login,"),
        "{status}"
    );
    let doctor = office.command(&mut root, "doctor").await;
    assert!(doctor.contains("Everything works."), "{doctor}");

    // As somebody else, and in another room.
    let theirs = format!("sudo {} list-logins", alice.mxid);
    let theirs = office.command(&mut root, &theirs).await;
    assert!(
        theirs.contains("As `@alice") && theirs.contains("WhatsApp: connected"),
        "{theirs}"
    );
    let id = office.command(&mut root, &format!("doin {room} id")).await;
    assert!(id.contains(&contact.jid()), "{id}");

    // What cannot be read is set aside, shown without its content, and tried again.
    let none = office.command(&mut root, "quarantine list").await;
    assert!(none.contains("No event is set aside"), "{none}");
    let odd = json!({"m.relates_to": "no relation of marmalade"});
    let odd = alice.send(&room, "m.reaction", &odd).await;
    alice.say(&room, "after it").await;
    contact.receives("after it").await;
    let listed = office.command(&mut root, "quarantine list").await;
    let number = listed
        .split('`')
        .find(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_else(|| panic!("no number in {listed}"))
        .to_owned();
    let shown = office
        .command(&mut root, &format!("quarantine show {number}"))
        .await;
    assert!(
        shown.contains(&odd) && !shown.contains("marmalade"),
        "{shown}"
    );
    let retry = office
        .command(&mut root, &format!("quarantine retry {number}"))
        .await;
    assert!(retry.contains("tried again"), "{retry}");
    let drop = office
        .command(&mut root, &format!("quarantine drop {number}"))
        .await;
    assert!(drop.contains("dropped"), "{drop}");

    // A portal is given up; the chat's next message makes a new room.
    let ask = format!("delete-portal {room}");
    let asked = office.command(&mut root, &ask).await;
    assert!(asked.contains("`confirm`"), "{asked}");
    let done = office.command(&mut root, "confirm").await;
    assert!(done.contains("given up"), "{done}");
    alice.sees_gone(&room, &ghost).await;
    contact.say("are you there").await;
    let new = super::management::join_new_room(&mut alice).await;
    assert_ne!(new, room);
    alice
        .hear(&new, &ghost, |body| body == "are you there")
        .await;

    // A room that everybody but its ghost left is waste.
    let clean = office.command(&mut root, "clean-up").await;
    assert!(
        clean.contains("nothing") || clean.contains("Nothing"),
        "{clean}"
    );
    let out = format!("logout-user {} whatsapp confirm", alice.mxid);
    let out = office.command(&mut root, &out).await;
    assert!(out.contains("logged out"), "{out}");
    assert!(world.sandbox.partner_logins().is_empty());
}
