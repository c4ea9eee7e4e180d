//! The machine itself: stanzas and time in, stanzas and events out.

mod incoming;

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    CallShape, Close, Event, Queued, RequestError, RequestId, Transmit, acknowledgement,
    calls::Calls,
    heartbeat::{Beat, Heartbeat},
    iq,
    requests::{Asker, Requests},
    window::Window,
};
use crate::{
    domain::Timestamp,
    network::interop::wire::{Jid, Node},
};

/// How a session behaves; all times in milliseconds.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The gatekeeper's server, which requests are addressed to.
    pub server: Jid,
    /// Codes of `<failure>` that mean the login is not enlisted any more.
    pub unenlisted: Vec<u16>,
    /// How long the answer to the login may take.
    pub login_timeout: i64,
    /// The mean distance of pings.
    pub ping_interval: i64,
    /// How long nothing may be heard after a ping.
    pub ping_timeout: i64,
    /// How long an answer to a request may take.
    pub request_timeout: i64,
    /// How long the acknowledgement of a stanza of the outbox may take.
    pub ack_timeout: i64,
    /// How many stanzas of the outbox may be unacknowledged.
    pub window: usize,
    /// With fewer one-time prekeys than this at the gatekeeper, [`Event::PrekeysLow`] is told.
    pub prekeys_low: u64,
    /// The types of `<notification>` that are told as [`Event::Notification`].
    pub notifications: Vec<String>,
    /// How calls are told.
    pub calls: CallShape,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            server: Jid::server("s.whatsapp.net"),
            unenlisted: Vec::new(),
            login_timeout: 20_000,
            ping_interval: 25_000,
            ping_timeout: 20_000,
            request_timeout: 30_000,
            ack_timeout: 60_000,
            window: 256,
            prekeys_low: 5,
            notifications: Vec::new(),
            calls: CallShape::default(),
        }
    }
}

#[derive(Debug)]
enum Phase {
    LoggingIn { deadline: Timestamp },
    Open,
    Closed,
}

