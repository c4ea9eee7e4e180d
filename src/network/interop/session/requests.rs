//! Requests that wait for their answers, matched by the id of the `<iq>`.

use std::collections::BTreeMap;

use super::{RequestError, RequestId};
use crate::{
    domain::Timestamp,
    network::interop::wire::{Content, Node},
};

/// How many requests may wait at the same time.
const MOST: usize = 256;

/// Who wants the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The machine's own ping.
    Ping,
    /// The owner.
    Owner(RequestId),
}

/// The waiting requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: BTreeMap<u64, (Asker, Timestamp)>,
}

impl Requests {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST
    }

    /// Whether the owner waits for an answer.
    pub(super) fn is_quiet(&self) -> bool {
        !self
            .waiting
            .values()
            .any(|(asker, _)| matches!(asker, Asker::Owner(_)))
    }

    pub(super) fn insert(&mut self, number: u64, asker: Asker, deadline: Timestamp) {
        self.waiting.insert(number, (asker, deadline));
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Asker> {
        self.waiting.remove(&number).map(|(asker, _)| asker)
    }

    /// The requests whose time is over.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Asker> {
        self.waiting
            .extract_if(.., |_, (_, deadline)| *deadline <= now)
            .map(|(_, (asker, _))| asker)
            .collect()
    }

    /// All of them; none waits afterwards.
    pub(super) fn drain(&mut self) -> Vec<Asker> {
        std::mem::take(&mut self.waiting)
            .into_values()
            .map(|(asker, _)| asker)
            .collect()
    }

    pub(super) fn timeout(&self) -> Option<Timestamp> {
        self.waiting.values().map(|(_, deadline)| *deadline).min()
    }
}

/// What an `<iq>` that answers says: `type="result"`, or `type="error"` with `<error code text/>`.
pub(super) fn outcome(node: Node) -> Result<Node, RequestError> {
    if node.attr("type").as_deref() != Some("error") {
        return Ok(node);
    }
    let error = node.find("error");
    let code = error
        .and_then(|error| error.number("code"))
        .and_then(|code| u16::try_from(code).ok())
        .unwrap_or(0);
    let text = error
        .map(|error| match &error.content {
            Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => error.attr("text").unwrap_or_default().into_owned(),
        })
        .unwrap_or_default();
    Err(RequestError::Refused { code, text })
}
