//! `database`: where the bridge keeps what it must not forget.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    ConfigError, SealingKey,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "database",
    doc: "The database. It holds the encryption state: losing it means new keys for every login.",
    content: Content::Keys(&[
        Key::secret(
            "uri",
            Unset::Default("\"sqlite:drawbridge.db\""),
            "`sqlite:<path>` or `postgres://user:password@host/name`.",
        ),
        Key::secret(
            "sealing_key",
            Unset::File("sealing_key"),
            "The key (32 bytes in base64) that seals secrets in the database. `drawbridge registration` makes it.\n\
             Keep a copy apart from the database's: without it no login can be used any more.",
        ),
        Key::path(
            "guard_file",
            Unset::Optional("drawbridge.db.guard"),
            "A small file outside the database by which the bridge notices that an old copy of the database was put back.\n\
             Beside the database if that is SQLite; has to be set for Postgres.",
        ),
    ]),
};

/// The sample's sealing key, all zero; never accepted.
pub(super) const PLACEHOLDER_SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A database address; it may carry a password, so it is not shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUri(SecretString);

impl DatabaseUri {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::ops::Deref for DatabaseUri {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseConfig {
    /// `sqlite:<path>` or `postgres://…`.
    pub uri: DatabaseUri,
    /// What secrets are sealed with.
    pub sealing_key: SealingKey,
    /// The guard against restored copies; set after loading, whatever the engine.
    pub guard_file: Option<PathBuf>,
}

impl DatabaseConfig {
    /// Takes relative paths from `folder` and gives the guard file its place beside a SQLite database.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let Some(path) = self.uri.strip_prefix("sqlite:") else {
            return;
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let (path, options) = match path.split_once('?') {
            Some((path, options)) => (path, format!("?{options}")),
            None => (path, String::new()),
        };
        if path.is_empty() || path == ":memory:" {
            return;
        }
        let path = folder.join(path);
        if self.guard_file.is_none() {
            let mut guard = path.clone().into_os_string();
            guard.push(".guard");
            self.guard_file = Some(guard.into());
        }
        self.uri = DatabaseUri(format!("sqlite:{}{options}", path.display()).into());
    }

    /// The database's file, if it is SQLite.
    pub(super) fn file(&self) -> Option<&Path> {
        let path = self.uri.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(Path::new(path.split('?').next().unwrap_or(path)))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_sqlite = self.uri.starts_with("sqlite:");
        let is_postgres =
            self.uri.starts_with("postgres://") || self.uri.starts_with("postgresql://");
        if !is_sqlite && !is_postgres {
            return Err(ConfigError::invalid(
                "database.uri",
                "has to begin with sqlite: or postgres://",
            ));
        }
        if *self.sealing_key == [0; 32] {
            return Err(ConfigError::invalid(
                "database.sealing_key",
                "is all zero: make one with `drawbridge registration`",
            ));
        }
        if is_postgres && self.guard_file.is_none() {
            return Err(ConfigError::Missing {
                key: "database.guard_file".to_owned(),
                what: "with Postgres it has to be a file on this machine, such as drawbridge.guard"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

/// A database address as it may be shown; `None` if the text is none.
pub(super) fn without_password(text: &str) -> Option<String> {
    if text.starts_with("sqlite:") {
        return Some(text.to_owned());
    }
    let mut url = Url::parse(text).ok()?;
    if !url.scheme().starts_with("postgres") {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some("hidden")).ok()?;
    }
    // libpq takes a password among the options too.
    if url.query_pairs().any(|(key, _)| key == "password") {
        url.set_query(Some("hidden"));
    }
    Some(url.into())
}
