//! What can be wrong with a configuration.

use std::path::PathBuf;

/// Why a configuration cannot be used; each names the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("the configuration {path} is not valid YAML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// A key nobody knows.
    #[error("{key} is not a key of the configuration{}", .nearest.as_ref().map(|n| format!(", did you mean {n}?")).unwrap_or_default())]
    Unknown {
        /// The key with its section.
        key: String,
        /// The nearest key there is, with its section.
        nearest: Option<String>,
    },
    /// A required key is not set.
    #[error("{key} is not set: {what}")]
    Missing {
        /// The key with its section.
        key: String,
        /// What it is.
        what: String,
    },
    /// A value cannot be used.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key with its section.
        key: String,
        /// Why, and what it has to be.
        reason: String,
    },
    /// A secret is given both ways.
    #[error("{key} and {key}_file are both set: keep one of them")]
    BothGiven {
        /// The secret's key with its section.
        key: String,
    },
    /// A secret's file cannot be read.
    #[error("{key}: the file {path} cannot be read: {source}")]
    SecretFile {
        /// The key that names the file, with its section.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Others than the owner can read a secret's file.
    #[error("{key}: the file {path} can be read by others (mode {mode:o})")]
    SecretFileMode {
        /// The key that names the file, with its section.
        key: String,
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl ConfigError {
    /// A value that cannot be used.
    pub(super) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// An unknown key, with the nearest of the known ones. `prefix` is the section with its dot.
    pub(super) fn unknown(prefix: String, name: &str, known: &[&str]) -> Self {
        let nearest = known
            .iter()
            .map(|candidate| (distance(name, candidate), candidate))
            .min()
            // A name that shares nothing with the wrong one is no help.
            .filter(|(distance, candidate)| *distance * 2 <= candidate.len().max(name.len()))
            .map(|(_, candidate)| format!("{prefix}{candidate}"));
        let mut key = prefix;
        key.push_str(name);
        Self::Unknown { key, nearest }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some(
                "make one with `drawbridge config example > config.yaml`, or name it with --config"
                    .to_owned(),
            ),
            Self::Unknown { .. } => {
                Some("`drawbridge config example` lists every key with its meaning".to_owned())
            }
            Self::Missing { key, .. } => Some(format!(
                "set it in the configuration file, or as {} in the environment",
                variable(key)
            )),
            Self::SecretFile { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("`drawbridge registration` makes the secrets that do not exist yet".to_owned())
            }
            Self::SecretFileMode { path, .. } => Some(format!("chmod 600 {}", path.display())),
            _ => None,
        }
    }
}

/// The environment variable that sets a key.
fn variable(key: &str) -> String {
    format!("DRAWBRIDGE_{}", key.replace('.', "__").to_uppercase())
}

/// How many letters have to be put in, taken out or exchanged to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
