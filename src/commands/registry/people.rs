//! The commands about people, and about accounts of one's own.

use super::{Entry, GATEKEEPER, Group, Kind, Verb, needed, optional};

const PERSON: super::Argument = optional(Kind::Text, "phone or id");

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new(Verb::ResolveIdentifier, Group::People, "resolve-identifier")
        .aliases(&["resolve"])
        .takes(&[GATEKEEPER, needed(Kind::Text, "phone or id")])
        .does("find out whether somebody can be written to, without opening a chat")
        .example("resolve-identifier +49 155 5550001")
        .private(),
    Entry::new(Verb::Contacts, Group::People, "contacts")
        .aliases(&["list-contacts"])
        .takes(&[GATEKEEPER])
        .does("list the people you have chats or groups with")
        .example("contacts whatsapp")
        .private(),
    Entry::new(Verb::Search, Group::People, "search")
        .aliases(&["search-users"])
        .takes(&[GATEKEEPER, needed(Kind::Text, "part of a name or number")])
        .does("search the people you have chats or groups with")
        .example("search ann")
        .private(),
    Entry::new(Verb::NameContact, Group::People, "name-contact")
        .aliases(&["rename"])
        .takes(&[GATEKEEPER, needed(Kind::Text, "phone or id: name")])
        .does("call somebody otherwise than they call themselves; with no name, as they do again")
        .example("name-contact +49 155 5550001: Aunt Ann")
        .private(),
    Entry::new(Verb::Block, Group::People, "block")
        .takes(&[GATEKEEPER, PERSON])
        .does("let somebody write to you no more; in the room of a chat, its contact")
        .example("block +49 155 5550001"),
    Entry::new(Verb::Unblock, Group::People, "unblock")
        .takes(&[GATEKEEPER, PERSON])
        .does("let somebody write to you again; in the room of a chat, its contact")
        .example("unblock +49 155 5550001"),
    Entry::new(Verb::ListBlocked, Group::People, "list-blocked")
        .aliases(&["blocklist"])
        .takes(&[GATEKEEPER])
        .does("list whom you have blocked")
        .example("list-blocked whatsapp")
        .private(),
    Entry::new(Verb::RequestReachability, Group::People, "request-reachability")
        .aliases(&["request"])
        .takes(&[GATEKEEPER, PERSON])
        .does("ask somebody to take messages of other apps")
        .example("request-reachability +49 155 5550001")
        .private(),
    Entry::new(Verb::ListRequests, Group::People, "list-requests")
        .aliases(&["requests"])
        .takes(&[GATEKEEPER])
        .does("list whom you have asked to take messages of other apps, and what they said")
        .example("list-requests whatsapp")
        .private(),
    Entry::new(Verb::LoginMatrix, Group::Puppets, "login-matrix")
        .takes(&[optional(Kind::Text, "access token")])
        .does("show what you do in other programs as your own Matrix account; alone, it tells how to get a token")
        .example("login-matrix syt_…")
        .private()
        .secret(),
    Entry::new(Verb::LogoutMatrix, Group::Puppets, "logout-matrix")
        .does("take that back, and forget the token")
        .private(),
    Entry::new(Verb::PingMatrix, Group::Puppets, "ping-matrix")
        .does("show whether the bridge can show you as yourself")
        .private(),
    Entry::new(Verb::ClaimAccount, Group::Puppets, "claim-account")
        .aliases(&["claim"])
        .takes(&[GATEKEEPER, needed(Kind::Text, "phone or id")])
        .does("tell the bridge that an account at a gatekeeper is your own, so that it is shown as you")
        .example("claim-account +49 155 5550001")
        .private(),
    Entry::new(Verb::UnclaimAccount, Group::Puppets, "unclaim-account")
        .aliases(&["unclaim"])
        .takes(&[GATEKEEPER, optional(Kind::Text, "phone or id")])
        .does("take that back")
        .example("unclaim-account +49 155 5550001")
        .private(),
];
