//! Secrets: both ways in, no way out.

use drawbridge::config::Config;
use secrecy::ExposeSecret as _;

use super::files::{AS_TOKEN, Folder, HS_TOKEN, LEAST, SEALING_KEY};

#[test]
fn a_secret_can_be_in_a_file_that_only_its_owner_reads() {
    let yaml = LEAST.replace(
        &format!("as_token: {AS_TOKEN}"),
        "as_token_file: secrets-as",
    );
    let folder = Folder::with(&yaml);
    let missing = folder.load().unwrap_err();
    assert!(missing.to_string().starts_with("appservice.as_token_file"));
    assert!(missing.hint().unwrap().contains("drawbridge registration"));

    folder.secret("secrets-as", &format!("{AS_TOKEN}\n"), 0o644);
    let open = folder.load().unwrap_err();
    assert!(open.to_string().contains("mode 644"), "{open}");
    assert!(open.hint().unwrap().starts_with("chmod 600"));

    folder.secret("secrets-as", &format!("{AS_TOKEN}\n"), 0o600);
    let config = folder.load().unwrap();
    assert_eq!(config.appservice.as_token.expose_secret(), AS_TOKEN);
}

#[test]
fn both_ways_at_once_are_refused() {
    let yaml = LEAST.replace("appservice:", "appservice:\n  as_token_file: somewhere");
    let message = Folder::with(&yaml).load().unwrap_err().to_string();
    assert_eq!(
        message,
        "appservice.as_token and appservice.as_token_file are both set: keep one of them"
    );
}

#[test]
fn neither_debug_nor_the_dump_shows_a_secret() {
    let yaml = LEAST.replace(
        "database: {",
        "database: {uri: \"postgres://bridge:pa55word@db/bridge\", guard_file: guard, ",
    );
    let folder = Folder::with(&yaml);
    let shown = format!("{:?}", folder.load().unwrap());
    let dump = Config::dump(&folder.path()).unwrap();
    for secret in [AS_TOKEN, HS_TOKEN, SEALING_KEY, "pa55word"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert!(!dump.contains(secret), "{secret} in {dump}");
    }
    assert!(dump.contains("as_token: (hidden)"), "{dump}");
    assert!(
        dump.contains("postgres://bridge:hidden@db/bridge"),
        "{dump}"
    );
    assert!(dump.contains("listen: 127.0.0.1:29331"), "{dump}");
}

#[test]
fn the_files_that_are_to_hold_secrets_are_known_before_they_exist() {
    let folder = Folder::with(&Config::example());
    let files = Config::secret_files(&folder.path()).unwrap();
    let found: Vec<_> = files
        .iter()
        .map(|file| (file.key.as_str(), file.path.clone()))
        .collect();
    let at = |name: &str| folder.dir.path().join(name);
    assert_eq!(
        found,
        [
            ("appservice.as_token", at("as_token")),
            ("appservice.hs_token", at("hs_token")),
            ("database.sealing_key", at("sealing_key")),
        ]
    );
}
