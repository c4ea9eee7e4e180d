//! What only those may do who look after the bridge, and how the bot explains itself.

use drawbridge::sandbox::Flavour;
use serde_json::json;

use super::{
    client::{PATIENCE, User},
    contact::Contact,
    management::{Desk, ghost_of},
    wait::until,
    world::{BOT, Plan, World},
};

/// The help is grouped, explains each command, and shows to each what they may do.
async fn help_is_given(user: &mut (&mut User, &mut Desk), admin: &mut (&mut User, &mut Desk)) {
    let help = user.1.command(user.0, "help").await;
    let all = admin.1.command(admin.0, "help").await;
    for part in ["Logins", "People", "Linking rooms", "Double puppeting"] {
        assert!(help.contains(part) && all.contains(part), "{part}: {help}");
    }
    assert!(!help.contains("Administration") && all.contains("Administration"));
    let one = user.1.command(user.0, "help block").await;
    assert!(one.contains("Example: `block +49"), "{one}");
    let near = user.1.command(user.0, "list-bloked").await;
    assert!(near.contains("`list-blocked`"), "{near}");
    let near = admin.1.command(admin.0, "quarantin").await;
    assert!(near.contains("`quarantine`"), "{near}");
    for command in [
        "status",
        "list-users",
        "quarantine list",
        "doctor",
        "clean-up",
        "sudo @root:drawbridge.test help",
    ] {
        let refused = user.1.command(user.0, command).await;
        assert!(refused.contains("no such command"), "{command}: {refused}");
    }
}

/// What cannot be read is set aside, shown without its content, tried again and dropped.
async fn set_aside(root: &mut User, office: &mut Desk, event: &str) {
    let listed = office.command(root, "quarantine list").await;
    let number = listed
        .split('`')
        .find(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or_else(|| panic!("no number in {listed}"))
        .to_owned();
    let shown = office
        .command(root, &format!("quarantine show {number}"))
        .await;
    assert!(
        shown.contains(event) && !shown.contains("marmalade"),
        "{shown}"
    );
    let retry = office
        .command(root, &format!("quarantine retry {number}"))
        .await;
    assert!(retry.contains("tried again"), "{retry}");
    until("it to be set aside again", PATIENCE, async || {
        let listed = office.command(root, "quarantine list").await;
        listed.contains(&format!("`{number}`")).then_some(())
    })
    .await;
    let drop = office
        .command(root, &format!("quarantine drop {number}"))
        .await;
    assert!(drop.contains("dropped"), "{drop}");
}

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

    help_is_given(&mut (&mut alice, &mut desk), &mut (&mut root, &mut office)).await;
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

    // In a chat's room commands have a prefix, and are carried to nobody.
    alice.say(&room, "!drawbridge id").await;
    let told = alice
        .hear(&room, BOT, |body| body.contains(&contact.jid()))
        .await;
    assert_eq!(told["content"]["msgtype"], "m.notice");
    alice.say(&room, "!drawbridge list-logins").await;
    alice
        .hear(&room, BOT, |body| body.contains("is private"))
        .await;

    let odd = json!({"m.relates_to": "no relation of marmalade"});
    let odd = alice.send(&room, "m.reaction", &odd).await;
    alice.say(&room, "after it").await;
    contact.receives_exactly(&["after it"]).await;
    set_aside(&mut root, &mut office, &odd).await;

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
