//! Gap repair: homeservers forget what they still had to deliver when they are killed, so the bridge asks for itself.
//!
//! `/sync` as the bot, with its device, from a token that is stored together with the events it brought: on start, after an
//! outage, and every few minutes. What came in a transaction too is known by its event id. Where the homeserver hands over no
//! ephemeral events, the same request waits for them. The account is never `sender_localpart`: Synapse fails on its `/sync`.

mod collect;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use ruma::{
    api::client::{
        filter::{Filter, FilterDefinition, RoomEventFilter},
        sync::sync_events,
    },
    uint,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{Client, DeviceTraffic, MatrixError, Order, appservice::AppserviceSink, inbox};
use crate::{
    clock::Clock,
    config::EphemeralMode,
    domain::Timestamp,
    store::{Database, StoreError},
};

/// Where the last sync ended.
const SINCE: &str = "matrix.sync_since";
/// How often gaps are looked for without a reason: seldom in the end, and soon after a start or an outage, when homeservers leave
/// events lying.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
/// How long the homeserver waits for something to happen.
const LONG_POLL: Duration = Duration::from_secs(30);
/// How long is rested between two long polls for keys: everything said in the bot's rooms ends one, and a key may come a little later
/// than who writes.
const BREATH: Duration = Duration::from_secs(1);
/// The pause after a failure, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A failed repair.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The homeserver failed or refused.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the inbox complete.
pub struct Syncer {
    client: Client,
    db: Database,
    sink: Arc<dyn AppserviceSink>,
    mode: EphemeralMode,
    /// Whether `/sync` has to bring receipts and typing, once it is known.
    ephemeral: OnceCell<bool>,
    order: Arc<Order>,
    /// The counts of the device's keys that came last.
    counts: Mutex<Option<DeviceTraffic>>,
    clock: Arc<dyn Clock>,
}

impl Syncer {
    /// A syncer for the bot's rooms. Nothing is asked yet.
    #[must_use]
    pub fn new(
        client: Client,
        db: Database,
        sink: Arc<dyn AppserviceSink>,
        mode: EphemeralMode,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            client,
            db,
            sink,
            mode,
            ephemeral: OnceCell::new(),
            order: Arc::new(Order::new(clock.clone())),
            counts: Mutex::default(),
            clock,
        }
    }

    /// With what transactions wait for.
    #[must_use]
    pub fn in_order(mut self, order: Arc<Order>) -> Self {
        self.order = order;
        self
    }

