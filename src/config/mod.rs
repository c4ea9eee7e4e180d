//! The configuration: one file a section, three layers (defaults, YAML, environment), every error named by its key.
//!
//! A table of keys ([`keys`]) is the single source of the defaults, of `config.example.yaml`, of what counts as a known key
//! and of what is a secret. Secrets are read last, held masked, and never shown.

mod appservice;
mod bridge;
mod check;
mod database;
mod double_puppets;
mod encryption;
mod error;
mod example;
mod gatekeepers;
mod homeserver;
mod keys;
mod layers;
mod logging;
mod media;
mod partner;
mod permissions;
mod provisioning;
mod relay;
mod sandbox;
mod secrets;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use appservice::{AppserviceConfig, PLACEHOLDER_AS_TOKEN, PLACEHOLDER_HS_TOKEN};
pub use bridge::{BridgeConfig, ChatRooms, ViewOnce};
pub use database::{DatabaseConfig, DatabaseUri};
pub use double_puppets::DoublePuppetsConfig;
pub use encryption::{DeviceTrust, EncryptionConfig, KeyDelivery};
pub use error::ConfigError;
pub use gatekeepers::{ConnectionMode, GatekeeperConfig};
pub use homeserver::{EphemeralMode, HomeserverConfig};
pub use logging::{LogFormat, LoggingConfig};
pub use media::MediaConfig;
pub use partner::PartnerConfig;
pub use permissions::{Level, Permissions};
pub use provisioning::ProvisioningConfig;
pub use relay::RelayConfig;
pub use sandbox::SandboxConfig;
pub use secrets::{SealingKey, SecretFile};

/// The whole configuration, checked; paths are resolved, secrets are read.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The homeserver.
    pub homeserver: HomeserverConfig,
    /// The bridge as an application service.
    pub appservice: AppserviceConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// The bridge itself.
    pub bridge: BridgeConfig,
    /// Acting as Matrix users.
    pub double_puppets: DoublePuppetsConfig,
    /// Encrypted rooms.
    pub encryption: EncryptionConfig,
    /// Logins that speak for others.
    pub relay: RelayConfig,
    /// The gatekeepers.
    pub gatekeepers: Vec<GatekeeperConfig>,
    /// What the gatekeepers see of the bridge.
    pub partner: PartnerConfig,
    /// The HTTP API.
    pub provisioning: ProvisioningConfig,
    /// Files on their way through the bridge.
    pub media: MediaConfig,
    /// The sandbox gatekeeper.
    pub sandbox: SandboxConfig,
    /// The log.
    pub logging: LoggingConfig,
}

impl Config {
    /// Loads the configuration from a YAML file and the environment.
    ///
    /// # Errors
    /// What is wrong, named by its key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut root = tree(path)?;
        let secret_files = secrets::files(&root);
        secrets::read(&mut root)?;
        let mut config: Self = layers::typed(root)?;
        let folder = folder(path);
        config.database.resolve(folder);
        for entry in &mut config.gatekeepers {
            entry.resolve(folder);
        }
        config.validate()?;
        config.media.keep_apart(&config.kept(path, &secret_files))?;
        Ok(config)
    }

    /// The files and folders that must not be lost, each with what it is.
    fn kept<'a>(
        &'a self,
        path: &'a Path,
        secret_files: &'a [SecretFile],
    ) -> Vec<(&'a str, &'a Path)> {
        let mut kept = vec![
            ("the configuration", path),
            ("partner.signing_key_file", &self.partner.signing_key_file),
            ("partner.media_dir", &self.partner.media_dir),
            ("sandbox.data_dir", &self.sandbox.data_dir),
        ];
        let database = self.database.file().map(|file| ("the database", file));
        let guard = self.database.guard_file.as_deref();
        kept.extend(database);
        kept.extend(guard.map(|file| ("database.guard_file", file)));
        kept.extend(secret_files.iter().map(|file| (&*file.key, &*file.path)));
        let profiles = self.gatekeepers.iter().flat_map(|entry| &entry.profiles);
        kept.extend(profiles.map(|profile| ("a gatekeeper's profile", Path::new(profile))));
        kept
    }

    /// The joined layers as YAML, secrets hidden. The values are not checked, so that it also helps with a configuration that
    /// does not load.
    ///
    /// # Errors
    /// That the file cannot be read, or an unknown or missing key.
    pub fn dump(path: &Path) -> Result<String, ConfigError> {
        let mut root = tree(path)?;
        secrets::mask(&mut root);
        serde_yaml_ng::to_string(&root).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The secrets this configuration has in files of their own, whether these exist yet or not.
    ///
    /// # Errors
    /// That the file cannot be read, or an unknown or missing key.
    pub fn secret_files(path: &Path) -> Result<Vec<SecretFile>, ConfigError> {
        Ok(secrets::files(&tree(path)?))
    }

    /// The example file: every key with its meaning.
    #[must_use]
    pub fn example() -> String {
        example::render()
    }

    /// The example's values with tokens that are never accepted; what the sample registration is made from.
    ///
    /// # Panics
    /// Never: the table of keys is complete, and a test reads it.
    #[must_use]
    pub fn sample() -> Self {
        layers::typed(keys::sample()).expect("the table's values fit its types")
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.homeserver.validate()?;
        self.appservice.validate()?;
        self.database.validate()?;
        self.bridge.validate()?;
        self.encryption.validate()?;
        self.double_puppets.validate(&self.appservice)?;
        self.relay.validate()?;
        gatekeepers::validate(&self.gatekeepers)?;
        self.partner.validate()?;
        self.provisioning.validate()?;
        self.media.validate()?;
        self.sandbox.validate()?;
        self.logging.validate()
    }
}

/// The joined layers, known keys only, paths resolved, secrets not read.
fn tree(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let mut root = layers::join(path)?;
    keys::check(&root)?;
    secrets::fill(&mut root);
    secrets::resolve_paths(&mut root, folder(path));
    Ok(root)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
