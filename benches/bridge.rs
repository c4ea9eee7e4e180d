//! What a message costs: the real bridge between a homeserver and a gatekeeper at the far ends of the real HTTP and chat wires,
//! durable commits on.
//!
//! `cargo bench --bench bridge [-- --json] [--engine sqlite|postgres] [--messages N] [--rooms N]`. For every engine and
//! direction, first in plain rooms and then in encrypted ones (in which the user has one device), it prints messages a second, CPU milliseconds of the bridge a message, median and 99th percentile of the latency the
//! bridge adds at a tenth of that rate, and resident memory; before them how long the bridge took to start, its memory when
//! idle, and the 99th percentile of the time a transaction waits for its answer.

#[path = "../tests/support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod support;

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use support::{
    bridge_process::BridgeProcess,
    process::{cpu_time, resident_kilobytes},
    stage::{Engine, Stage, USER},
};

/// How long a run may take before it is given up.
const DEADLINE: Duration = Duration::from_mins(2);

/// After how many messages the key of an encrypted room is changed, on either side, as by default.
const ROTATE_AFTER: u64 = 100;

/// What the rooms are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rooms {
    Plain,
    Encrypted,
}

impl Rooms {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    ToMatrix,
    ToGatekeeper,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::ToMatrix => "gatekeeper_to_matrix",
            Self::ToGatekeeper => "matrix_to_gatekeeper",
        }
    }
}

struct Options {
    json: bool,
    engines: Vec<Engine>,
    rooms: usize,
    messages: usize,
}

fn options() -> Options {
    let mut options = Options {
        json: false,
        engines: vec![Engine::Sqlite, Engine::Postgres],
        rooms: 50,
        messages: 10_000,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            words
                .next()
                .and_then(|n| n.parse().ok())
                .expect("a number follows")
        };
        match word.as_str() {
            "--json" => options.json = true,
            "--rooms" => options.rooms = number(),
            "--messages" => options.messages = number(),
            "--engine" => {
                let name = words.next().expect("an engine follows");
                options.engines = vec![name.parse().expect("sqlite or postgres")];
            }
            // Cargo's own.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    if std::env::var_os("DRAWBRIDGE_TEST_POSTGRES").is_none() {
        eprintln!(
            "no Postgres cluster (DRAWBRIDGE_TEST_POSTGRES): SQLite alone; run it by scripts/postgres-run for both"
        );
        options.engines.retain(|engine| *engine == Engine::Sqlite);
    }
    options
}

fn main() {
    let options = options();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        for engine in &options.engines {
            for rooms in [Rooms::Plain, Rooms::Encrypted] {
                measure(*engine, rooms, &options).await;
            }
        }
    });
}

async fn measure(engine: Engine, rooms: Rooms, options: &Options) {
    let mut stage = Stage::prepare(engine, options.rooms).await;
    // The first start makes the database and keys; a later one is what an operator sees.
    let mut bridge = stage.spawn(None);
    assert!(bridge.listening(DEADLINE).await, "see {}", stage.log());
    stage.log_in_and_open_chats().await;
    if rooms == Rooms::Encrypted {
        for chat in &stage.chats {
            stage.encrypt(&chat.room_id(), ROTATE_AFTER).await;
        }
    }
    bridge.kill();
    let started = Instant::now();
    let mut bridge = stage.spawn(None);
    assert!(bridge.listening(DEADLINE).await, "see {}", stage.log());
    let start = started.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = resident_kilobytes(bridge.id());
    for direction in [Direction::ToMatrix, Direction::ToGatekeeper] {
        // Sessions, caches and prepared statements are warm in a bridge that runs.
        send(&stage, direction, options.rooms * 4, None).await;
        run(&stage, &bridge, (engine, rooms, direction), options).await;
    }
    let mut taken = stage.homeserver.world().taken.clone();
    taken.sort();
    let summary = json!({
        "engine": engine.to_string(), "kind": rooms.name(), "start_ms": millis(start), "idle_rss_mb": megabytes(idle),
        "transaction_p99_ms": millis(percentile(&taken, 99)),
    });
    if options.json {
        println!("{summary}");
    } else {
        println!(
            "{engine} {}: start {:.0} ms, idle {:.1} MB, a transaction's answer p99 {:.1} ms",
            rooms.name(),
            millis(start),
            megabytes(idle),
            millis(percentile(&taken, 99))
        );
    }
    bridge.kill();
    stage.finish(false).await;
}

