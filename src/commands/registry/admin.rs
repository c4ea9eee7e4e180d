//! The commands for those who look after the bridge.

use super::{CONFIRM, Entry, GATEKEEPER, Group, Kind, Verb, needed, optional};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new(Verb::Status, Group::Administration, "status")
        .does("show how many logins and rooms there are, and what waits")
        .private(),
    Entry::new(Verb::ListUsers, Group::Administration, "list-users")
        .aliases(&["users"])
        .does("list everybody with a login")
        .private(),
    Entry::new(Verb::ListAllLogins, Group::Administration, "list-all-logins")
        .takes(&[GATEKEEPER])
        .does("list every login and whether its connection works")
        .example("list-all-logins whatsapp")
        .private(),
    Entry::new(Verb::LogoutUser, Group::Administration, "logout-user")
        .takes(&[needed(Kind::User, "user"), GATEKEEPER, CONFIRM])
        .does("log somebody out, everywhere or at one gatekeeper")
        .example("logout-user @alice:example.org whatsapp")
        .private(),
    Entry::new(Verb::CleanUp, Group::Administration, "clean-up")
        .aliases(&["cleanup"])
        .takes(&[CONFIRM])
        .does("forget portals whose room or login is gone, and ghosts that are in no room")
        .private(),
    Entry::new(Verb::Quarantine, Group::Administration, "quarantine")
        .takes(&[
            optional(Kind::Word(&["list", "show", "retry", "drop"]), "action"),
            optional(Kind::Number, "number"),
        ])
        .does("list events that could not be understood, look at one without its content, try it again, or drop it")
        .example("quarantine retry 17")
        .private(),
    Entry::new(Verb::Doctor, Group::Administration, "doctor")
        .does("check the way from the database over the homeserver to the gatekeepers")
        .private(),
    Entry::new(Verb::Sudo, Group::Administration, "sudo")
        .takes(&[needed(Kind::User, "user"), needed(Kind::Text, "command")])
        .does("carry out a command as somebody else")
        .example("sudo @alice:example.org list-logins")
        .private(),
    Entry::new(Verb::Doin, Group::Administration, "doin")
        .takes(&[needed(Kind::Room, "room"), needed(Kind::Text, "command")])
        .does("carry out a command as if written in another room")
        .example("doin !room:example.org id")
        .private(),
];
