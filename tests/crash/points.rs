//! Every named crash point: the process aborts there, once, with traffic on the way, and is started again.

use std::time::{Duration, Instant};

use super::{
    SETTLE, START,
    group::{Act, Who},
    ledger::Way,
    moves,
    oracle::{self, Verdict},
    support::stage::{Chat, Engine, Stage},
    traffic::{Action, Traffic},
};

/// How long the bridge has for each message of the traffic.
const PAUSE: Duration = Duration::from_millis(30);

/// The most messages under way, so that what leads to a point is soon carried.
const IN_FLIGHT: usize = 60;

/// What leads to a point, besides texts and some of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leading {
    /// Nothing more.
    Texts,
    /// A chat that has no room yet.
    Stranger,
    /// Files, one way or both.
    Files,
    /// Files that have to be asked for again.
    Vanished,
    /// Reactions that take the place of others, and deletions.
    Changes,
    /// What was read, calls, and answers about files that were asked for again.
    Told,
    /// Changes of the group by the user.
    Group,
    /// What is said in an encrypted room.
    Encrypted,
}

/// Each commit boundary of the two data flows, in their order, and what leads there.
const POINTS: &[(&str, Leading)] = &[
    ("inbox.before_commit", Leading::Texts),
    ("inbox.after_commit", Leading::Texts),
    ("host.after_store", Leading::Files),
    ("encrypt.before_commit", Leading::Texts),
    ("encrypt.after_commit", Leading::Texts),
    ("send.after_write", Leading::Texts),
    ("ack.before_commit", Leading::Texts),
    ("ack.after_commit", Leading::Texts),
    ("decrypt.before_commit", Leading::Texts),
    ("decrypt.after_commit", Leading::Texts),
    ("receive.after_ack", Leading::Texts),
    ("portal.after_create", Leading::Stranger),
    ("portal.after_room_saved", Leading::Stranger),
    ("upload.after_create", Leading::Files),
    ("upload.after_sent", Leading::Files),
    ("upload.after_done", Leading::Files),
    ("matrix_send.before", Leading::Texts),
    ("matrix_send.after", Leading::Texts),
    ("redact.after_send", Leading::Changes),
    ("link.before_commit", Leading::Texts),
    ("link.after_commit", Leading::Texts),
    ("ask.before_commit", Leading::Vanished),
    ("ask.after_commit", Leading::Vanished),
    ("told.before_commit", Leading::Told),
    ("told.after_commit", Leading::Told),
    ("group.after_ask", Leading::Group),
    ("device_traffic.before_commit", Leading::Encrypted),
    ("device_traffic.after_commit", Leading::Encrypted),
    ("share_key.before_send", Leading::Encrypted),
    ("share_key.after_send", Leading::Encrypted),
    ("sealed.before_send", Leading::Encrypted),
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
    let mut traffic = Traffic::new(stage.chats.len(), seed);
    traffic.add_groups(&stage).await;
    traffic.encrypt_some(&stage).await;
    let mut kills = 0;
    for (index, (point, leading)) in POINTS.iter().enumerate() {
        bridge.kill();
        // Past the first passage, so that it is not always the very first message; but a room is made only once.
        let passed = match leading {
            Leading::Stranger => 0,
            _ => index % 3,
        };
        let mut dying = stage.spawn(Some(&format!("{point}={passed}*off->panic")));
        dying.listening(START).await;
        if *leading == Leading::Stranger {
            stage.add_stranger().await;
            traffic.add_chats(stage.chats.len());
        }
        let end = Instant::now() + START;
        let mut has_led = false;
        // What waits together is committed together, so the passages take traffic that comes in time after time.
        while !dying.ended(PAUSE).await {
            assert!(
                Instant::now() < end,
                "the bridge never came to the crash point {point}: see {}",
                stage.log()
            );
            if !traffic.has_more_under_way(&stage, IN_FLIGHT) {
                lead(&stage, &mut traffic, *leading).await;
                has_led = true;
            }
        }
        // What was left over from the point before may have led here, too.
        if !has_led {
            lead(&stage, &mut traffic, *leading).await;
        }
        kills += 1;
        bridge = stage.spawn(None);
        assert!(
            bridge.listening(START).await,
            "the bridge does not start: see {}",
            stage.log()
        );
        stage.enter_all_rooms().await;
    }
    let mut verdict = oracle::settle(&stage, &mut traffic, SETTLE).await;
    kills += moves::every_move(&stage, &mut bridge, &mut verdict).await;
    verdict.tell();
    let asked = |chat: &Chat| chat.contact().counters().files_asked_again > 0;
    assert!(
        stage.chats.iter().any(asked),
        "no file was asked for again: see {}",
        stage.log()
    );
    bridge.kill();
    let verdict = verdict.with(kills, seed);
    if !verdict.is_clean() {
        traffic.write_down(&stage);
    }
    stage.finish(!verdict.is_clean()).await;
    verdict
}

/// Some traffic, with what leads to the point in it.
async fn lead(stage: &Stage, traffic: &mut Traffic, leading: Leading) {
    let last = stage.chats.len() - 1;
    traffic.act(stage, last, Way::In, Action::Text).await;
    if leading == Leading::Stranger {
        return;
    }
    for way in Way::BOTH {
        traffic.act(stage, 0, way, Action::Text).await;
        traffic.act(stage, 1, way, Action::Text).await;
        match leading {
            Leading::Files => traffic.act(stage, 0, way, Action::File).await,
            Leading::Vanished => traffic.act(stage, 0, way, Action::Vanished).await,
            Leading::Told => {
                traffic.act(stage, 0, way, Action::Read).await;
                traffic.act(stage, 0, way, Action::Call).await;
                traffic.act(stage, 0, way, Action::Vanished).await;
            }
            Leading::Changes => {
                traffic.change_a_reaction(stage, 0, way).await;
                traffic.act(stage, 0, way, Action::Delete).await;
            }
            Leading::Encrypted => traffic.anything(stage, 1).await,
            Leading::Group | Leading::Texts | Leading::Stranger => {}
        }
        traffic.anything(stage, 0).await;
    }
    let acts = match leading {
        Leading::Group => [Act::Subject, Act::Member, Act::Role],
        _ => [Act::Text, Act::React, Act::Edit],
    };
    traffic.act_in_linked(stage).await;
    for act in acts {
        traffic.act_in_group(stage, Who::User, act).await;
    }
    traffic
        .act_in_group(stage, Who::Contact(0), Act::Text)
        .await;
}
