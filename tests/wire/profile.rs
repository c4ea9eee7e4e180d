//! Profiles: the built-in ones, what a layer may not have, and what is missing before going live.

use drawbridge::{
    domain::{Capabilities, MediaKind},
    network::interop::{
        profile::{ChatTransport, MissingKeys, Profile, ProfileError},
        session::{CallShape, PeopleShape},
        wire::payload::Product,
    },
};
use serde_json::json;

fn layers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn load(names: &[&str], extra: Option<&serde_json::Value>) -> Result<Profile, ProfileError> {
    Profile::load(&layers(names), extra)
}

fn missing(error: ProfileError) -> Vec<&'static str> {
    match error {
        ProfileError::Missing(MissingKeys(keys)) => keys,
        other => panic!("{other}"),
    }
}

#[test]
fn whatsapp_lacks_only_what_is_the_operators() {
    assert_eq!(
        missing(load(&["whatsapp"], None).unwrap_err()),
        ["integrator_id"]
    );
    let profile = load(&["whatsapp"], Some(&json!({"integrator_id": 7}))).unwrap();
    profile.check_live().unwrap();
    assert!(profile.live);
    assert_eq!(profile.product, Product::Interop);
    assert_eq!(profile.user_server, "s.whatsapp.net");
    assert_eq!(
        profile.enlist_url.as_str(),
        "https://v.whatsapp.net/3p/interop_reg"
    );
    assert_eq!(
        profile.jwks_url.as_str(),
        "https://whatsapp.com/.well-known/jwks"
    );
    assert_eq!(profile.media_url.as_str(), "https://mmg.whatsapp.net/");
    assert_eq!(profile.media_path_prefix, "/interop/whatsapp/download/7/");
    assert_eq!(profile.root_key[..4], [0x14, 0x23, 0x75, 0x57]);
    assert_eq!(profile.limits.prekeys_first, 812);
}

#[test]
fn messenger_names_everything_that_is_not_public() {
    assert_eq!(
        missing(load(&["messenger"], None).unwrap_err()),
        [
            "integrator_id",
            "enlist_url",
            "jwks_url",
            "media_url",
            "chat.address",
            "root_key"
        ]
    );
}

#[test]
fn the_sandbox_layer_makes_either_loadable_and_not_live() {
    for (name, product, server) in [
        ("whatsapp", Product::Interop, "s.whatsapp.net"),
        ("messenger", Product::InteropMessenger, "msgr"),
    ] {
        let profile = load(&[name, "sandbox"], None).unwrap();
        assert!(!profile.live);
        profile.check_live().unwrap();
        assert_eq!(profile.product, product);
        assert_eq!(profile.user_server, server);
        assert_eq!(profile.chat.transport, ChatTransport::Tcp);
    }
}

