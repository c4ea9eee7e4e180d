//! What makes one gatekeeper this one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    config::{ConnectionMode, GatekeeperConfig, MediaConfig},
    domain::GatekeeperId,
    network::interop::{context::ConnectionPolicy, partner::HostedMedia, profile::Profile},
};

/// What makes one gatekeeper this one.
pub struct GatekeeperOptions {
    /// Its entry in the configuration.
    pub id: GatekeeperId,
    /// Its name as users read it.
    pub name: String,
    /// All that is particular to it.
    pub profile: Arc<Profile>,
    /// When its logins are connected.
    pub connection: ConnectionPolicy,
    /// The user-visible identifier of a Matrix user: `{mxid}`, `{localpart}` and `{server}` are replaced.
    pub visible_id: String,
    /// The files hosted for the gatekeepers.
    pub hosted: Arc<HostedMedia>,
    /// Where received files are while they are carried; a folder in it is this gatekeeper's alone.
    pub work_dir: PathBuf,
    /// How long the gatekeeper's media server may give nothing.
    pub patience: Duration,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl GatekeeperOptions {
    /// As an entry and the section `media` of the configuration say.
    #[must_use]
    pub fn new(
        entry: &GatekeeperConfig,
        profile: Arc<Profile>,
        (hosted, media): (Arc<HostedMedia>, &MediaConfig),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            id: entry.id.clone(),
            name: entry.name.clone(),
            profile,
            connection: match entry.connection {
                ConnectionMode::Always => ConnectionPolicy::Always,
                ConnectionMode::OnDemand => ConnectionPolicy::OnDemand {
                    idle_ms: entry.idle_seconds.saturating_mul(1000),
                },
            },
            visible_id: entry.visible_id.clone(),
            hosted,
            work_dir: media.work_dir.clone(),
            patience: Duration::from_secs(media.patience_seconds),
            clock,
        }
    }
}
