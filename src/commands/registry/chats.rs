//! The commands about chats, groups and the rooms that mirror them.

use super::{CONFIRM, Entry, GATEKEEPER, Group, Kind, ROOM, Verb, needed, optional};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new(Verb::StartChat, Group::Chats, "start-chat")
        .aliases(&["pm"])
        .takes(&[GATEKEEPER, needed(Kind::Text, "phone or id")])
        .does("open a room for a chat with somebody")
        .example("start-chat +49 155 5550001")
        .private(),
    Entry::new(Verb::CreateGroup, Group::Chats, "create-group")
        .takes(&[GATEKEEPER, needed(Kind::Text, "name: people")])
        .does("make a group; written in a room, that room becomes the group's and its members are the room's")
        .example("create-group Hiking: +49 155 5550001, +49 155 5550002"),
    Entry::new(Verb::CreatePortal, Group::Chats, "create-portal")
        .takes(&[GATEKEEPER, needed(Kind::Text, "chat")])
        .does("open the room of a chat or of a group you are in, by its id")
        .example("create-portal 120363041234567890@g.us")
        .private(),
    Entry::new(Verb::ChatSettings, Group::Chats, "chat-settings")
        .takes(&[optional(
            Kind::Text,
            "phone, id or room id] [receipts|typing|presence|timer] [on|off|default|7d",
        )])
        .does("show or change what is passed on in one chat, and after what time its messages disappear")
        .example("chat-settings +49 155 5550001 receipts off"),
    Entry::new(Verb::Id, Group::Chats, "id")
        .aliases(&["whereami"])
        .takes(&[ROOM])
        .does("show which chats a room mirrors, and who speaks for whom in it")
        .example("id !room:example.org"),
    Entry::new(Verb::SyncPortal, Group::Chats, "sync-portal")
        .aliases(&["sync"])
        .takes(&[ROOM])
        .does("bring a room's members, name and picture up to date")
        .example("sync-portal !room:example.org"),
    Entry::new(Verb::SyncGroups, Group::Chats, "sync-groups")
        .takes(&[GATEKEEPER])
        .does("fetch all groups you are in and bring their rooms up to date")
        .example("sync-groups whatsapp")
        .private(),
    Entry::new(Verb::DiscardKeys, Group::Chats, "discard-keys")
        .aliases(&["discard-megolm-session"])
        .takes(&[ROOM])
        .does("change the key of an encrypted room: what the bridge says next has a new one, sent to everybody's devices")
        .example("discard-keys !room:example.org"),
    Entry::new(Verb::DeleteChat, Group::Chats, "delete-chat")
        .aliases(&["leave-chat", "leave-group"])
        .takes(&[ROOM, CONFIRM])
        .does("leave a group for good, or forget a chat, and give up its room")
        .example("delete-chat !room:example.org"),
    Entry::new(Verb::DeletePortal, Group::Chats, "delete-portal")
        .takes(&[ROOM, CONFIRM])
        .does("give up the room of a chat; the chat stays, and its next message makes a new room")
        .example("delete-portal !room:example.org"),
    Entry::new(Verb::DeleteAllPortals, Group::Chats, "delete-all-portals")
        .takes(&[GATEKEEPER, CONFIRM])
        .does("give up the rooms of all your chats; the chats stay")
        .example("delete-all-portals whatsapp")
        .private(),
    Entry::new(Verb::Link, Group::Linking, "bridge")
        .aliases(&["link"])
        .takes(&[ROOM, GATEKEEPER, needed(Kind::Text, "phone or id")])
        .does("link a room of your own to a chat or a group")
        .example("bridge whatsapp 120363041234567890@g.us"),
    Entry::new(Verb::Unlink, Group::Linking, "unbridge")
        .aliases(&["unlink"])
        .takes(&[ROOM, optional(Kind::Text, "chat")])
        .does("end the link of a room, to all of its chats or to one")
        .example("unbridge !room:example.org"),
    Entry::new(Verb::SetRelay, Group::Relay, "set-relay")
        .takes(&[ROOM, GATEKEEPER])
        .does("let your login speak for members of a room who have none")
        .example("set-relay !room:example.org"),
    Entry::new(Verb::UnsetRelay, Group::Relay, "unset-relay")
        .takes(&[ROOM])
        .does("let nobody speak for members of a room who have no login")
        .example("unset-relay !room:example.org"),
];
