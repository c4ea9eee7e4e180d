//! The commands about the bridge itself and about logins.

use super::{CONFIRM, Entry, GATEKEEPER, Group, Kind, Verb, needed, optional};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new(Verb::Help, Group::General, "help")
        .takes(&[optional(Kind::Text, "command")])
        .does("show this, or one command with an example")
        .example("help start-chat"),
    Entry::new(Verb::Version, Group::General, "version").does("show the version of the bridge"),
    Entry::new(Verb::Ping, Group::General, "ping")
        .does("check the way to each of your gatekeepers")
        .private(),
    Entry::new(Verb::Cancel, Group::General, "cancel")
        .aliases(&["stop", "no"])
        .does("end what the bridge has asked you about"),
    Entry::new(Verb::Accept, Group::General, "accept")
        .aliases(&["agree"])
        .does("accept what the bridge has shown you, to log in")
        .private()
        .hidden(),
    Entry::new(Verb::Confirm, Group::General, "confirm")
        .aliases(&["yes"])
        .does("go on with what the bridge has asked you about")
        .hidden(),
    Entry::new(
        Verb::SetManagementRoom,
        Group::General,
        "set-management-room",
    )
    .does("make this room your management room")
    .example("set-management-room"),
    Entry::new(Verb::Encrypted, Group::General, "encrypted")
        .does("say why nothing can be read in an encrypted room")
        .hidden(),
    Entry::new(Verb::Login, Group::Logins, "login")
        .aliases(&["log-in", "signin"])
        .takes(&[GATEKEEPER])
        .does("connect your Matrix account to a gatekeeper")
        .example("login whatsapp")
        .private(),
    Entry::new(Verb::Logout, Group::Logins, "logout")
        .aliases(&["log-out"])
        .takes(&[GATEKEEPER, CONFIRM])
        .does("delete your account there and everything the bridge keeps for it")
        .example("logout whatsapp")
        .private(),
    Entry::new(Verb::Relogin, Group::Logins, "relogin")
        .aliases(&["reconnect"])
        .takes(&[GATEKEEPER])
        .does("bring a login back that does not work any more; chats and rooms stay")
        .example("relogin whatsapp")
        .private(),
    Entry::new(Verb::ListLogins, Group::Logins, "list-logins")
        .aliases(&["logins"])
        .does("show what you are logged in to and whether the connection works")
        .private(),
    Entry::new(
        Verb::SetPreferredLogin,
        Group::Logins,
        "set-preferred-login",
    )
    .aliases(&["prefer"])
    .takes(&[needed(Kind::Gatekeeper, "gatekeeper")])
    .does("choose the gatekeeper that is meant where a command names none")
    .example("set-preferred-login whatsapp"),
    Entry::new(Verb::SetName, Group::Logins, "set-name")
        .takes(&[GATEKEEPER, needed(Kind::Text, "name")])
        .does("choose the name that your contacts at a gatekeeper see")
        .example("set-name whatsapp Alice A.")
        .private(),
];
