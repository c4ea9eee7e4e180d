//! What the session does with each thing the gatekeeper can say, in simulated time.

use drawbridge::{
    domain::{Timestamp, Typing},
    network::interop::{
        session::{
            Close, Event, Queued, RequestError, Session, SessionOptions, Transmit, acknowledgement,
            iq,
        },
        wire::{Jid, Node},
    },
};

/// A session and the clock it lives by.
pub(crate) struct Bench {
    pub(crate) session: Session,
    pub(crate) now: Timestamp,
}

impl Bench {
    pub(crate) fn new(options: SessionOptions, seed: u64) -> Self {
        let now = Timestamp(1_700_000_000_000);
        Self {
            session: Session::new(options, seed, now),
            now,
        }
    }

    pub(crate) fn logged_in() -> Self {
        Self::logged_in_with(SessionOptions::default())
    }

    pub(crate) fn logged_in_with(options: SessionOptions) -> Self {
        let mut bench = Self::new(options, 7);
        bench.feed(Node::new("success"));
        assert_eq!(bench.events(), [Event::LoggedIn]);
        bench
    }

    pub(crate) fn feed(&mut self, node: Node) {
        self.session.handle_node(node, self.now);
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    pub(crate) fn sent(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    pub(crate) fn sent_nodes(&mut self) -> Vec<Node> {
        self.sent()
            .into_iter()
            .map(|transmit| match transmit {
                Transmit::Node(node) => node,
                Transmit::Encoded(_) => panic!("a stanza of the outbox"),
            })
            .collect()
    }

    /// Moves the clock to the session's next timeout and lets it act. How many milliseconds that took.
    fn sleep(&mut self) -> i64 {
        let at = self.session.poll_timeout().expect("the session is over");
        let slept = (at.0 - self.now.0).max(0);
        self.now = Timestamp(self.now.0.max(at.0));
        self.session.handle_timeout(self.now);
        slept
    }

    /// Sleeps until the session sends something or ends.
    fn sleep_until_acting(&mut self) -> (Vec<Node>, Vec<Event>) {
        for _ in 0..100 {
            self.sleep();
            let (nodes, events) = (self.sent_nodes(), self.events());
            if !nodes.is_empty() || !events.is_empty() {
                return (nodes, events);
            }
        }
        panic!("the session never acts");
    }
}

fn queued(id: &str) -> Queued {
    Queued {
        seq: 7,
        class: "message",
        id: id.to_owned(),
        kind: None,
        payload: id.as_bytes().to_vec(),
    }
}

fn ack(id: &str) -> Node {
    Node::new("ack").with("class", "message").with("id", id)
}

fn closed(bench: &mut Bench) -> Close {
    match bench.events().pop() {
        Some(Event::Closed(close)) => close,
        other => panic!("not closed: {other:?}"),
    }
}

#[test]
fn failure_codes_say_what_to_do() {
    let options = SessionOptions {
        unenlisted: vec![404],
        ..SessionOptions::default()
    };
    for (reason, expected) in [
        ("401", Close::Refused { reason: 401 }),
        ("404", Close::Unenlisted { reason: 404 }),
        ("405", Close::VersionTooOld),
        ("418", Close::Refused { reason: 418 }),
        ("500", Close::Unavailable { reason: 500 }),
        ("503", Close::Unavailable { reason: 503 }),
        ("gone", Close::Refused { reason: 0 }),
    ] {
        let mut bench = Bench::new(options.clone(), 1);
        bench.feed(Node::new("failure").with("reason", reason));
        assert_eq!(closed(&mut bench), expected, "{reason}");
        assert_eq!(bench.session.poll_timeout(), None);
    }
}

#[test]
fn stream_errors_say_how_to_reconnect() {
    let error = || Node::new("stream:error");
    for (node, expected) in [
        (error().with("code", "515"), Close::Reconnect),
        (
            error().with("code", "503"),
            Close::Unavailable { reason: 503 },
        ),
        (
            error().child(Node::new("conflict").with("type", "replaced")),
            Close::Replaced,
        ),
        (error().with("code", "516"), Close::Stream { code: 516 }),
        (error(), Close::Stream { code: 0 }),
        (Node::new("xmlstreamend"), Close::Lost),
    ] {
        let mut bench = Bench::logged_in();
        bench.feed(node);
        assert_eq!(closed(&mut bench), expected);
    }
}

#[test]
fn a_login_without_answer_ends() {
    let mut bench = Bench::new(SessionOptions::default(), 1);
    assert_eq!(bench.sleep(), 20_000);
    assert_eq!(bench.events(), [Event::Closed(Close::LoginTimeout)]);
}

#[test]
fn stanzas_before_the_login_are_not_believed() {
    let mut bench = Bench::new(SessionOptions::default(), 1);
    bench.feed(Node::new("message").with("id", "A1"));
    assert_eq!((bench.events(), bench.sent()), (vec![], vec![]));
}

#[test]
fn pings_every_20_to_30_seconds_while_answered() {
    let mut bench = Bench::logged_in();
    let mut last = bench.now.0;
    for _ in 0..50 {
        let (nodes, events) = bench.sleep_until_acting();
        assert_eq!(events, []);
        assert!(nodes[0].find("ping").is_some());
        let distance = bench.now.0 - last;
        assert!((20_000..=30_000).contains(&distance), "{distance}");
        last = bench.now.0;
        let id = nodes[0].attr("id").expect("an id").into_owned();
        bench.feed(Node::new("iq").with("type", "result").with("id", id));
    }
}

#[test]
fn silence_after_a_ping_is_death_but_any_sound_is_life() {
    let mut bench = Bench::logged_in();
    let (nodes, _) = bench.sleep_until_acting();
    assert!(nodes[0].find("ping").is_some());
    let pinged = bench.now.0;
    bench.now = Timestamp(pinged + 19_000);
    bench.feed(Node::new("presence"));
    let (_, events) = bench.sleep_until_acting();
    assert_eq!(events, [Event::Closed(Close::Dead)]);
    assert_eq!(bench.now.0, pinged + 39_000);
}

#[test]
fn answers_reach_who_asked_and_errors_are_told_apart() {
    let mut bench = Bench::logged_in();
    let server = Jid::server("s.whatsapp.net");
    let first = bench.session.request(iq::prekey_count(&server), bench.now);
    let second = bench.session.request(iq::digest(&server), bench.now);
    let ids: Vec<String> = bench
        .sent_nodes()
        .iter()
        .map(|node| node.attr("id").expect("an id").into_owned())
        .collect();
    let refused = Node::new("iq")
        .with("type", "error")
        .with("id", ids[1].clone())
        .child(Node::new("error").with("code", "406").with("text", "no"));
    let counted = Node::new("iq")
        .with("type", "result")
        .with("id", ids[0].clone())
        .child(Node::new("count").with("value", "12"));
    bench.feed(refused);
    bench.feed(counted.clone());
    // An answer that comes twice is for nobody.
    bench.feed(counted.clone());
    assert_eq!(iq::count(&counted), Some(12));
    assert_eq!(
        bench.events(),
        [
            Event::Answered {
                request: second,
                outcome: Err(RequestError::Refused {
                    code: 406,
                    text: "no".to_owned()
                })
            },
            Event::Answered {
                request: first,
                outcome: Ok(counted)
            },
        ]
    );
}

#[test]
fn requests_time_out_and_end_with_the_session() {
    let mut bench = Bench::logged_in_with(SessionOptions {
        ping_interval: 1_000_000,
        ..SessionOptions::default()
    });
    let server = Jid::server("s.whatsapp.net");
    let request = bench.session.request(iq::digest(&server), bench.now);
    assert_eq!(bench.sleep(), 30_000);
    assert_eq!(
        bench.events(),
        [Event::Answered {
            request,
            outcome: Err(RequestError::Timeout)
        }]
    );
    let request = bench.session.request(iq::digest(&server), bench.now);
    bench.session.handle_lost();
    assert_eq!(
        bench.events(),
        [
            Event::Answered {
                request,
                outcome: Err(RequestError::Closed)
            },
            Event::Closed(Close::Lost)
        ]
    );
    let request = bench.session.request(iq::digest(&server), bench.now);
    assert_eq!(
        bench.events(),
        [Event::Answered {
            request,
            outcome: Err(RequestError::Closed)
        }]
    );
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut bench = Bench::logged_in_with(SessionOptions {
        window: 2,
        ..SessionOptions::default()
    });
    assert!(bench.session.send(queued("a"), bench.now));
    assert!(bench.session.send(queued("b"), bench.now));
    assert!(!bench.session.send(queued("c"), bench.now));
    assert!(bench.session.is_in_flight(&queued("a")));
    assert!(!bench.session.is_in_flight(&queued("c")));
    assert_eq!(
        bench.sent(),
        [
            Transmit::Encoded(b"a".to_vec()),
            Transmit::Encoded(b"b".to_vec())
        ]
    );
    bench.feed(ack("b"));
    bench.feed(ack("b"));
    bench.feed(ack("stranger"));
    let events = bench.events();
    assert!(
        matches!(&events[..], [Event::Acked(acked)] if acked.id == "b" && acked.error.is_none())
    );
    assert_eq!(bench.session.window_left(), 1);
    assert!(bench.session.send(queued("c"), bench.now));
    bench.feed(ack("a").with("error", "487"));
    assert!(
        matches!(&bench.events()[..], [Event::Acked(acked)] if acked.id == "a" && acked.error == Some(487))
    );
}

#[test]
fn a_stanza_that_is_never_acknowledged_ends_the_session() {
    let mut bench = Bench::logged_in_with(SessionOptions {
        ping_interval: 1_000_000,
        ..SessionOptions::default()
    });
    assert!(bench.session.send(queued("a"), bench.now));
    bench.sent();
    assert!(!bench.session.is_quiet());
    assert_eq!(bench.sleep(), 60_000);
    assert_eq!(bench.events(), [Event::Closed(Close::Dead)]);
}

#[test]
fn what_is_refused_for_now_stays_in_flight() {
    let mut bench = Bench::logged_in();
    assert!(bench.session.send(queued("a"), bench.now));
    for code in ["429", "500", "503"] {
        bench.feed(ack("a").with("error", code));
    }
    assert_eq!(bench.events(), []);
    assert!(bench.session.is_in_flight(&queued("a")));
    bench.feed(ack("a"));
    assert!(matches!(&bench.events()[..], [Event::Acked(acked)] if acked.seq == 7));
}

#[test]
fn a_read_receipt_is_not_acknowledged_by_what_is_for_the_delivery() {
    let mut bench = Bench::logged_in_with(SessionOptions {
        ping_interval: 1_000_000,
        ..SessionOptions::default()
    });
    let read = Queued {
        seq: 7,
        class: "receipt",
        id: "A1".to_owned(),
        kind: Some("read"),
        payload: vec![1],
    };
    let ack = Node::new("ack").with("class", "receipt").with("id", "A1");
    assert!(bench.session.send(read.clone(), bench.now));
    bench.feed(ack.clone());
    assert_eq!(bench.events(), []);
    bench.feed(ack.with("type", "read"));
    assert_eq!(bench.events().len(), 1);
    // Without its acknowledgement it is let go, and the connection stays.
    assert!(bench.session.send(read, bench.now));
    bench.sleep();
    assert!(bench.session.is_quiet() && bench.session.is_open());
}

#[test]
fn what_must_be_remembered_is_not_acknowledged_by_the_machine() {
    let mut bench = Bench::logged_in();
    let message = Node::new("message").with("id", "A1").with("from", "1@x");
    let receipt = Node::new("receipt").with("id", "A2").with("from", "1@x");
    let identity = Node::new("notification")
        .with("id", "A3")
        .with("from", "1@x")
        .with("type", "encrypt")
        .child(Node::new("identity"));
    for node in [&message, &receipt, &identity] {
        bench.feed(node.clone());
    }
    assert_eq!(bench.sent(), []);
    assert_eq!(
        bench.events(),
        [
            Event::Message(message.clone()),
            Event::Receipt(receipt),
            Event::IdentityChanged(identity)
        ]
    );
    let answer = acknowledgement(&message).expect("it has an id");
    bench.session.answer(answer.clone());
    assert_eq!(bench.sent(), [Transmit::Node(answer)]);
}

#[test]
fn few_prekeys_are_told_and_acknowledged() {
    let mut bench = Bench::logged_in();
    let notification = |count: u64| {
        Node::new("notification")
            .with("id", "N1")
            .with("from", "s.whatsapp.net")
            .with("type", "encrypt")
            .child(Node::new("count").with("value", count))
    };
    bench.feed(notification(40));
    assert_eq!(bench.events(), []);
    bench.feed(notification(4));
    assert_eq!(bench.events(), [Event::PrekeysLow { count: 4 }]);
    let acks = bench.sent_nodes();
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0].attr("class").as_deref(), Some("notification"));
    assert_eq!(acks[0].attr("type").as_deref(), Some("encrypt"));
}

