//! Every named crash point: the process aborts there, once, with traffic on the way, and is started again.

use std::time::{Duration, Instant};

use super::{
    SETTLE, START,
    oracle::{self, Verdict},
    support::stage::{Engine, Stage},
    traffic::Traffic,
};

/// How long the bridge has for each message of the traffic.
const PAUSE: Duration = Duration::from_millis(30);

/// Each commit boundary of the two data flows, in their order.
pub(crate) const POINTS: &[&str] = &[
    "inbox.before_commit",
    "inbox.after_commit",
    "encrypt.before_commit",
    "encrypt.after_commit",
    "send.after_write",
    "ack.before_commit",
    "ack.after_commit",
    "decrypt.before_commit",
    "decrypt.after_commit",
    "receive.after_ack",
    "portal.after_create",
    "portal.after_room_saved",
    "matrix_send.before",
    "matrix_send.after",
    "link.before_commit",
    "link.after_commit",
];

/// Aborts at every point in turn.
pub(crate) async fn every_point(engine: Engine, seed: u64) -> Verdict {
    let mut stage = Stage::prepare(engine, 2).await;
    let mut bridge = stage.spawn(None);
    assert!(
        bridge.listening(START).await,
        "the bridge does not start: see {}",
        stage.log()
    );
    stage.log_in_and_open_chats().await;
    let mut counts = (vec![0; stage.chats.len()], vec![0; stage.chats.len()]);
    let mut kills = 0;
    for (index, point) in POINTS.iter().enumerate() {
        bridge.kill();
        let makes_a_room = point.starts_with("portal.");
        // Past the first passage, so that it is not always the very first message; but a room is made only once.
        let passed = if makes_a_room { 0 } else { index % 3 };
        let mut dying = stage.spawn(Some(&format!("{point}={passed}*off->panic")));
        dying.listening(START).await;
        if makes_a_room {
            // A chat that has no room yet.
            stage.add_stranger().await;
            counts.0.push(0);
            counts.1.push(0);
        }
        let mut traffic = Traffic::new(&stage, seed);
        (traffic.to_network, traffic.to_matrix) = counts;
        let last = stage.chats.len() - 1;
        let end = Instant::now() + START;
        // What waits together is committed together, so the passages take traffic that comes in time after time.
        while !dying.ended(PAUSE).await {
            assert!(
                Instant::now() < end,
                "the bridge never came to the crash point {point}: see {}",
                stage.log()
            );
            traffic.contact_says(last).await;
            if !makes_a_room {
                traffic.matrix_says(0);
                traffic.contact_says(0).await;
            }
        }
        counts = (traffic.to_network, traffic.to_matrix);
        kills += 1;
        bridge = stage.spawn(None);
        assert!(
            bridge.listening(START).await,
            "the bridge does not start: see {}",
            stage.log()
        );
        stage.enter_all_rooms().await;
    }
    let mut traffic = Traffic::new(&stage, seed);
    (traffic.to_network, traffic.to_matrix) = counts;
    let verdict = oracle::settle(&stage, &traffic, SETTLE).await;
    bridge.kill();
    let verdict = verdict.with(kills, seed);
    stage.finish(!verdict.is_clean()).await;
    verdict
}
