//! Places and contact cards.

use drawbridge::domain::{ContactCard, IncomingContent, Location, MessageContext, OutgoingContent};

use super::{
    CONTACT, LOGIN, encode_as, read_here, read_there,
    schema::{bytes, double, fields, number},
    sent, unsupported, without_context,
};

fn lighthouse() -> Location {
    Location {
        latitude: 54.19,
        longitude: -7.88,
        accuracy: Some(12),
        name: Some("Lighthouse".to_owned()),
        address: Some("Pier 3".to_owned()),
        live: false,
    }
}

#[test]
fn a_place_says_where_and_what_is_there() {
    let encoded = sent(&OutgoingContent::Location(lighthouse()));
    let expected = fields![
        double(1, 54.19),
        double(2, -7.88),
        bytes(3, "Lighthouse"),
        bytes(4, "Pier 3"),
        number(7, 12),
    ];
    assert_eq!(encoded, bytes(5, &expected));
    assert_eq!(
        read_there(&encoded),
        without_context(IncomingContent::Location(lighthouse()))
    );
    // The older form of a live one.
    let live = bytes(5, fields![expected, number(6, 1)]);
    let expected = Location {
        live: true,
        ..lighthouse()
    };
    assert_eq!(
        read_here(&live),
        without_context(IncomingContent::Location(expected))
    );
}

#[test]
fn a_live_place_is_a_message_of_its_own() {
    let live = Location {
        live: true,
        address: None,
        ..lighthouse()
    };
    let encoded = sent(&OutgoingContent::Location(live.clone()));
    let expected = fields![
        double(1, 54.19),
        double(2, -7.88),
        number(3, 12),
        bytes(6, "Lighthouse"),
    ];
    assert_eq!(encoded, bytes(18, expected));
    assert_eq!(
        read_there(&encoded),
        without_context(IncomingContent::Location(live))
    );
}

#[test]
fn what_is_nowhere_on_earth_is_no_place() {
    let beyond = 90.000_000_1;
    for (latitude, longitude) in [
        (beyond, 0.0),
        (0.0, -180.5),
        (f64::NAN, 0.0),
        (0.0, f64::INFINITY),
    ] {
        for field in [5, 18] {
            let place = bytes(field, fields![double(1, latitude), double(2, longitude)]);
            assert_eq!(read_here(&place), unsupported("location"));
        }
    }
    assert_eq!(
        read_here(&bytes(5, double(1, 1.0))),
        unsupported("location")
    );
}

fn card(name: &str) -> ContactCard {
    ContactCard {
        name: name.to_owned(),
        vcard: format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{name}\r\nEND:VCARD\r\n"),
    }
}

#[test]
fn one_card_is_a_message_of_its_own() {
    let encoded = sent(&OutgoingContent::Contacts(vec![card("Ada")]));
    let expected = fields![bytes(1, "Ada"), bytes(16, card("Ada").vcard)];
    assert_eq!(encoded, bytes(4, expected));
    assert_eq!(
        read_there(&encoded),
        without_context(IncomingContent::Contacts(vec![card("Ada")]))
    );
}

#[test]
fn several_cards_are_one_message() {
    let cards = vec![card("Ada"), card("Grace")];
    let encoded = sent(&OutgoingContent::Contacts(cards.clone()));
    let one = |name: &str| bytes(2, fields![bytes(1, name), bytes(16, card(name).vcard)]);
    let expected = fields![bytes(1, "2 contacts"), one("Ada"), one("Grace")];
    assert_eq!(encoded, bytes(13, expected));
    assert_eq!(
        read_there(&encoded),
        without_context(IncomingContent::Contacts(cards))
    );
    assert_eq!(
        read_here(&bytes(13, bytes(1, "0 contacts"))),
        unsupported("contact")
    );
}

#[test]
fn places_and_cards_can_disappear() {
    let context = MessageContext {
        expires_after: Some(86_400),
        ..MessageContext::default()
    };
    for content in [
        OutgoingContent::Location(lighthouse()),
        OutgoingContent::Location(Location {
            live: true,
            ..lighthouse()
        }),
        OutgoingContent::Contacts(vec![card("Ada")]),
        OutgoingContent::Contacts(vec![card("Ada"), card("Grace")]),
    ] {
        let encoded = encode_as(LOGIN, CONTACT, &content, &context);
        assert_eq!(read_there(&encoded).context, context);
    }
}
