//! Requests about people as they are written, and what their answers mean.

use drawbridge::network::interop::{
    session::{
        PeopleShape,
        people::{self, AskedUser, FoundPicture},
        signals,
    },
    wire::{self, Jid, Node},
};

fn server() -> Jid {
    Jid::server("s.whatsapp.net")
}

fn user() -> Jid {
    Jid::user("4915155550001", "s.whatsapp.net")
}

fn request(kind: &str, xmlns: &str) -> Node {
    Node::new("iq")
        .with("type", kind)
        .with("xmlns", xmlns)
        .with("to", server())
}

/// Written and read again.
fn carried(node: &Node) -> Node {
    wire::decode(&wire::encode(node)).unwrap()
}

#[test]
fn a_picture_is_asked_for_by_target() {
    let shape = PeopleShape::default();
    let query = Node::new("picture")
        .with("type", "image")
        .with("query", "url");
    let expected = request("get", "w:profile:picture").with("target", user());
    let asked = people::picture_get(&server(), &shape, &user(), None);
    assert_eq!(asked, expected.clone().child(query.clone()));
    let asked = people::picture_get(&server(), &shape, &user(), Some("p1"));
    assert_eq!(asked, expected.child(query.with("id", "p1")));
    assert_eq!(carried(&asked), asked);
}

#[test]
fn the_answer_says_which_picture_and_where() {
    let answer = |picture: Node| request("result", "x").child(picture);
    let picture = Node::new("picture").with("id", "p1");
    let found = |url: Option<&str>| {
        Some(FoundPicture {
            id: "p1".to_owned(),
            url: url.map(str::to_owned),
        })
    };
    assert_eq!(people::found_picture(&answer(picture.clone())), found(None));
    let url = "https://pps.example.net/v/t1?oh=1";
    let picture = picture.with("type", "image").with("url", url);
    assert_eq!(people::found_picture(&answer(picture)), found(Some(url)));
    for nothing in [
        Node::new("picture"),
        Node::new("picture").with("id", ""),
        Node::new("other").with("id", "p1"),
    ] {
        assert_eq!(people::found_picture(&answer(nothing)), None);
    }
}

#[test]
fn a_picture_is_set_as_bytes_and_removed_by_none() {
    let shape = PeopleShape::default();
    let group = Jid::user("1-2", "g.us");
    let expected = request("set", "w:profile:picture");
    let own = people::picture_set(&server(), &shape, None, None);
    assert_eq!(own, expected);
    let set = people::picture_set(&server(), &shape, Some(&group), Some(vec![0xff, 0xd8]));
    let picture = Node::new("picture").with("type", "image");
    let expected = expected
        .with("target", &group)
        .child(picture.bytes(vec![0xff, 0xd8]));
    assert_eq!(set, expected);
    assert_eq!(carried(&set), set);
}

#[test]
fn who_is_asked_to_be_reachable_is_named() {
    let shape = PeopleShape {
        reachability_xmlns: "w:x".to_owned(),
        reachability_element: "ask".to_owned(),
        ..PeopleShape::default()
    };
    let asked = people::reachability_ask(&server(), &shape, &user());
    let named = Node::new("ask").child(Node::new("user").with("jid", user()));
    assert_eq!(asked, request("set", "w:x").child(named));

    let shape = PeopleShape::default();
    let answer = |status: &str| {
        let other = Node::new("user").with("jid", "1@s.whatsapp.net");
        let users = Node::new("reachability")
            .child(other.with("status", "already"))
            .child(Node::new("user").with("jid", user()).with("status", status));
        request("result", "x").child(users)
    };
    let read = |status| people::asked_user(&answer(status), &shape, &user());
    assert_eq!(read("sent"), Some(AskedUser::Sent));
    assert_eq!(read("already"), Some(AskedUser::Already));
    assert_eq!(read("refused"), Some(AskedUser::Refused));
    let stranger = Jid::user("9", "s.whatsapp.net");
    let unsaid = people::asked_user(&answer("sent"), &shape, &stranger);
    assert_eq!(unsaid, None);
    assert_eq!(
        people::asked_user(&request("result", "x"), &shape, &user()),
        None
    );
}

#[test]
fn a_name_goes_with_whether_its_user_is_there() {
    let presence = |kind: &str| Node::new("presence").with("type", kind);
    assert_eq!(
        signals::presence(false, Some("Ada")),
        presence("unavailable").with("name", "Ada")
    );
    assert_eq!(signals::presence(true, None), presence("available"));
}
