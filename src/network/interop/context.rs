//! What every part of one gatekeeper shares.

use std::{sync::Arc, time::Duration};

use super::{
    inbound,
    media::MediaPlaces,
    outbound::{GroupRules, Keyless},
    partner::SigningKey,
    profile::Profile,
    session::SessionOptions,
    wire::Jid,
};
use crate::{
    clock::Clock,
    domain::{GatekeeperId, Timestamp},
    network::NetworkSink,
    store::Database,
};

/// When a login is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPolicy {
    /// All the time.
    Always,
    /// For outgoing work and when the gatekeeper pushes.
    OnDemand {
        /// How long nothing may happen before the connection is closed, in milliseconds.
        idle_ms: u64,
    },
}

/// What every part of one gatekeeper shares.
pub(super) struct Context {
    pub(super) gatekeeper: GatekeeperId,
    pub(super) profile: Arc<Profile>,
    pub(super) policy: ConnectionPolicy,
    pub(super) db: Database,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sink: Arc<dyn NetworkSink>,
    pub(super) signing: Arc<SigningKey>,
    pub(super) http: reqwest::Client,
    pub(super) media: MediaPlaces,
    /// The members of groups that have no keys.
    pub(super) keyless: Keyless,
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// The server that requests are addressed to.
    pub(super) fn server(&self) -> Jid {
        Jid::server(self.profile.user_server.clone())
    }

    /// How long an on-demand connection waits for more to do; `None` if it stays.
    pub(super) fn idle(&self) -> Option<Duration> {
        match self.policy {
            ConnectionPolicy::Always => None,
            ConnectionPolicy::OnDemand { idle_ms } => Some(Duration::from_millis(idle_ms)),
        }
    }

    /// With fewer one-time prekeys than this at the gatekeeper, new ones are made.
    pub(super) fn prekeys_low(&self) -> u64 {
        self.profile.limits.prekeys_low
    }

    /// How groups are written to.
    pub(super) fn group_rules(&self) -> GroupRules<'_> {
        GroupRules {
            most: self.profile.features.group_members,
            keyless: &self.keyless,
        }
    }

    /// The types of notifications that are taken in; the rest is acknowledged and forgotten.
    fn notifications(&self) -> Vec<String> {
        let stanzas = &self.profile.stanzas;
        let mut kinds = vec![stanzas.notice.kind.clone(), inbound::MEDIA_RETRY.to_owned()];
        kinds.extend(stanzas.people.notices().into_iter().cloned());
        if self.profile.features.group_members > 0 {
            kinds.push(stanzas.groups.notification.clone());
        }
        kinds
    }

    pub(super) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            server: self.server(),
            unenlisted: self.profile.stanzas.unenlisted_reasons.clone(),
            ping_interval: i64::from(self.profile.timing.ping_seconds) * 1000,
            prekeys_low: self.prekeys_low(),
            notifications: self.notifications(),
            calls: self.profile.stanzas.call.clone(),
            ..SessionOptions::default()
        }
    }
}