    /// Repairs until it is cancelled. The bot has to be registered.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.keep_repairing()).await;
    }

    async fn keep_repairing(&self) {
        let ephemeral = self.brings_ephemeral().await;
        let mut pause = PAUSES.0;
        let mut interval = INTERVALS.0;
        loop {
            let asked = self.order.asked();
            let cipher = self.client.cipher();
            let long_poll = ephemeral || cipher.is_some_and(|cipher| cipher.needs_sync());
            // Somebody may wait for the answer.
            let wait = if long_poll && self.order.wanted().now_or_never().is_none() {
                LONG_POLL
            } else {
                Duration::ZERO
            };
            // Who waits for an answer wants one that does not wait.
            match self.repair_unless(wait, self.order.wanted()).await {
                Ok(events) => {
                    self.order.repaired(asked);
                    pause = PAUSES.0;
                    if events > 0 && !long_poll {
                        tracing::info!(
                            events,
                            "the homeserver had not delivered these, they are repaired"
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the homeserver could not be asked for what it may not have delivered");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    continue;
                }
            }
            let back = if ephemeral {
                self.client.recovered().now_or_never().is_some()
            } else if long_poll {
                self.rest(BREATH).await
            } else {
                let back = self.rest(interval).await;
                interval = (interval * 2).min(INTERVALS.1);
                back
            };
            if back {
                interval = INTERVALS.0;
                self.order.outage();
                self.wake_homeserver().await;
            }
        }
    }

    /// Returns after an interval, or before when there is a reason to look; whether that is that the homeserver is back.
    async fn rest(&self, interval: Duration) -> bool {
        tokio::select! {
            () = self.client.recovered() => true,
            () = self.order.wanted() => false,
            () = tokio::time::sleep(interval) => false,
        }
    }

    /// After an outage the homeserver may be waiting before it delivers again; a ping ends that.
    async fn wake_homeserver(&self) {
        match self.client.ping().await {
            Ok(took) => tracing::debug!(?took, "the homeserver reaches the bridge"),
            Err(error) => tracing::warn!(%error, "the homeserver cannot reach the bridge"),
        }
    }

    async fn brings_ephemeral(&self) -> bool {
        *self.ephemeral.get_or_init(|| self.find_way()).await
    }

    async fn find_way(&self) -> bool {
        match self.mode {
            EphemeralMode::Transactions => false,
            EphemeralMode::Sync => true,
            // What does not say that it is Synapse is asked: an event that comes twice does no harm.
            EphemeralMode::Auto => {
                let software = self.client.software().await;
                !software.is_some_and(|name| name.eq_ignore_ascii_case("synapse"))
            }
        }
    }

    /// Asks once for what happened since the last time, waiting up to `wait` for something to happen, and puts it into the inbox; how
    /// many events had not been delivered. The first time there is no "since": only open invitations are taken. Where the homeserver
    /// has forgotten the place, the timelines it begins anew with are taken as they are.
    ///
    /// # Errors
    /// Why it could not be asked or stored; nothing is lost, the next time begins at the same place.
    pub async fn repair(&self, wait: Duration) -> Result<usize, RepairError> {
        self.repair_unless(wait, std::future::pending()).await
    }

    /// The same, given up while it waits when `other` wants something else.
    async fn repair_unless(
        &self,
        wait: Duration,
        other: impl Future<Output = ()>,
    ) -> Result<usize, RepairError> {
        let known = self
            .db
            .read(|txn| Box::pin(async move { txn.value(SINCE).await }))
            .await?;
        let first = known.is_none();
        let (since, answer) = tokio::select! {
            biased;
            answer = self.ask(known, wait) => answer?,
            () = other, if !wait.is_zero() => return Ok(0),
        };
        let events = collect::events(&self.client.bot(), &answer, since.as_deref(), first).await?;
        let ephemeral = collect::ephemeral(&answer);
        let traffic = self.traffic(&answer);
        let has_traffic = traffic.is_some();
        if let Some(cipher) = self.client.cipher() {
            for event in &events {
                cipher.note_event(event, &*self.sink, self.client.bot_id().as_str());
            }
        }
        let events_new = self.store(since, &answer, events, traffic).await?;
        if let (true, Some(cipher)) = (has_traffic, self.client.cipher()) {
            cipher.traffic_waiting(false);
        }
        if !ephemeral.is_empty() {
            self.sink.ephemeral(ephemeral);
        }
        Ok(events_new)
    }

    async fn ask(
        &self,
        since: Option<String>,
        wait: Duration,
    ) -> Result<(Option<String>, sync_events::v3::Response), MatrixError> {
        let bot = self.client.bot();
        let with_ephemeral = !wait.is_zero() && self.brings_ephemeral().await;
        let filter = || filter(with_ephemeral);
        match bot.sync(since.as_deref(), wait, filter()).await {
            Ok(answer) => Ok((since, answer)),
            // A homeserver that was set up anew does not know the place any more.
            Err(error) if since.is_some() && forgot_place(&error) => {
                tracing::warn!(%error, "the homeserver does not know where the last sync ended, it begins anew");
                let answer = bot.sync(None, Duration::ZERO, filter()).await?;
                Ok((None, answer))
            }
            Err(error) => Err(error),
        }
    }

    /// What came for the bridge's device, if that is news and somebody takes it.
    fn traffic(&self, answer: &sync_events::v3::Response) -> Option<String> {
        self.client.cipher()?;
        let traffic = collect::traffic(answer);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if traffic.adds_nothing_to(counts.as_ref()) {
            return None;
        }
        *counts = Some(traffic.counts());
        serde_json::to_string(&traffic).ok()
    }

    async fn store(
        &self,
        since: Option<String>,
        answer: &sync_events::v3::Response,
        events: Vec<String>,
        device_traffic: Option<String>,
    ) -> Result<usize, RepairError> {
        let next = answer.next_batch.clone();
        if events.is_empty() && device_traffic.is_none() && since.as_ref() == Some(&next) {
            return Ok(0);
        }
        let mut hash = Sha256::new();
        for part in [since.as_deref().unwrap_or_default(), &next] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let batch = inbox::Batch {
            txn_id: "sync".to_owned(),
            hash: hash.finalize().into(),
            events: events.iter().map(|event| inbox::row(event)).collect(),
            device_traffic,
            mark: Some((SINCE, next)),
        };
        let now = Timestamp(self.clock.now_ms());
        let accepted = inbox::take(&self.db, batch, now).await?;
        if !accepted.rooms.is_empty() {
            self.sink.rooms_waiting(&accepted.rooms);
        }
        Ok(accepted.new_events)
    }
}

/// Whether a homeserver refused the token of the last sync, and not something else about the request.
fn forgot_place(error: &MatrixError) -> bool {
    let MatrixError::Refused {
        status: 400,
        errcode,
        message,
        ..
    } = error
    else {
        return false;
    };
    match errcode.as_str() {
        "M_UNKNOWN_POS" | "M_INVALID_PARAM" => true,
        // Synapse has no code of its own for an "Invalid stream token".
        "M_UNKNOWN" => {
            let message = message.to_lowercase();
            ["stream token", "sync token", "since token"]
                .iter()
                .any(|token| message.contains(token))
        }
        _ => false,
    }
}

/// Timelines alone, and receipts, typing and presence if they are wanted.
fn filter(with_ephemeral: bool) -> FilterDefinition {
    let mut filter = FilterDefinition::ignore_all();
    filter.room.rooms = None;
    filter.room.timeline = RoomEventFilter::empty();
    filter.room.timeline.limit = Some(uint!(100));
    filter.room.ephemeral = RoomEventFilter::ignore_all();
    if with_ephemeral {
        filter.room.ephemeral = RoomEventFilter::empty();
        filter.room.ephemeral.types = Some(vec!["m.receipt".to_owned(), "m.typing".to_owned()]);
        filter.presence = Filter::empty();
        filter.presence.types = Some(vec!["m.presence".to_owned()]);
    }
    filter.room.state = RoomEventFilter::ignore_all();
    filter.room.account_data = RoomEventFilter::ignore_all();
    filter
}
