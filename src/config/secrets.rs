//! Secrets: given as `x` or in a file as `x_file`, never shown.

use std::{
    fmt,
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    ConfigError,
    keys::{Content, Key, Kind, SECTIONS, Unset, yaml},
};

/// What stands for a secret where a configuration is shown.
const MASK: &str = "(hidden)";

/// A secret that is to be in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// The secret's key with its section, such as `appservice.as_token`.
    pub key: String,
    /// Where it is, or is to be.
    pub path: PathBuf,
}

/// The key the database's secrets are sealed with, 32 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Deref for SealingKey {
    type Target = [u8; 32];
    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl<'de> Deserialize<'de> for SealingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = Zeroizing::new(STANDARD.decode(text.as_bytes()).unwrap_or_default());
        let key = bytes.as_slice().try_into().map_err(|_| {
            D::Error::custom("must be 32 bytes in base64, as `openssl rand -base64 32` makes them")
        })?;
        Ok(Self(key))
    }
}

fn secret_keys() -> impl Iterator<Item = (&'static str, &'static Key)> {
    SECTIONS.iter().flat_map(|section| {
        let keys = match section.content {
            Content::Keys(keys) => keys,
            Content::List(..) => &[],
        };
        keys.iter()
            .filter(|key| key.kind == Kind::Secret)
            .map(|key| (section.name, key))
    })
}

fn section<'a>(root: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    root.get_mut(name)?.as_object_mut()
}

/// Turns every relative path into one from `folder`.
pub(super) fn resolve_paths(root: &mut Map<String, Value>, folder: &Path) {
    for of in SECTIONS {
        let Content::Keys(keys) = of.content else {
            continue;
        };
        let Some(map) = section(root, of.name) else {
            continue;
        };
        for key in keys {
            let name = match key.kind {
                Kind::Path => key.name.to_owned(),
                Kind::Secret => key.file_key(),
                Kind::Plain => continue,
            };
            if let Some(Value::String(path)) = map.get_mut(&name) {
                *path = folder.join(&*path).to_string_lossy().into_owned();
            }
        }
    }
}

/// Gives every secret that is set neither way its default: a file, or a value.
pub(super) fn fill(root: &mut Map<String, Value>) {
    for (of, key) in secret_keys() {
        let Some(map) = section(root, of) else {
            continue;
        };
        let file_key = key.file_key();
        if map.contains_key(key.name) || map.contains_key(&file_key) {
            continue;
        }
        match key.unset {
            Unset::File(file) => map.insert(file_key, Value::from(file)),
            Unset::Default(text) => map.insert(key.name.to_owned(), yaml(text)),
            Unset::Required(_) | Unset::Optional(_) => None,
        };
    }
}

/// The secrets that are to be in files, whether these exist or not. The paths have to be resolved.
pub(super) fn files(root: &Map<String, Value>) -> Vec<SecretFile> {
    secret_keys()
        .filter_map(|(of, key)| {
            let path = root.get(of)?.get(key.file_key())?.as_str()?;
            Some(SecretFile {
                key: format!("{of}.{}", key.name),
                path: path.into(),
            })
        })
        .collect()
}

/// Puts the content of every secret's file in the place of its name.
pub(super) fn read(root: &mut Map<String, Value>) -> Result<(), ConfigError> {
    for (of, key) in secret_keys() {
        let Some(map) = section(root, of) else {
            continue;
        };
        let name = format!("{of}.{}", key.name);
        let value = match (map.remove(key.name), map.remove(&key.file_key())) {
            (Some(_), Some(_)) => return Err(ConfigError::BothGiven { key: name }),
            // A token of digits alone is a number to YAML and to the environment.
            (Some(Value::Number(number)), None) => Value::from(number.to_string()),
            (Some(value), None) => value,
            (None, Some(Value::String(path))) => {
                Value::from(read_file(&format!("{name}_file"), Path::new(&path))?)
            }
            (None, Some(_)) => {
                return Err(ConfigError::invalid(
                    format!("{name}_file"),
                    "must be a path",
                ));
            }
            (None, None) => continue,
        };
        map.insert(key.name.to_owned(), value);
    }
    Ok(())
}

fn read_file(key: &str, path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::SecretFile {
        key: key.to_owned(),
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path)
        .map_err(failed)?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(ConfigError::SecretFileMode {
            key: key.to_owned(),
            path: path.to_owned(),
            mode,
        });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    Ok(text.trim().to_owned())
}

/// Hides every secret's value; names of files stay.
pub(super) fn mask(root: &mut Map<String, Value>) {
    for (of, key) in secret_keys() {
        if let Some(value) = section(root, of).and_then(|map| map.get_mut(key.name)) {
            let shown = match value {
                Value::String(text) => super::database::without_password(text),
                _ => None,
            };
            *value = Value::from(shown.unwrap_or_else(|| MASK.to_owned()));
        }
    }
}