async fn run(
    stage: &Stage,
    bridge: &BridgeProcess,
    (engine, kind, direction): (Engine, Rooms, Direction),
    options: &Options,
) {
    let cpu_before = cpu_time(bridge.id());
    let began = Instant::now();
    send(stage, direction, options.messages, None).await;
    let rate = number(options.messages) / began.elapsed().as_secs_f64();
    let cpu = cpu_time(bridge.id()).saturating_sub(cpu_before);
    let rss = resident_kilobytes(bridge.id());
    let pause = Duration::from_secs_f64(10.0 / rate);
    let mut latencies = send(stage, direction, options.messages / 10, Some(pause)).await;
    latencies.sort();
    let (p50, p99) = (percentile(&latencies, 50), percentile(&latencies, 99));
    let cpu_each = millis(cpu) / number(options.messages);
    if options.json {
        println!(
            "{}",
            json!({
                "engine": engine.to_string(), "kind": kind.name(), "direction": direction.name(), "rooms": options.rooms,
                "messages_per_s": rate.round(), "cpu_ms_per_message": cpu_each,
                "p50_ms": millis(p50), "p99_ms": millis(p99), "rss_mb": megabytes(rss),
            })
        );
    } else {
        println!(
            "{engine} {}: {rate:.0} messages/s over {} {} rooms, {cpu_each:.3} ms CPU a message, latency p50 {:.1} ms p99 {:.1} ms, {:.1} MB",
            direction.name(),
            options.rooms,
            kind.name(),
            millis(p50),
            millis(p99),
            megabytes(rss)
        );
    }
}

/// Sends messages round the rooms and waits until all arrived; how long each was under way. With a pause they are sent one after
/// the other, without one all rooms send at once, each its own messages in order.
async fn send(
    stage: &Stage,
    direction: Direction,
    count: usize,
    pause: Option<Duration>,
) -> Vec<Duration> {
    let run: u64 = rand::random();
    let mut sent = vec![SystemTime::UNIX_EPOCH; count];
    if let Some(pause) = pause {
        for (number, at) in sent.iter_mut().enumerate() {
            tokio::time::sleep(pause).await;
            *at = send_one(stage, direction, run, number).await;
        }
    } else {
        let rooms = stage.chats.len();
        let of_room = |room: usize| async move {
            let mut times = Vec::new();
            for number in (room..count).step_by(rooms) {
                times.push((number, send_one(stage, direction, run, number).await));
            }
            times
        };
        let times = futures_util::future::join_all((0..rooms).map(of_room)).await;
        for (number, at) in times.into_iter().flatten() {
            sent[number] = at;
        }
    }
    let arrived = stage
        .arrivals(
            run,
            count,
            matches!(direction, Direction::ToMatrix),
            DEADLINE,
        )
        .await;
    sent.iter()
        .zip(arrived)
        .map(|(sent, arrived)| arrived.duration_since(*sent).unwrap_or_default())
        .collect()
}

/// Sends one message; when.
async fn send_one(stage: &Stage, direction: Direction, run: u64, number: usize) -> SystemTime {
    let chat = &stage.chats[number % stage.chats.len()];
    let body = format!("{run} {number}");
    let now = SystemTime::now();
    match direction {
        Direction::ToMatrix => chat.say(&body).await,
        Direction::ToGatekeeper => {
            let content = json!({ "msgtype": "m.text", "body": body });
            stage.say_in(&chat.room_id(), USER, "m.room.message", content);
        }
    }
    now
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// A number of messages to reckon with.
fn number(messages: usize) -> f64 {
    f64::from(u32::try_from(messages).unwrap_or(u32::MAX))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn megabytes(kilobytes: u64) -> f64 {
    f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)) / 1024.0
}
