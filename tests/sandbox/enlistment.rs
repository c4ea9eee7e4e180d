//! Who is enlisted, and who may log in.

use drawbridge::{
    network::interop::{partner::SigningKey, wire::Jid},
    sandbox::Flavour,
};
use serde_json::json;

use super::{
    partner::{Stage, login_of},
    ratchet::Peer,
    user::{User, keys},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn nobody() -> Jid {
    Jid::user("447700900005", "s.whatsapp.net")
}

#[tokio::test]
async fn a_user_is_enlisted_once_and_keeps_the_login_with_new_keys() {
    let stage = Stage::start().await;
    let first = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    assert!(first.login.to_string().starts_with("7-"));
    let again = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    assert_eq!(again.login, first.login);
    let other = User::enlist(&stage, "@bob:example.org", Flavour::WhatsApp, &nobody()).await;
    assert_ne!(other.login, first.login);
    let elsewhere = User::enlist(&stage, "@alice:example.org", Flavour::Messenger, &nobody()).await;
    assert_ne!(elsewhere.login, first.login);
    assert_eq!(
        first
            .dial(&stage)
            .await
            .next()
            .await
            .attr("reason")
            .as_deref(),
        Some("401"),
        "the keys from before the second enlistment are not taken"
    );
    again.connect(&stage).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_enlistment_is_said() {
    let stage = Stage::start().await;
    let profile = stage.profile(Flavour::WhatsApp);
    let good = keys(&[1; 32], &Peer::new(&nobody(), &nobody()).bundle(false));
    let token = |profile, at| stage.key.token(profile, "@alice:example.org", at).unwrap();
    let valid = token(&profile, stage.now());
    let reason = |answer: serde_json::Value| {
        assert_eq!(answer["status"], "fail", "{answer}");
        answer["reason"].as_str().unwrap().to_owned()
    };
    let enlist = |keys, token: String, version| {
        let stage = &stage;
        async move {
            reason(
                stage
                    .enlist(Flavour::WhatsApp, &keys, &token, version)
                    .await,
            )
        }
    };

    let mut forged = good.clone();
    forged.signed_prekey_signature[5] ^= 1;
    assert_eq!(enlist(forged, valid.clone(), "1").await, "bad_signature");
    assert_eq!(
        enlist(good.clone(), valid.clone(), "0").await,
        "old_version"
    );

    let stale = token(&profile, stage.now().plus_millis(-2 * 60 * 60 * 1000));
    assert_eq!(enlist(good.clone(), stale, "1").await, "stale_token");

    let mut nameless = profile.clone();
    nameless.token.claims = [("name".to_owned(), json!("{visible_id}"))].into();
    assert_eq!(
        enlist(good.clone(), token(&nameless, stage.now()), "1").await,
        "bad_identifier"
    );

    let mut stranger = profile.clone();
    stranger.token.issuer = Some("somebody else".to_owned());
    assert_eq!(
        enlist(good.clone(), token(&stranger, stage.now()), "1").await,
        "bad_integrator"
    );

    let messenger = stage.profile(Flavour::Messenger);
    assert_eq!(
        enlist(good.clone(), token(&messenger, stage.now()), "1").await,
        "bad_token"
    );

    let unknown = SigningKey::open(&stage.dir.path().join("other.pem"), stage.now()).unwrap();
    let foreign = unknown
        .token(&profile, "@alice:example.org", stage.now())
        .unwrap();
    assert_eq!(enlist(good.clone(), foreign, "1").await, "bad_token");

    login_of(&stage.enlist(Flavour::WhatsApp, &good, &valid, "1").await);
}

#[tokio::test]
async fn a_new_signing_key_is_found_in_the_key_set() {
    let mut stage = Stage::start().await;
    User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    stage.key = SigningKey::open(&stage.dir.path().join("next.pem"), stage.now()).unwrap();
    stage.publish(&stage.key);
    // A key set is asked for again at most once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    User::enlist(&stage, "@bob:example.org", Flavour::WhatsApp, &nobody()).await;
}

#[tokio::test]
async fn a_login_needs_the_enlisted_key() {
    let stage = Stage::start().await;
    let mut user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    user.noise_private = rand::random();
    let refusal = user.dial(&stage).await.next().await;
    assert_eq!(
        (refusal.tag.as_ref(), refusal.attr("reason").as_deref()),
        ("failure", Some("401"))
    );
}

#[tokio::test]
async fn a_token_vouches_for_one_user_only() {
    let stage = Stage::start().await;
    let alice = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    let mut thief =
        User::enlist(&stage, "@mallory:example.org", Flavour::WhatsApp, &nobody()).await;
    thief.login = alice.login.clone();
    let refusal = thief.dial(&stage).await.next().await;
    assert_eq!(refusal.attr("reason").as_deref(), Some("401"));
}

#[tokio::test]
async fn thirty_days_without_connecting_end_the_enlistment() {
    let stage = Stage::start().await;
    let user = User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody()).await;
    drop(user.connect(&stage).await);
    let login = user.login.to_string();
    stage
        .until("the connection ends", || {
            !stage.sandbox.is_connected(&login)
        })
        .await;
    stage.clock.advance(30 * DAY - 60_000);
    stage.sandbox.sweep().await;
    assert!(
        stage
            .sandbox
            .partner_login(Flavour::WhatsApp, "@alice:example.org")
            .is_some()
    );
    stage.clock.advance(DAY);
    stage.sandbox.sweep().await;
    let refusal = user.dial(&stage).await.next().await;
    assert_eq!(refusal.attr("reason").as_deref(), Some("404"));
    assert!(
        stage
            .profile(Flavour::WhatsApp)
            .stanzas
            .unenlisted_reasons
            .contains(&404)
    );
    User::enlist(&stage, "@alice:example.org", Flavour::WhatsApp, &nobody())
        .await
        .connect(&stage)
        .await;
}
