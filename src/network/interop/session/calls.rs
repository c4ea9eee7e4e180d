//! Calls, which cannot be taken here but are told: that somebody calls, and that somebody called in vain.
//!
//! ```xml
//! <call from="…" id="…" t="…"><offer call-id="…" call-creator="…"><audio/>[<video/>]</offer></call>
//! <call from="…" id="…" t="…"><terminate call-id="…" call-creator="…" [reason="timeout"]/></call>
//! ```
//! A call is missed when it ends without having been answered, and when its offer comes too late, out of the mailbox. What was
//! answered is known for as long as the session lasts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    domain::Timestamp,
    network::interop::wire::{Jid, Node},
};

/// How many calls are known at the same time.
const MOST: usize = 64;

/// Nobody lets it ring for longer, in milliseconds.
const LONGEST_RING: i64 = 90_000;

/// How a gatekeeper tells calls: names of the elements and attributes in `<call>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallShape {
    /// The elements that offer a call.
    pub offers: Vec<String>,
    /// The elements that say that it was answered.
    pub answers: Vec<String>,
    /// The element that says that it is over.
    pub end: String,
    /// The reasons of its end that mean it was answered elsewhere.
    pub answered_elsewhere: Vec<String>,
    /// The attribute that names the call.
    pub id: String,
    /// The attribute that names the group it is in.
    pub group: String,
}

impl Default for CallShape {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            offers: list(&["offer", "offer_notice"]),
            answers: list(&["accept", "reject"]),
            end: "terminate".to_owned(),
            answered_elsewhere: list(&["accepted_elsewhere", "rejected_elsewhere"]),
            id: "call-id".to_owned(),
            group: "group-jid".to_owned(),
        }
    }
}

/// Something to tell of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which call.
    pub id: String,
    /// Who calls.
    pub caller: Jid,
    /// The group that is called, if it is one.
    pub group: Option<Jid>,
    /// Whether with a picture.
    pub video: bool,
    /// Whether it is over without having been answered.
    pub missed: bool,
}

#[derive(Debug)]
struct Known {
    id: String,
    video: bool,
    answered: bool,
}

/// The latest calls of a session.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<Known>);

impl Calls {
    /// Takes a `<call>`; `None` if it tells nothing that is to be remembered.
    pub(super) fn take(&mut self, node: &Node, shape: &CallShape, now: Timestamp) -> Option<Call> {
        let step = node.children().first()?;
        let tag = step.tag.as_ref();
        let mut call = Call {
            id: step.attr(&shape.id)?.into_owned(),
            caller: node.jid("from")?,
            group: step.jid(&shape.group),
            video: false,
            missed: true,
        };
        let known = self.known(&call.id);
        if shape.offers.iter().any(|name| name == tag) {
            known.video =
                step.find("video").is_some() || step.attr("media").as_deref() == Some("video");
            let at = node.number("t").and_then(|t| i64::try_from(t).ok());
            call.missed = at.is_some_and(|at| now.0 - at.saturating_mul(1000) > LONGEST_RING);
        } else if tag == shape.end {
            let reason = step.attr("reason").unwrap_or_default();
            known.answered |= shape.answered_elsewhere.iter().any(|name| *name == reason);
        } else {
            known.answered |= shape.answers.iter().any(|name| name == tag);
            return None;
        }
        call.video = known.video;
        (!known.answered).then_some(call)
    }

    fn known(&mut self, id: &str) -> &mut Known {
        let place = self.0.iter().position(|known| known.id == id);
        let place = place.unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(Known {
                id: id.to_owned(),
                video: false,
                answered: false,
            });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}
