//! What many chats cost: one login with hundreds of groups whose rooms are made when it connects, one of them with a thousand members,
//! between a homeserver and a gatekeeper at the far ends of the real wires.
//!
//! `scripts/scale [--synapse] [--engine sqlite|postgres] [--portals N] [--members N] [--per-second N] [--minutes N]`; one line of JSON.
//! With `--synapse` the homeserver is the Synapse that the Python in `DRAWBRIDGE_TEST_SYNAPSE` has, else one in this process.

#[path = "../tests/scale/scene.rs"]
mod scene;
#[path = "../tests/support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod support;
#[path = "../tests/scale/synapse.rs"]
mod synapse;

use std::{path::PathBuf, time::Duration};

use scene::{Size, measure};
use support::stage::Engine;

struct Options {
    engine: Engine,
    size: Size,
    deadline: Duration,
    /// The Python that has Synapse, if that is the homeserver.
    python: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        engine: Engine::Sqlite,
        size: Size {
            portals: 500,
            members: 1_000,
            per_second: 5,
        },
        deadline: Duration::from_mins(15),
        python: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        // Cargo's own.
        if word == "--bench" {
            continue;
        }
        if word == "--synapse" {
            let python = std::env::var_os("DRAWBRIDGE_TEST_SYNAPSE");
            let python =
                python.ok_or("DRAWBRIDGE_TEST_SYNAPSE names no Python that has Synapse")?;
            options.python = Some(python.into());
            continue;
        }
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = value.parse::<usize>();
        let number = || number.map_err(|_| format!("{word} takes a number"));
        match word.as_str() {
            "--engine" => options.engine = value.parse()?,
            "--portals" => options.size.portals = number()?.max(1),
            "--members" => options.size.members = number()?.max(10),
            "--per-second" => options.size.per_second = number()?.max(1),
            "--minutes" => {
                let minutes = u64::try_from(number()?).unwrap_or(u64::MAX);
                options.deadline = Duration::from_mins(minutes.min(60));
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

fn main() {
    let options = options().unwrap_or_else(|error| {
        eprintln!(
            "{error}\nusage: scale [--synapse] [--engine sqlite|postgres] [--portals N] [--members N] [--per-second N] [--minutes N]"
        );
        std::process::exit(2);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let (engine, size, deadline) = (options.engine, options.size, options.deadline);
    let figures = match &options.python {
        Some(python) => runtime.block_on(synapse::measure(python, engine, size, deadline)),
        None => runtime.block_on(measure(engine, size, deadline)),
    };
    println!("{}", figures.json(options.engine, options.size));
}
