//! The Partner's signing key: its file, its id, its rotation.

use drawbridge::{
    domain::Timestamp,
    network::interop::partner::{KeyError, Rotation, SigningKey},
};

use super::{
    media::files,
    partner::{NOW, USER, gatekeeper_jwks, gatekeeper_key, profile},
};

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    // Over the members e, kty, n in this order, as section 3.2 says; taken from our own JWKS by another implementation.
    let jwks = gatekeeper_jwks();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let thumbprint = jwk
        .thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
        .unwrap();
    assert_eq!(jwks["keys"][0]["kid"], thumbprint);
}

fn kids(key: &SigningKey) -> Vec<String> {
    let jwks = key.public_keys();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_rotation_publishes_before_and_after() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let old = kids(&SigningKey::open(&path, NOW).unwrap());
    assert_eq!(old.len(), 1);
    assert_eq!(kids(&SigningKey::open(&path, NOW).unwrap()), old);
    assert_eq!(SigningKey::rotate(&path, NOW).unwrap(), Rotation::Prepared);
    let both = kids(&SigningKey::open(&path, NOW).unwrap());
    assert_eq!((both.len(), &both[0]), (2, &old[0]));
    assert_eq!(SigningKey::rotate(&path, NOW).unwrap(), Rotation::Switched);
    let after = SigningKey::open(&path, NOW).unwrap();
    assert_eq!(kids(&after), [both[1].clone(), old[0].clone()]);
    let token = after
        .token(
            &profile("http://127.0.0.1:1", "http://127.0.0.1:1"),
            USER,
            NOW,
        )
        .unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid, Some(both[1].clone()));
    let week_later = NOW.plus_millis(7 * 24 * 3_600_000 + 1000);
    assert_eq!(
        kids(&SigningKey::open(&path, week_later).unwrap()),
        [both[1].clone()]
    );
    for file in files(dir.path()) {
        let mode = std::fs::metadata(dir.path().join(&file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_rotation_that_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    SigningKey::open(&path, NOW).unwrap();
    SigningKey::rotate(&path, NOW).unwrap();
    let both = kids(&SigningKey::open(&path, NOW).unwrap());
    std::fs::rename(&path, dir.path().join("key.pem.previous")).unwrap();
    let after = kids(&SigningKey::open(&path, Timestamp(0)).unwrap());
    assert_eq!(after, [both[1].clone(), both[0].clone()]);
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    std::fs::copy(&gatekeeper_key().0, &path).unwrap();
    let set =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o640, 0o604, 0o644] {
        set(mode);
        assert!(matches!(
            SigningKey::open(&path, NOW),
            Err(KeyError::Open(_))
        ));
    }
    set(0o600);
    SigningKey::open(&path, NOW).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(
        SigningKey::open(&path, NOW),
        Err(KeyError::Malformed(_))
    ));
}
