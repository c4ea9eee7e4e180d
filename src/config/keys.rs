//! The table of every key: what it means, what it is if nothing is said, and which keys are secrets or paths.
//!
//! The default layer, the example file, the check for unknown keys and the masking of secrets all read this one table.

use serde_json::{Map, Value};

use super::{
    ConfigError, appservice, bridge, database, double_puppets, encryption, gatekeepers, homeserver,
    logging, media, partner, provisioning, relay, sandbox,
};

/// What stands for a key nobody has set. The texts are YAML.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unset {
    /// This value.
    Default(&'static str),
    /// Nothing: the key has to be set. The text is the example's.
    Required(&'static str),
    /// Nothing, and that is a value too. The text is the example's, commented out.
    Optional(&'static str),
    /// The content of this file (for a secret).
    File(&'static str),
}

/// How a key is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// A path, taken from the configuration file's folder.
    Path,
    /// A secret, which may be in a file named by the key with `_file` behind it.
    Secret,
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) unset: Unset,
    pub(super) kind: Kind,
}

impl Key {
    pub(super) const fn new(name: &'static str, unset: Unset, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            unset,
            kind: Kind::Plain,
        }
    }

    pub(super) const fn path(name: &'static str, unset: Unset, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            unset,
            kind: Kind::Path,
        }
    }

    pub(super) const fn secret(name: &'static str, unset: Unset, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            unset,
            kind: Kind::Secret,
        }
    }

    /// The name of the key that names a secret's file.
    pub(super) fn file_key(&self) -> String {
        format!("{}_file", self.name)
    }
}

/// What is in a section.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// Keys.
    Keys(&'static [Key]),
    /// A list of entries with these keys; the second part is what the list is if nobody sets it.
    List(
        &'static [Key],
        &'static [&'static [(&'static str, &'static str)]],
    ),
}

/// A top-level key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) content: Content,
}

/// Every section, in the order of the example.
pub(super) const SECTIONS: &[Section] = &[
    homeserver::SECTION,
    appservice::SECTION,
    database::SECTION,
    bridge::SECTION,
    encryption::SECTION,
    double_puppets::SECTION,
    relay::SECTION,
    gatekeepers::SECTION,
    partner::SECTION,
    provisioning::SECTION,
    media::SECTION,
    sandbox::SECTION,
    logging::SECTION,
];

/// The value a YAML text of the table stands for.
pub(super) fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).expect("the values of the table are YAML, a test reads them all")
}

/// The layer below everything else.
pub(super) fn defaults() -> Map<String, Value> {
    let mut root = Map::new();
    for section in SECTIONS {
        let value = match section.content {
            // A secret's default gives way to its file, so it is filled in after the layers are joined.
            Content::Keys(keys) => Value::Object(
                keys.iter()
                    .filter(|key| key.kind != Kind::Secret)
                    .filter_map(default_of)
                    .collect(),
            ),
            Content::List(_, entries) => entries
                .iter()
                .map(|entry| {
                    entry
                        .iter()
                        .map(|(name, text)| ((*name).to_owned(), yaml(text)))
                        .collect::<Map<_, _>>()
                        .into()
                })
                .collect::<Vec<Value>>()
                .into(),
        };
        root.insert(section.name.to_owned(), value);
    }
    root
}

fn default_of(key: &Key) -> Option<(String, Value)> {
    match key.unset {
        Unset::Default(text) => Some((key.name.to_owned(), yaml(text))),
        _ => None,
    }
}

/// Every key that stands in the example with a value, and placeholders for the secrets that would be in files.
pub(super) fn sample() -> Map<String, Value> {
    let mut root = defaults();
    for section in SECTIONS {
        let (Content::Keys(keys), Some(Value::Object(map))) =
            (section.content, root.get_mut(section.name))
        else {
            continue;
        };
        for key in keys {
            let value = match (key.unset, key.name) {
                (Unset::Default(text) | Unset::Required(text), _) => yaml(text),
                (Unset::File(_), "as_token") => appservice::PLACEHOLDER_AS_TOKEN.into(),
                (Unset::File(_), "hs_token") => appservice::PLACEHOLDER_HS_TOKEN.into(),
                (Unset::File(_), _) => database::PLACEHOLDER_SEALING_KEY.into(),
                (Unset::Optional(_), _) => continue,
            };
            map.insert(key.name.to_owned(), value);
        }
    }
    fill_entries(&mut root);
    root
}

/// Fills in what the entries of lists leave out.
pub(super) fn fill_entries(root: &mut Map<String, Value>) {
    for section in SECTIONS {
        let Content::List(keys, _) = section.content else {
            continue;
        };
        let entries = root.get_mut(section.name).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            let Some(entry) = entry.as_object_mut() else {
                continue;
            };
            for (name, value) in keys.iter().filter_map(default_of) {
                entry.entry(name).or_insert(value);
            }
        }
    }
}

/// Refuses unknown keys and the lack of required ones.
pub(super) fn check(root: &Map<String, Value>) -> Result<(), ConfigError> {
    let sections: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    for name in root.keys() {
        if !sections.contains(&name.as_str()) {
            return Err(ConfigError::unknown(String::new(), name, &sections));
        }
    }
    for section in SECTIONS {
        let value = root.get(section.name);
        match (section.content, value) {
            (Content::Keys(keys), Some(Value::Object(map))) => {
                check_keys(section.name, keys, map)?;
            }
            (Content::List(keys, _), Some(Value::Array(entries))) => {
                for (index, entry) in entries.iter().enumerate() {
                    let prefix = format!("{}[{index}]", section.name);
                    match entry {
                        Value::Object(map) => check_keys(&prefix, keys, map)?,
                        _ => return Err(ConfigError::invalid(prefix, "must be a map of keys")),
                    }
                }
            }
            (Content::Keys(_), _) => {
                return Err(ConfigError::invalid(section.name, "must be a map of keys"));
            }
            (Content::List(..), _) => {
                return Err(ConfigError::invalid(section.name, "must be a list"));
            }
        }
    }
    Ok(())
}

fn check_keys(prefix: &str, keys: &[Key], map: &Map<String, Value>) -> Result<(), ConfigError> {
    let files: Vec<String> = keys
        .iter()
        .filter(|key| key.kind == Kind::Secret)
        .map(Key::file_key)
        .collect();
    let known: Vec<&str> = keys
        .iter()
        .map(|key| key.name)
        .chain(files.iter().map(String::as_str))
        .collect();
    for name in map.keys() {
        if !known.contains(&name.as_str()) {
            return Err(ConfigError::unknown(format!("{prefix}."), name, &known));
        }
    }
    for key in keys {
        if matches!(key.unset, Unset::Required(_)) && map.get(key.name).is_none_or(Value::is_null) {
            let what = key.doc.lines().next().unwrap_or_default();
            return Err(ConfigError::Missing {
                key: format!("{prefix}.{}", key.name),
                what: what.to_owned(),
            });
        }
    }
    Ok(())
}
