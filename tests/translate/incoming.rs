//! Everything else of the gatekeeper's users: places, cards, polls, notices.

use drawbridge::{
    domain::{ContactCard, EncryptedVote, IncomingContent, Location, Poll},
    translate::{bridge_notice, edited_notice},
};
use serde_json::json;

use super::world::{bare, event_id, here, here_with, shown, theirs};

fn place() -> Location {
    Location {
        latitude: 51.5008,
        longitude: -0.1247,
        accuracy: None,
        name: None,
        address: None,
        live: false,
    }
}

#[test]
fn places() {
    let named = Location {
        accuracy: Some(35),
        name: Some("Big\nBen".to_owned()),
        address: Some("Westminster, London\u{202e}".to_owned()),
        ..place()
    };
    let live = Location {
        live: true,
        ..place()
    };
    let nowhere = Location {
        latitude: f64::NAN,
        ..place()
    };
    let at = |location| bare(IncomingContent::Location(location));
    let below = here_with(|here| here.replaces = Some(event_id("$placeholder")));
    let cases = json!({
        "place": shown(&at(place()), &here()),
        "named": shown(&at(named), &here()),
        "live": shown(&at(live), &here()),
        "nowhere": shown(&at(nowhere), &here()),
        "in the place of a placeholder": shown(&at(place()), &below),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn contact_cards() {
    let card = |name: &str, vcard: &str| ContactCard {
        name: name.to_owned(),
        vcard: vcard.to_owned(),
    };
    let ada = card(
        "Ada Lovelace",
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lovelace;Ada;;;\r\nFN:Ada Lovelace\r\nORG:Engine\\, Ltd.;Research\r\n\
         item1.TEL;waid=4915555550003;TYPE=CELL,pref:+49 1555 55\r\n 50003\r\nTEL;HOME;VOICE:+49 30 1\r\n\
         EMAIL;TYPE=\"work\":ada_l@example.org\r\nADR;TYPE=home:;;Main Street 1;Berlin;;10115;Germany\r\n\
         NOTE:first\\nsecond\r\nURL:https://example.org/_ada_\r\nPHOTO;ENCODING=b:AAAA\r\nX-WA-BIZ:1\r\nEND:VCARD",
    );
    let hostile = card(
        "*Mallory*\u{202e}",
        "BEGIN:VCARD\nFN:x\nTEL:<script>alert(1)</script>\nEMAIL;TYPE=<b>:*x*\u{0}\nno colon\nTEL:\nEND:VCARD",
    );
    let nameless = card("", "FN:From the card\nTEL:+1");
    let cards = |cards| bare(IncomingContent::Contacts(cards));
    let cases = json!({
        "one": shown(&cards(vec![ada]), &here()),
        "several, a hostile one, one without a name": shown(&cards(vec![hostile, nameless, card("", "")]), &here()),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn polls() {
    let poll = |options: usize, selectable| {
        bare(IncomingContent::Poll(Poll {
            question: "*Lunch*\nor dinner?".to_owned(),
            options: (0..options).map(|n| format!("Option {n}")).collect(),
            selectable,
            secret: None,
        }))
    };
    let vote = bare(IncomingContent::PollVote {
        poll: theirs("3EB0P0"),
        vote: EncryptedVote {
            payload: vec![1],
            iv: vec![2],
        },
    });
    let voted = |answers: Option<&[&str]>| {
        here_with(|here| {
            here.target = Some(event_id("$poll"));
            here.answers = answers.map(|ids| ids.iter().map(|&id| id.to_owned()).collect());
        })
    };
    let both = here_with(|here| {
        here.replaces = Some(event_id("$placeholder"));
        here.reply_to = Some(event_id("$earlier"));
    });
    let cases = json!({
        "one choice": shown(&poll(2, 1), &here()),
        "any number of choices": shown(&poll(3, 0), &here()),
        "an answer in the place of a placeholder": shown(&poll(2, 1), &both),
        "more options than there can be": shown(&poll(21, 1), &here()),
        "no options": shown(&poll(0, 1), &here()),
        "vote": shown(&vote, &voted(Some(&["1"]))),
        "vote taken back": shown(&vote, &voted(Some(&[]))),
        "vote that cannot be read": shown(&vote, &voted(None)),
        "vote in an unknown poll": shown(&vote, &here()),
    });
    insta::assert_json_snapshot!(cases);
}

#[test]
fn notices() {
    let call = |video, missed| bare(IncomingContent::Call { video, missed });
    let timer = |seconds| bare(IncomingContent::Timer { seconds });
    let unsupported = |kind: &str| {
        bare(IncomingContent::Unsupported {
            kind: kind.to_owned(),
        })
    };
    let says = bare(IncomingContent::GatekeeperNotice {
        text: "We change our\nterms.\u{0}".to_owned(),
    });
    let replaced = here_with(|here| here.replaces = Some(event_id("$placeholder")));
    let nameless = here_with(|here| {
        here.sender.clear();
        here.gatekeeper.clear();
    });
    let cases = json!({
        "undecryptable": shown(&bare(IncomingContent::Undecryptable), &here()),
        "identity changed": shown(&bare(IncomingContent::IdentityChanged), &here()),
        "unsupported": shown(&unsupported("orderMessage"), &here()),
        "unsupported, in the place of a placeholder": shown(&unsupported("orderMessage"), &replaced),
        "timer on": shown(&timer(604_800), &here()),
        "timer off": shown(&timer(0), &here()),
        "voice call": shown(&call(false, false), &here()),
        "missed video call": shown(&call(true, true), &here()),
        "missed call of somebody without a name": shown(&call(false, true), &nameless),
        "gatekeeper": shown(&says, &here()),
        "gatekeeper without a name": shown(&says, &nameless),
        "deleted": shown(&bare(IncomingContent::Revoke { target: theirs("3EB0AA") }), &here()),
        "nothing": shown(&bare(IncomingContent::Nothing), &here()),
        "of the bridge": bridge_notice("It waits.", Some(&event_id("$late"))),
        "of the bridge, edited": edited_notice("It was sent.", &event_id("$notice")),
    });
    insta::assert_json_snapshot!(cases);
}
