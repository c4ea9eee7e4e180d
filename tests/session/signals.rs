//! Calls, notices and what is told and forgotten, as the machine takes them.

use drawbridge::{
    domain::{Timestamp, Typing},
    network::interop::{
        session::{Call, Event, SessionOptions, signals},
        wire::{Jid, Node},
    },
};

use super::machine::Bench;

fn caller() -> Jid {
    Jid::user("1", "s.whatsapp.net")
}

fn call(bench: &Bench, id: &str, step: Node) -> Node {
    Node::new("call")
        .with("from", caller())
        .with("id", id)
        .with("t", bench.now.seconds().to_string())
        .child(step.with("call-id", "C1").with("call-creator", caller()))
}

fn offer() -> Node {
    Node::new("offer").child(Node::new("audio").with("rate", "16000"))
}

/// What was told of calls, as (with a picture, missed).
fn told(bench: &mut Bench) -> Vec<(bool, bool)> {
    let events = bench.events().into_iter();
    events
        .map(|event| match event {
            Event::Call { call, .. } => (call.video, call.missed),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_call_that_ends_unanswered_is_missed() {
    let mut bench = Bench::logged_in();
    let video = offer().child(Node::new("video"));
    bench.feed(call(&bench, "S1", video.clone()));
    bench.feed(call(&bench, "S2", Node::new("relaylatency")));
    let end = call(
        &bench,
        "S3",
        Node::new("terminate").with("reason", "timeout"),
    );
    bench.feed(end.clone());
    let events = bench.events();
    let expected = |missed| Call {
        id: "C1".to_owned(),
        caller: caller(),
        group: None,
        video: true,
        missed,
    };
    let offer = call(&bench, "S1", video);
    assert_eq!(
        events,
        [
            Event::Call {
                call: expected(false),
                node: offer
            },
            Event::Call {
                call: expected(true),
                node: end
            }
        ]
    );
    // Only the step that changes nothing is acknowledged by the machine.
    let acks = bench.sent_nodes();
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0].attr("id").as_deref(), Some("S2"));
    assert_eq!(acks[0].attr("class").as_deref(), Some("call"));
}

#[test]
fn a_call_that_was_answered_is_not_missed() {
    for answer in [
        Node::new("accept"),
        Node::new("reject"),
        Node::new("terminate").with("reason", "accepted_elsewhere"),
    ] {
        let mut bench = Bench::logged_in();
        bench.feed(call(&bench, "S1", offer()));
        bench.feed(call(&bench, "S2", answer));
        bench.feed(call(&bench, "S3", Node::new("terminate")));
        assert_eq!(told(&mut bench), [(false, false)]);
    }
}

#[test]
fn an_offer_out_of_the_mailbox_is_a_missed_call() {
    let mut bench = Bench::logged_in();
    let stale = call(&bench, "S1", offer());
    bench.now = Timestamp(bench.now.0 + 3_600_000);
    bench.feed(stale);
    assert_eq!(told(&mut bench), [(false, true)]);
    let notice = Node::new("offer_notice").with("media", "video");
    bench.feed(call(&bench, "S2", notice));
    assert_eq!(told(&mut bench), [(true, false)]);
}

#[test]
fn calls_that_say_nothing_are_acknowledged_and_many_are_no_burden() {
    let mut bench = Bench::logged_in();
    bench.feed(Node::new("call").with("id", "S1").with("from", caller()));
    bench.feed(
        Node::new("call")
            .with("id", "S2")
            .with("from", caller())
            .child(offer()),
    );
    assert_eq!(bench.events(), []);
    assert_eq!(bench.sent_nodes().len(), 2);
    for number in 0..1000 {
        let step = Node::new("offer").with("call-id", format!("C{number}"));
        let node = Node::new("call").with("id", "S").with("from", caller());
        bench.feed(node.child(step));
    }
    assert_eq!(told(&mut bench).len(), 1000);
}

#[test]
fn notifications_that_are_wanted_are_left_to_the_owner() {
    let mut bench = Bench::logged_in_with(SessionOptions {
        notifications: vec!["w:notice".to_owned(), "encrypt".to_owned()],
        ..SessionOptions::default()
    });
    let notification = |kind: &str| {
        Node::new("notification")
            .with("id", "N1")
            .with("from", "s.whatsapp.net")
            .with("type", kind)
    };
    bench.feed(notification("w:notice"));
    bench.feed(notification("w:gp2"));
    // Keys are the machine's to look after, whatever its owner wants.
    bench.feed(notification("encrypt").child(Node::new("identity")));
    let events = bench.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], Event::Notification(notification("w:notice")));
    assert!(matches!(events[1], Event::IdentityChanged(_)));
    assert_eq!(bench.sent_nodes().len(), 1);
}

#[test]
fn what_is_heard_of_others_is_told() {
    let mut bench = Bench::logged_in();
    let group = Jid::user("1-2", "g.us");
    let recording = Node::new("composing").with("media", "audio");
    let state = Node::new("chatstate")
        .with("from", &group)
        .with("participant", caller());
    bench.feed(state.clone().child(recording));
    bench.feed(state.child(Node::new("pondering")));
    bench.feed(Node::new("chatstate").child(Node::new("composing")));
    for kind in [Some("available"), Some("unavailable"), None, Some("error")] {
        let presence = Node::new("presence").with("from", caller());
        bench.feed(presence.with_opt("type", kind));
    }
    let presence = |available| Event::Presence {
        from: caller(),
        available,
    };
    assert_eq!(
        bench.events(),
        [
            Event::Typing {
                chat: group,
                participant: Some(caller()),
                state: Typing::Recording
            },
            presence(true),
            presence(false),
            presence(true),
        ]
    );
    assert_eq!(bench.sent_nodes(), []);
}

#[test]
fn what_is_told_of_the_login_says_what_it_does() {
    let media = |state| {
        let node = signals::chatstate(&caller(), state);
        let child = &node.children()[0];
        (
            child.tag.to_string(),
            child.attr("media").map(std::borrow::Cow::into_owned),
        )
    };
    let composing = "composing".to_owned();
    assert_eq!(media(Typing::Composing), (composing.clone(), None));
    assert_eq!(
        media(Typing::Recording),
        (composing, Some("audio".to_owned()))
    );
    assert_eq!(media(Typing::Paused), ("paused".to_owned(), None));
    let presence = signals::presence(false, None);
    assert_eq!(presence.attr("type").as_deref(), Some("unavailable"));
}
