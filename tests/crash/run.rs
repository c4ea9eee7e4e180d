//! The crash test: the real binary under `kill -9` at random moments and at every named crash point, with everything a
//! conversation carries on its way both ways, between a homeserver and a gatekeeper that live on in this process.
//!
//! `cargo test --test crash -- --engine sqlite|postgres --kills N [--seed S]`; the last line on stdout is one JSON object, and
//! the exit code is 1 if anything was lost, doubled, undecryptable, out of order, encrypted under a used key, or is not shown as it
//! was left. Without `--engine` it runs both engines, `--kills` (100 by default) each, and every crash point.

mod contact;
mod files;
mod group;
mod ledger;
mod mixture;
mod moves;
mod oracle;
mod points;
mod relayed;
#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod support;
mod traffic;
mod user;
mod view;

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use oracle::Verdict;
use support::stage::{Engine, Stage};
use traffic::Traffic;

/// How long a bridge may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long everything may take to arrive after the last kill.
const SETTLE: Duration = Duration::from_mins(2);
/// After how many kills the user has another device more or less.
const CHANGE_DEVICES: usize = 10;

struct Options {
    engines: Vec<Engine>,
    kills: usize,
    seed: u64,
    points: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        engines: vec![Engine::Sqlite, Engine::Postgres],
        kills: 100,
        seed: rand::random(),
        points: true,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--engine" => {
                options.engines = vec![value()?.parse()?];
                options.points = false;
            }
            "--kills" => options.kills = value()?.parse().map_err(|_| "--kills takes a number")?,
            "--seed" => options.seed = value()?.parse().map_err(|_| "--seed takes a number")?,
            "--points" => options.points = true,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

fn main() {
    let options = options().unwrap_or_else(|error| {
        eprintln!(
            "{error}\nusage: crash [--engine sqlite|postgres] [--kills N] [--seed S] [--points]"
        );
        std::process::exit(2);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let good = runtime.block_on(run(&options));
    std::process::exit(i32::from(!good));
}

async fn run(options: &Options) -> bool {
    let mut good = true;
    for engine in &options.engines {
        if options.points {
            let verdict = points::every_point(*engine, options.seed).await;
            eprintln!("{engine}, every crash point: {}", verdict.json());
            good &= verdict.is_clean();
        }
        let verdict = kills(*engine, options.kills, options.seed).await;
        println!("{}", verdict.json());
        good &= verdict.is_clean();
    }
    good
}

/// Kills the bridge at random moments of random traffic.
async fn kills(engine: Engine, kills: usize, seed: u64) -> Verdict {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut stage = Stage::prepare(engine, 6).await;
    let mut bridge = stage.spawn(None);
    assert!(
        bridge.listening(START).await,
        "the bridge does not start: see {}",
        stage.log()
    );
    stage.log_in_and_open_chats().await;
    let mut traffic = Traffic::new(stage.chats.len(), rng.random());
    traffic.add_groups(&stage).await;
    traffic.encrypt_some(&stage).await;
    // A homeserver without the extensions has nothing for the bridge's device in its transactions.
    stage.homeserver.world().devices.asked_for_alone = rng.random_bool(0.5);
    for round in 0..kills {
        if round % CHANGE_DEVICES == CHANGE_DEVICES - 1 {
            stage.change_devices().await;
        }
        // Some die while they start, most with traffic in flight.
        let alive = Duration::from_millis(rng.random_range(0..350));
        if !rng.random_bool(0.1) {
            assert!(
                bridge.listening(START).await,
                "the bridge does not start: see {}",
                stage.log()
            );
        }
        // A kill with no traffic under way would show nothing: the bridge has to carry something first.
        let carried_by = tokio::time::Instant::now() + START;
        while traffic.is_full(&stage) {
            assert!(
                tokio::time::Instant::now() < carried_by,
                "the bridge carries nothing: see {}",
                stage.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Counted from where it listens, so that a slow machine has as much traffic to lose.
        let end = tokio::time::Instant::now() + alive;
        while tokio::time::Instant::now() < end {
            traffic.some(&stage).await;
        }
        bridge.kill();
        // Some traffic meets a bridge that is not there.
        for _ in 0..rng.random_range(0..6) {
            traffic.some(&stage).await;
        }
        if rng.random_bool(0.5) {
            // As a homeserver's memory of transactions ends with it, or after a time.
            stage.homeserver.world().sends.clear();
        }
        bridge = stage.spawn(None);
        if round % 20 == 19 {
            eprintln!("{engine}: {} kills, {} messages", round + 1, traffic.sent());
        }
    }
    assert!(
        bridge.listening(START).await,
        "the bridge does not start: see {}",
        stage.log()
    );
    let verdict = oracle::settle(&stage, &mut traffic, SETTLE).await;
    verdict.tell();
    bridge.kill();
    let verdict = verdict.with(kills, seed);
    if !verdict.is_clean() {
        traffic.write_down(&stage);
    }
    stage.finish(!verdict.is_clean()).await;
    verdict
}
