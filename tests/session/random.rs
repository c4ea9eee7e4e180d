//! Whatever the gatekeeper says, in whatever order: no panic, bounded output, one end.

use proptest::prelude::*;

use drawbridge::{
    domain::Timestamp,
    network::interop::{
        session::{Event, Queued, SessionOptions},
        wire::{Jid, Node},
    },
};

use super::machine::Bench;

/// One thing that happens to a session.
#[derive(Debug, Clone)]
enum Step {
    Feed(Node),
    Wait(i64),
    Send(u8),
    Request,
    Lost,
}

const TAGS: &[&str] = &[
    "success",
    "failure",
    "stream:error",
    "message",
    "receipt",
    "ack",
    "iq",
    "ib",
    "notification",
    "chatstate",
    "presence",
    "call",
    "x",
];
const CHILDREN: &[&str] = &[
    "count",
    "identity",
    "offline",
    "offline_preview",
    "conflict",
    "composing",
    "error",
    "y",
];
const KEYS: &[&str] = &[
    "id", "from", "type", "class", "code", "reason", "error", "xmlns",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("encrypt".to_owned()),
        Just("message".to_owned()),
        Just("result".to_owned()),
        Just("get".to_owned()),
        Just("urn:xmpp:ping".to_owned()),
        Just("1@s.whatsapp.net".to_owned()),
        (0u64..1000).prop_map(|number| number.to_string()),
        ".{0,8}",
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let attrs = || prop::collection::vec((prop::sample::select(KEYS), value()), 0..5);
    (
        // The login is likelier than its share, so that most sequences get past it.
        prop_oneof![1 => Just("success"), 9 => prop::sample::select(TAGS)],
        attrs(),
        prop::option::of((prop::sample::select(CHILDREN), attrs())),
    )
        .prop_map(|(tag, attrs, child)| {
            let build = |tag: &'static str, attrs: Vec<(&'static str, String)>| {
                attrs
                    .into_iter()
                    .fold(Node::new(tag), |node, (key, value)| node.with(key, value))
            };
            match child {
                Some((name, child_attrs)) => build(tag, attrs).child(build(name, child_attrs)),
                None => build(tag, attrs),
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => node().prop_map(Step::Feed),
        2 => (0i64..40_000).prop_map(Step::Wait),
        4 => any::<u8>().prop_map(Step::Send),
        2 => Just(Step::Request),
        1 => Just(Step::Lost),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_ends_once_and_makes_bounded_output(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let options = SessionOptions { window: 8, ..SessionOptions::default() };
        let mut bench = Bench::new(options, seed);
        let (mut fed, mut asked, mut waited, mut sent, mut answered, mut ends) = (0, 0, 0, 0, 0, 0);
        for step in steps {
            match step {
                Step::Feed(node) => { fed += 1; bench.feed(node); }
                Step::Wait(millis) => {
                    waited += 1;
                    bench.now = bench.now.plus_millis(millis);
                    bench.session.handle_timeout(bench.now);
                }
                Step::Send(id) => {
                    let queued = Queued { seq: i64::from(id), class: "message", id: id.to_string(), kind: None, payload: vec![id] };
                    if bench.session.send(queued, bench.now) { asked += 1; }
                }
                Step::Request => {
                    asked += 1;
                    let iq = Node::new("iq").with("to", Jid::server("s.whatsapp.net"));
                    bench.session.request(iq, bench.now);
                }
                Step::Lost => bench.session.handle_lost(),
            }
            prop_assert!(ends == 0 || !bench.session.is_open());
            prop_assert!(bench.session.window_left() <= 8);
            sent += bench.sent().len();
            for event in bench.events() {
                prop_assert!(ends == 0 || matches!(event, Event::Answered { .. }), "after the end: {:?}", event);
                match event {
                    Event::Closed(_) => ends += 1,
                    Event::Answered { .. } => answered += 1,
                    _ => {}
                }
            }
        }
        prop_assert!(ends <= 1);
        prop_assert!(sent <= fed + asked + waited, "{} sent for {} fed, {} asked, {} waited", sent, fed, asked, waited);
        // Every request is answered exactly once, at the latest when the session ends.
        bench.session.handle_lost();
        answered += bench.events().iter().filter(|event| matches!(event, Event::Answered { .. })).count();
        prop_assert!(answered <= asked);
        prop_assert_eq!(bench.session.poll_timeout(), None::<Timestamp>);
    }
}
