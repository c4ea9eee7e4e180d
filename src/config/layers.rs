//! The layers of a configuration: the table's defaults, the YAML file, the environment; the later one wins.

use std::path::Path;

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Env, Serialized},
    value::{Dict, Map},
};
use serde_json::Value;

use super::{
    ConfigError,
    keys::{self, SECTIONS},
};

/// A YAML text as a layer.
struct Yaml(serde_yaml_ng::Value);

impl Provider for Yaml {
    fn metadata(&self) -> Metadata {
        Metadata::named("the configuration file")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        // An empty file is an empty map.
        if self.0.is_null() {
            return Ok(Map::from([(Profile::Default, Dict::new())]));
        }
        Serialized::defaults(&self.0).data()
    }
}

/// Joins the layers; secrets are not read yet, nothing is checked but the syntax.
pub(super) fn join(path: &Path) -> Result<serde_json::Map<String, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let yaml = serde_yaml_ng::from_str(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut root: serde_json::Map<String, Value> = Figment::new()
        .merge(Serialized::defaults(keys::defaults()))
        .merge(Yaml(yaml))
        .merge(environment())
        .extract()
        .map_err(|error| refused(&error))?;
    keys::fill_entries(&mut root);
    Ok(root)
}

/// `DRAWBRIDGE_SECTION__KEY`; a variable without the two underscores is somebody else's, unless it is a whole section.
fn environment() -> Env {
    Env::prefixed("DRAWBRIDGE_")
        .filter(|name| {
            name.as_str().contains("__") || SECTIONS.iter().any(|section| *name == section.name)
        })
        .split("__")
}

/// Reads a checked tree into its types.
pub(super) fn typed<T: serde::de::DeserializeOwned>(
    root: serde_json::Map<String, Value>,
) -> Result<T, ConfigError> {
    Figment::from(Serialized::defaults(root))
        .extract()
        .map_err(|error| refused(&error))
}

fn refused(error: &figment::Error) -> ConfigError {
    ConfigError::invalid(error.path.join("."), error.kind.to_string())
}
