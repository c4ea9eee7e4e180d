//! The outbox on its way out, in order, as far as the session's window allows.

use crate::{
    domain::{LoginId, Timestamp},
    network::interop::{
        outbound,
        session::{Queued, Session},
    },
    store::{Database, OutboxKind, OutboxRow, StoreError},
};

/// How many rows are read at a time.
const BATCH: i64 = 64;

/// How far the outbox was sent on this connection.
#[derive(Debug)]
pub(super) struct Outflow {
    /// The place in the order up to which the outbox was looked at.
    seen: i64,
    /// The highest place that was sent.
    highest: i64,
    /// Whether there may be rows to send behind `seen`.
    more: bool,
}

impl Outflow {
    /// Begins with the oldest row that is not acknowledged.
    pub(super) fn new() -> Self {
        Self {
            seen: 0,
            highest: 0,
            more: true,
        }
    }

    /// There are new rows.
    pub(super) fn flush(&mut self) {
        self.more = true;
    }

    /// An earlier row waits again, at its old place.
    pub(super) fn rewind(&mut self) {
        self.seen = 0;
        self.more = true;
    }

    /// Sends what waits, as far as the window allows. How many rows.
    pub(super) async fn fill(
        &mut self,
        db: &Database,
        login: LoginId,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        while self.more && session.window_left() > 0 {
            let after = self.seen;
            let rows = db
                .read(move |txn| Box::pin(txn.queued(login, after, BATCH)))
                .await?;
            self.more = i64::try_from(rows.len()).is_ok_and(|read| read == BATCH);
            for row in rows {
                let seq = row.seq;
                let queued = queued(row);
                let in_flight = seq <= self.highest && session.is_in_flight(&queued);
                if !in_flight {
                    if !session.send(queued, now) {
                        self.more = true;
                        break;
                    }
                    count += 1;
                }
                self.seen = seq;
                self.highest = self.highest.max(seq);
            }
        }
        Ok(count)
    }
}

fn queued(row: OutboxRow) -> Queued {
    let (class, kind) = match row.row.kind {
        OutboxKind::Message => ("message", None),
        OutboxKind::Receipt => ("receipt", Some("read")),
        OutboxKind::MediaRequest => ("receipt", Some("server-error")),
    };
    Queued {
        seq: row.seq,
        class,
        id: outbound::wire_id(&row.row).to_owned(),
        kind,
        payload: row.row.payload,
    }
}
