//! Rooms of people's own that are encrypted: several chats, those for whom a login speaks, and users who are seen as themselves.

use serde_json::json;

use super::{
    community::{Community, ghost},
    encrypted::{device, is_closed, is_reached},
    encrypting::{EncryptingClient, Library},
    puppets::claim,
    world::{MARKED, Plan, World},
};

fn plan() -> Plan {
    Plan {
        double_puppets: true,
        config: json!({
            "relay": {"enabled": true, "admins_only": false},
            "bridge": {"permissions": {"*": "relay"}},
        }),
        ..Plan::default()
    }
}

/// Waits for a text of somebody's on each of these devices, encrypted.
async fn all_hear(clients: [&EncryptingClient; 2], room: &str, sender: &str, text: &str) {
    for client in clients {
        let heard = client.hear(room, sender, text).await;
        assert!(heard.encrypted && heard.error.is_none(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_several_chats_goes_on_when_its_owner_has_it_encrypted() {
    let world = World::start(plan()).await;
    let mut community = Community::gather(&world).await;
    let carol = community.member(&world, "carol", "Carol").await;
    community.link_group().await;
    let lotte = community.link_contact(&world).await;
    let room = community.room.clone();
    let (livias, lottes) = (community.livia.ghost(), ghost("messenger", &lotte.jid()));
    let js = device(&world, &community.alice, Library::Js).await;
    let mut nio = device(&world, &carol, Library::Nio).await;
    community.livia.says("in the open").await;
    assert!(!nio.hear(&room, &livias, "in the open").await.encrypted);

    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    community
        .alice
        .set_state(&room, "m.room.encryption", "", &content)
        .await;
    nio.shown("encryption", &room, |shown| {
        shown.kind == "m.room.encryption"
    })
    .await;
    let since = community.alice.history(&room).await.len();

    // Carol has no login: Alice's says whose words they are, in every chat.
    nio.say(&room, &format!("{MARKED} closed")).await;
    let relayed = format!("*Carol*: {MARKED} closed");
    community.livia.gets(&relayed).await;
    lotte.receives(&relayed).await;
    js.hear(&room, &carol.mxid, &format!("{MARKED} closed"))
        .await;
    for client in [&nio, &js] {
        is_reached(client, &lotte, &room, &lottes).await;
    }

    // From one chat into the room and into the other.
    let text = format!("{MARKED} of livia");
    community.livia.says(&text).await;
    all_hear([&nio, &js], &room, &livias, &text).await;
    lotte
        .receives(&format!("*Livia Lake (WhatsApp)*: {text}"))
        .await;
    let text = format!("{MARKED} of lotte");
    lotte.say(&text).await;
    all_hear([&nio, &js], &room, &lottes, &text).await;
    community
        .liam
        .gets(&format!("*Nora New (Messenger)*: {text}"))
        .await;

    // What Alice says on a phone of her own is hers here, and goes back to nobody.
    let own = claim(&world, &mut community.alice, &mut community.desk).await;
    let there = [own.phone.jid().clone()];
    let added = community.livia.handle.add_members(&community.group, &there);
    added.await.expect("one more member");
    let text = format!("{MARKED} on my phone");
    let sent = own.phone.send_text(&community.group, &text).await;
    sent.expect("a phone can always write");
    all_hear([&nio, &js], &room, &community.alice.mxid, &text).await;
    let last = format!("{MARKED} at the end");
    nio.say(&room, &last).await;
    community.liam.gets(&format!("*Carol*: {last}")).await;
    let texts = community.liam.texts();
    let mine = texts.iter().filter(|one| one.contains(&text));
    assert_eq!(mine.count(), 1, "{texts:?}");

    let events = community.alice.history(&room).await;
    is_closed(&events[since..]);
}
