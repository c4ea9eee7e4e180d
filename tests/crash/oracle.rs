//! What must be true at the end: every number once, in order, on each side, and no key used twice.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

use super::{support::stage::Stage, traffic::Traffic};

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    sent: usize,
    kills: usize,
    lost: usize,
    duplicated: usize,
    undecryptable: usize,
    key_reuse: usize,
    out_of_order: usize,
    seed: u64,
    engine: String,
}

impl Verdict {
    /// The verdict as one line of JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "engine": self.engine, "sent": self.sent, "kills": self.kills, "lost": self.lost,
            "duplicated": self.duplicated, "undecryptable": self.undecryptable, "key_reuse": self.key_reuse,
            "out_of_order": self.out_of_order, "seed": self.seed,
        })
    }

    /// Whether nothing is wrong, and something was tried.
    pub(crate) fn is_clean(&self) -> bool {
        self.sent > 0
            && self.lost + self.duplicated + self.undecryptable + self.key_reuse + self.out_of_order
                == 0
    }

    /// The same with the run's parameters.
    pub(crate) fn with(mut self, kills: usize, seed: u64) -> Self {
        self.kills = kills;
        self.seed = seed;
        self
    }
}

/// Waits until everything has arrived (or the deadline), then judges.
pub(crate) async fn settle(stage: &Stage, traffic: &Traffic<'_>, deadline: Duration) -> Verdict {
    let end = tokio::time::Instant::now() + deadline;
    let mut verdict = judge(stage, traffic);
    while verdict.lost > 0 && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        verdict = judge(stage, traffic);
    }
    // What should not come any more would come now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    judge(stage, traffic)
}

fn judge(stage: &Stage, traffic: &Traffic<'_>) -> Verdict {
    let mut verdict = Verdict {
        sent: traffic.sent(),
        engine: stage.engine.to_string(),
        ..Verdict::default()
    };
    for (index, chat) in stage.chats.iter().enumerate() {
        let seen = chat.received();
        count(
            &mut verdict,
            &seen,
            &format!("out {index} "),
            traffic.to_network[index],
        );
        let shown = stage.shown(chat);
        count(
            &mut verdict,
            &shown,
            &format!("in {index} "),
            traffic.to_matrix[index],
        );
        let (undecryptable, key_reuse) = chat.damage();
        verdict.undecryptable += undecryptable;
        verdict.key_reuse += key_reuse;
        verdict.undecryptable += shown
            .iter()
            .filter(|body| body.contains("could not be decrypted"))
            .count();
    }
    verdict
}

/// Counts what is missing, double or out of order among the numbered bodies of one chat and direction.
fn count(verdict: &mut Verdict, bodies: &[String], prefix: &str, sent: usize) {
    let numbers: Vec<usize> = bodies
        .iter()
        .filter_map(|body| body.strip_prefix(prefix)?.parse().ok())
        .collect();
    let mut times: HashMap<usize, usize> = HashMap::new();
    for number in &numbers {
        *times.entry(*number).or_default() += 1;
    }
    verdict.lost += (0..sent)
        .filter(|number| !times.contains_key(number))
        .count();
    verdict.duplicated += times.values().map(|times| times - 1).sum::<usize>();
    verdict.out_of_order += numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
}