#[test]
fn a_file_wins_over_what_is_below_it_key_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.yaml");
    std::fs::write(
        &path,
        "integrator_id: 12\nchat:\n  address: wss://chat.example.org/\ntoken:\n  claims: { sub: null, user: \"u:{visible_id}\" }\n",
    )
    .unwrap();
    let profile = load(&["whatsapp", path.to_str().unwrap()], None).unwrap();
    assert_eq!(profile.integrator_id, 12);
    assert_eq!(profile.chat.address, "wss://chat.example.org/");
    assert_eq!(profile.chat.transport, ChatTransport::WebSocket);
    assert_eq!(
        json!(profile.token.claims),
        json!({"user": "u:{visible_id}"})
    );
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for (extra, name) in [
        (json!({"chat": {"adress": "x"}}), "chat.adress"),
        (json!({"intergrator_id": 1}), "intergrator_id"),
        (json!({"features": {"calls": true}}), "features.calls"),
        (
            json!({"features": {"media": {"image": {"largest": 1}}}}),
            "features.media.image.largest",
        ),
        (
            json!({"features": {"media": {"hologram": {}}}}),
            "features.media.hologram",
        ),
        (
            json!({"stanzas": {"deletion": {"tag": "x"}}}),
            "stanzas.deletion.tag",
        ),
        (
            json!({"stanzas": {"people": {"picture": "x"}}}),
            "stanzas.people.picture",
        ),
    ] {
        match load(&["whatsapp", "sandbox"], Some(&extra)) {
            Err(ProfileError::UnknownKey { key, .. }) => assert_eq!(key, name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn wrong_values_are_refused() {
    for extra in [
        json!({"root_key": "00"}),
        json!({"root_key": "zz".repeat(32)}),
        json!({"root_key": "00".repeat(32)}),
        json!({"integrator_id": 0}),
        json!({"integrator_id": 1000}),
        json!({"enlist_url": "not a url"}),
        json!({"chat": {"transport": "pigeon"}}),
        json!({"product": "sms"}),
        json!({"token": {"claims": {"sub": "nobody"}}}),
        json!({"token": {"claims": {"exp": 5}}}),
        json!({"user_agent": {"platform": "TOASTER"}}),
        json!({"timing": {"ping_seconds": 0}}),
        json!({"limits": {"hosted_media_days": 0}}),
        json!({"features": {"max_text_chars": 0}}),
        json!({"picture_hosts": ["https://pps.example.net"]}),
        json!({"picture_hosts": ["pps.example.net/x"]}),
        json!({"picture_hosts": ["me@pps.example.net"]}),
        json!({"picture_hosts": [""]}),
        json!({"features": {"media": {"image": {"max_bytes": -1}}}}),
        json!({"features": {"timers": "often"}}),
        json!({"stanzas": {"media_retry": {"to": "mum"}}}),
    ] {
        let error = load(&["whatsapp", "sandbox"], Some(&extra)).unwrap_err();
        assert!(
            matches!(error, ProfileError::Invalid { .. }),
            "{extra}: {error}"
        );
    }
}

#[test]
fn a_live_profile_needs_encrypted_addresses() {
    let extra = json!({
        "integrator_id": 1,
        "enlist_url": "http://v.whatsapp.net/3p/interop_reg",
        "chat": {"address": "ws://web.whatsapp.com/ws/chat"},
    });
    match load(&["whatsapp"], Some(&extra)).unwrap().check_live() {
        Err(ProfileError::Insecure(keys)) => assert_eq!(keys, ["enlist_url", "chat.address"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_absent_file_is_named() {
    let error = load(&["/nowhere/mine.yaml"], None).unwrap_err();
    assert!(error.to_string().contains("/nowhere/mine.yaml"));
}

/// Every key of a value, with those above it.
fn keys(value: &serde_json::Value, above: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{above}.{key}");
        keys(value, &path, found);
        found.push(path);
    }
}

#[test]
fn both_gatekeepers_say_of_everything_whether_they_can_carry_it() {
    let mut known = Vec::new();
    let defaults = serde_json::to_value(Capabilities::default()).unwrap();
    keys(&defaults, "features", &mut known);
    assert!(known.contains(&"features.media.voice.mime_types".to_owned()));
    for name in ["whatsapp", "messenger"] {
        let path = format!("src/network/interop/profiles/{name}.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let layer: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
        let mut said = Vec::new();
        keys(&layer["features"], "features", &mut said);
        known.sort();
        said.sort();
        assert_eq!(said, known, "{name}");
    }
}

#[test]
fn what_the_gatekeepers_can_carry_differs() {
    let whatsapp = load(&["whatsapp", "sandbox"], None).unwrap();
    assert_eq!(whatsapp.features, Capabilities::default());
    assert_eq!(whatsapp.limits.hosted_media_days, 31);
    assert_eq!(whatsapp.stanzas.call, CallShape::default());
    assert_eq!(whatsapp.stanzas.people, PeopleShape::default());
    assert_eq!(whatsapp.picture_hosts, ["pps.whatsapp.net"]);
    assert_eq!(whatsapp.stanzas.notice.kind, "w:notice");
    let messenger = load(&["messenger", "sandbox"], None).unwrap();
    assert_eq!(messenger.features.poll_options, 0);
    assert!(messenger.features.timers.is_empty());
    let rule = |profile: &Profile, kind, mime| {
        let rule = profile.features.media_rule(kind, mime);
        rule.map(|rule| rule.captions)
    };
    assert_eq!(rule(&whatsapp, MediaKind::Image, "image/gif"), None);
    assert_eq!(rule(&messenger, MediaKind::Image, "image/gif"), Some(false));
    assert_eq!(
        rule(&whatsapp, MediaKind::Voice, "audio/ogg; codecs=opus"),
        Some(false)
    );
}

#[test]
fn a_layer_takes_a_kind_of_file_away_or_limits_it() {
    let extra = json!({"features": {"media": {"sticker": null, "image": {"max_bytes": 5}}}});
    let profile = load(&["whatsapp", "sandbox"], Some(&extra)).unwrap();
    let image = profile.features.media_rule(MediaKind::Image, "image/png");
    assert_eq!(image.unwrap().max_bytes, 5);
    let sticker = profile
        .features
        .media_rule(MediaKind::Sticker, "image/webp");
    assert_eq!(sticker, None);
}
