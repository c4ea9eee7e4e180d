//! Profiles: the built-in ones, what a layer may not have, and what is missing before going live.

use drawbridge::network::interop::{
    profile::{ChatTransport, MissingKeys, Profile, ProfileError},
    wire::payload::Product,
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
            json!({"stanzas": {"deletion": {"tag": "x"}}}),
            "stanzas.deletion.tag",
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