#[test]
fn the_mailbox_is_announced_and_ends() {
    let mut bench = Bench::logged_in();
    let ib = |child: Node| Node::new("ib").child(child.with("count", "3"));
    bench.feed(ib(Node::new("offline_preview")));
    bench.feed(ib(Node::new("offline")));
    bench.feed(ib(Node::new("downgrade_webclient")));
    assert_eq!(
        bench.events(),
        [
            Event::MailboxWaiting { count: 3 },
            Event::MailboxDrained { count: 3 }
        ]
    );
}

#[test]
fn unknown_stanzas_are_acknowledged_so_that_they_do_not_come_again() {
    let mut bench = Bench::logged_in();
    bench.feed(Node::new("call").with("id", "C1").with("from", "1@x"));
    bench.feed(
        Node::new("notification")
            .with("id", "N1")
            .with("type", "w:gp2"),
    );
    bench.feed(Node::new("nonsense"));
    let acks = bench.sent_nodes();
    let classes: Vec<_> = acks.iter().map(|ack| ack.attr("class")).collect();
    assert_eq!(classes, [Some("call".into()), Some("notification".into())]);
    assert_eq!(bench.events(), []);
}

#[test]
fn the_gatekeepers_ping_is_answered_and_typing_is_told() {
    let mut bench = Bench::logged_in();
    bench.feed(
        Node::new("iq")
            .with("type", "get")
            .with("xmlns", "urn:xmpp:ping")
            .with("id", "P1"),
    );
    let pong = bench.sent_nodes();
    assert_eq!(pong[0].attr("type").as_deref(), Some("result"));
    assert_eq!(pong[0].attr("id").as_deref(), Some("P1"));
    let state = Node::new("chatstate").with("from", "1@s.whatsapp.net");
    bench.feed(state.clone().child(Node::new("composing")));
    bench.feed(state.child(Node::new("paused")));
    let chat = Jid::user("1", "s.whatsapp.net");
    assert_eq!(
        bench.events(),
        [
            Event::Typing {
                chat: chat.clone(),
                participant: None,
                state: Typing::Composing
            },
            Event::Typing {
                chat,
                participant: None,
                state: Typing::Paused
            }
        ]
    );
}

#[test]
fn a_session_that_is_over_stays_over() {
    let mut bench = Bench::logged_in();
    bench.feed(Node::new("stream:error").with("code", "515"));
    assert_eq!(closed(&mut bench), Close::Reconnect);
    bench.feed(Node::new("message").with("id", "A1"));
    bench.session.handle_lost();
    bench.session.answer(Node::new("ack"));
    assert!(!bench.session.send(queued("a"), bench.now));
    bench
        .session
        .handle_timeout(bench.now.plus_millis(1_000_000));
    assert_eq!((bench.events(), bench.sent()), (vec![], vec![]));
}
