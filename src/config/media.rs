//! `media`: files on their way through the bridge.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{
    ConfigError,
    keys::{Content, Key, Section, Unset},
};

pub(super) const SECTION: Section = Section {
    name: "media",
    doc: "Files on their way through the bridge.",
    content: Content::Keys(&[
        Key::path(
            "work_dir",
            Unset::Default("media_work"),
            "Where files are kept, as ciphertext, while they are on their way. A folder of its own: the bridge empties it when it\n\
             starts.",
        ),
        Key::new(
            "max_bytes",
            Unset::Default("104857600"),
            "The largest file that is carried, in either direction. What the gatekeeper takes is in its profile.",
        ),
        Key::new(
            "patience_seconds",
            Unset::Default("120"),
            "How long a transfer may stand still before it is given up, to be tried again.",
        ),
    ]),
};

/// The section's values.
#[derive(Debug, Clone, Deserialize)]
pub struct MediaConfig {
    /// The folder of files on their way, emptied at the start.
    pub work_dir: PathBuf,
    /// The largest file that is carried, in bytes.
    pub max_bytes: u64,
    /// After how many seconds without a byte a transfer is given up.
    pub patience_seconds: u64,
}

impl MediaConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("media.max_bytes", self.max_bytes),
            ("media.patience_seconds", self.patience_seconds),
        ] {
            if value == 0 {
                return Err(ConfigError::invalid(key, "has to be more than 0"));
            }
        }
        Ok(())
    }

    /// Refuses a folder to be emptied that holds something which must not be lost.
    pub(super) fn keep_apart(&self, kept: &[(&str, &Path)]) -> Result<(), ConfigError> {
        let emptied = plain(&self.work_dir);
        match kept
            .iter()
            .find(|(_, path)| plain(path).starts_with(&emptied))
        {
            None => Ok(()),
            Some((what, path)) => Err(ConfigError::invalid(
                "media.work_dir",
                format!(
                    "{} is emptied at the start, but {what} is in it ({}): give it a folder of its own",
                    self.work_dir.display(),
                    path.display()
                ),
            )),
        }
    }
}

/// A path from the root, without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
