//! The registration: the file that introduces the bridge to its homeserver.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::api::appservice::{Namespace, Namespaces, Registration, RegistrationInit};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::Config;

/// The registration with the extensions ruma's type lacks.
#[derive(Serialize)]
struct Extended {
    #[serde(flatten)]
    registration: Registration,
    /// The name of `receive_ephemeral` before it was stable; harmless beside it.
    #[serde(rename = "de.sorunome.msc2409.push_ephemeral")]
    push_ephemeral: bool,
    /// Requests may name the device they are made with.
    #[serde(rename = "org.matrix.msc3202")]
    device_masquerading: bool,
    /// Devices are made by name, without a login.
    #[serde(rename = "io.element.msc4190")]
    device_management: bool,
}

/// The registration of this configuration as YAML, tokens included.
///
/// # Panics
/// Never: a registration is texts, lists and booleans, and all of these are YAML.
#[must_use]
pub fn to_yaml(config: &Config) -> String {
    let (appservice, server) = (&config.appservice, &config.homeserver.domain);
    let user = |localpart: &str| Namespace::new(true, format!("^@{localpart}:{}$", quoted(server)));
    let mut namespaces = Namespaces::new();
    namespaces.users = vec![
        user(&quoted(&appservice.bot_localpart)),
        user(&format!("{}.+", quoted(&appservice.ghost_prefix))),
    ];
    let aliases = format!(
        "^#{}.+:{}$",
        quoted(&appservice.alias_prefix),
        quoted(server)
    );
    namespaces.aliases = vec![Namespace::new(true, aliases)];
    let mut registration = Registration::from(RegistrationInit {
        id: appservice.id.clone(),
        url: Some(appservice.address.as_str().trim_end_matches('/').to_owned()),
        as_token: appservice.as_token.expose_secret().to_owned(),
        hs_token: appservice.hs_token.expose_secret().to_owned(),
        sender_localpart: appservice.sender_localpart.clone(),
        namespaces,
        rate_limited: Some(false),
        protocols: Some(
            config
                .gatekeepers
                .iter()
                .map(|gatekeeper| gatekeeper.id.to_string())
                .collect(),
        ),
    });
    registration.receive_ephemeral = true;
    let extended = Extended {
        registration,
        push_ephemeral: true,
        device_masquerading: true,
        device_management: true,
    };
    serde_yaml_ng::to_string(&extended).expect("texts, lists and booleans are YAML")
}

/// The second registration, by which the bridge may act as everybody of its homeserver; `None` if the configuration has no token
/// for it. Nothing is ever delivered to it.
///
/// # Panics
/// Never, as [`to_yaml`].
#[must_use]
pub fn double_puppet_yaml(config: &Config) -> Option<String> {
    let token = config.double_puppets.as_token.as_ref()?;
    let (appservice, server) = (&config.appservice, &config.homeserver.domain);
    let mut namespaces = Namespaces::new();
    // Not exclusive: these are people, who log in by themselves.
    namespaces.users = vec![Namespace::new(false, format!("^@.+:{}$", quoted(server)))];
    let unused = token.expose_secret().as_bytes();
    let registration = Registration::from(RegistrationInit {
        id: format!("{}-double-puppet", appservice.id),
        url: None,
        as_token: token.expose_secret().to_owned(),
        // Nobody delivers anything without an address, so nobody ever shows this.
        hs_token: URL_SAFE_NO_PAD.encode(Sha256::digest(unused)),
        sender_localpart: format!("{}-double-puppet", appservice.sender_localpart),
        namespaces,
        rate_limited: Some(false),
        protocols: None,
    });
    Some(serde_yaml_ng::to_string(&registration).expect("texts, lists and booleans are YAML"))
}

/// A text as a regular expression that matches it alone.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() && c != '_' && c != '-' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quoting_leaves_no_special_character() {
        assert_eq!(quoted("a.b-c_d+e"), r"a\.b-c_d\+e");
    }
}