/// One session on the chat channel, from the login to the end.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    phase: Phase,
    rng: StdRng,
    /// Begins the ids of this session's requests, so that an answer meant for an earlier session matches nothing.
    prefix: String,
    next_id: u64,
    requests: Requests,
    window: Window,
    heartbeat: Heartbeat,
    calls: Calls,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session that has just sent its login payload and waits for the answer. `seed` decides request ids and ping times.
    #[must_use]
    pub fn new(options: SessionOptions, seed: u64, now: Timestamp) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            phase: Phase::LoggingIn {
                deadline: now.plus_millis(options.login_timeout),
            },
            prefix: format!("{:08x}", rng.random::<u32>()),
            next_id: 1,
            requests: Requests::default(),
            window: Window::new(options.window),
            heartbeat: Heartbeat::new(options.ping_interval, options.ping_timeout, &mut rng, now),
            calls: Calls::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            rng,
            options,
        }
    }

    /// Whether the login was taken and the session is not over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether nothing sent waits for an answer or an acknowledgement.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.window.is_empty() && self.requests.is_quiet()
    }

    /// How many stanzas of the outbox can be sent now; 0 while not logged in.
    #[must_use]
    pub fn window_left(&self) -> usize {
        if self.is_open() {
            self.window.left()
        } else {
            0
        }
    }

    /// Sends a stanza of the outbox; `false`, and nothing is done, if [`window_left`](Self::window_left) is 0.
    pub fn send(&mut self, queued: Queued, now: Timestamp) -> bool {
        if self.window_left() == 0 {
            return false;
        }
        let deadline = now.plus_millis(self.options.ack_timeout);
        let payload = self.window.push(queued, deadline);
        self.transmits.push_back(Transmit::Encoded(payload));
        true
    }

    /// Whether a stanza of the outbox was sent and is not acknowledged.
    #[must_use]
    pub fn is_in_flight(&self, queued: &Queued) -> bool {
        self.window.holds(queued)
    }

    /// Sends a stanza that expects no answer: an acknowledgement or a receipt. Nothing is sent when the session is over.
    pub fn answer(&mut self, node: Node) {
        if self.is_open() {
            self.transmits.push_back(Transmit::Node(node));
        }
    }

    /// Sends a request; its outcome comes as [`Event::Answered`], at once if it cannot be sent. The `<iq>` gets its id here.
    pub fn request(&mut self, iq: Node, now: Timestamp) -> RequestId {
        let request = RequestId(self.next_id);
        let refusal = if !self.is_open() {
            Some(RequestError::Closed)
        } else if self.requests.is_full() {
            Some(RequestError::Busy)
        } else {
            None
        };
        if let Some(error) = refusal {
            self.next_id += 1;
            self.events.push_back(Event::Answered {
                request,
                outcome: Err(error),
            });
        } else {
            let deadline = now.plus_millis(self.options.request_timeout);
            self.put_request(iq, Asker::Owner(request), deadline);
        }
        request
    }

    fn put_request(&mut self, iq: Node, asker: Asker, deadline: Timestamp) {
        let number = self.next_id;
        self.next_id += 1;
        self.requests.insert(number, asker, deadline);
        let node = iq.with("id", format!("{}-{number}", self.prefix));
        self.transmits.push_back(Transmit::Node(node));
    }

    /// Takes a stanza that came.
    pub fn handle_node(&mut self, node: Node, now: Timestamp) {
        self.heartbeat.heard(now);
        match (&self.phase, node.tag.as_ref()) {
            (Phase::Closed, _) => {}
            (_, "stream:error") => self.close(Close::from_stream_error(&node)),
            (_, "xmlstreamend") => self.close(Close::Lost),
            (Phase::LoggingIn { .. }, "success") => self.log_in(now),
            (Phase::LoggingIn { .. }, "failure") => {
                self.close(Close::from_failure(&node, &self.options.unenlisted));
            }
            (Phase::LoggingIn { .. }, tag) => tracing::debug!(tag, "a stanza before the login"),
            (Phase::Open, _) => self.handle_open(node, now),
        }
    }

    fn log_in(&mut self, now: Timestamp) {
        self.phase = Phase::Open;
        let options = &self.options;
        self.heartbeat = Heartbeat::new(
            options.ping_interval,
            options.ping_timeout,
            &mut self.rng,
            now,
        );
        self.events.push_back(Event::LoggedIn);
    }

    fn acknowledge(&mut self, node: &Node) {
        if let Some(ack) = acknowledgement(node) {
            self.transmits.push_back(Transmit::Node(ack));
        }
    }

    /// Takes the time; to be called when [`poll_timeout`](Self::poll_timeout) is reached, harmless at any other.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match self.phase {
            Phase::Closed => {}
            Phase::LoggingIn { deadline } => {
                if deadline <= now {
                    self.close(Close::LoginTimeout);
                }
            }
            Phase::Open => self.handle_open_timeout(now),
        }
    }

    fn handle_open_timeout(&mut self, now: Timestamp) {
        for asker in self.requests.expire(now) {
            if let Asker::Owner(request) = asker {
                self.events.push_back(Event::Answered {
                    request,
                    outcome: Err(RequestError::Timeout),
                });
            }
        }
        // An acknowledgement that does not come means that the gatekeeper lost the stanza, which only sending it again on a
        // new connection can mend.
        if self.window.expire(now) {
            self.close(Close::Dead);
            return;
        }
        match self.heartbeat.poll(&mut self.rng, now) {
            Beat::Nothing => {}
            Beat::Dead => self.close(Close::Dead),
            Beat::Ping => {
                let ping = iq::ping(&self.options.server);
                let deadline = now.plus_millis(self.options.request_timeout);
                self.put_request(ping, Asker::Ping, deadline);
            }
        }
    }

    /// Takes that the connection broke or was closed by the peer.
    pub fn handle_lost(&mut self) {
        self.close(Close::Lost);
    }

    fn close(&mut self, why: Close) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.phase = Phase::Closed;
        self.window.clear();
        self.transmits.clear();
        for asker in self.requests.drain() {
            if let Asker::Owner(request) = asker {
                self.events.push_back(Event::Answered {
                    request,
                    outcome: Err(RequestError::Closed),
                });
            }
        }
        self.events.push_back(Event::Closed(why));
    }

    /// The next stanza to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` when the session is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Closed => None,
            Phase::LoggingIn { deadline } => Some(deadline),
            Phase::Open => [self.requests.timeout(), self.window.timeout()]
                .into_iter()
                .flatten()
                .chain([self.heartbeat.timeout()])
                .min(),
        }
    }
}
