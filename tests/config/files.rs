//! A configuration on disk, the example, and the layers.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use drawbridge::config::{Config, ConfigError, ConnectionMode, EphemeralMode, Level, ViewOnce};
use ruma::user_id;
use tempfile::TempDir;

pub(super) const AS_TOKEN: &str = "as-0123456789abcdef0123456789abcdef";
pub(super) const HS_TOKEN: &str = "hs-0123456789abcdef0123456789abcdef";
pub(super) const SEALING_KEY: &str = "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=";

/// The least a configuration can say, with its secrets inside.
pub(super) const LEAST: &str = r#"
homeserver: {address: "http://localhost:8008", domain: example.org}
appservice:
  as_token: as-0123456789abcdef0123456789abcdef
  hs_token: hs-0123456789abcdef0123456789abcdef
database: {sealing_key: c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=}
bridge: {permissions: {"example.org": user}}
"#;

/// A folder with a configuration.
pub(super) struct Folder {
    pub(super) dir: TempDir,
}

impl Folder {
    pub(super) fn with(yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("config.yaml"), yaml).expect("a file");
        Self { dir }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.path())
    }

    pub(super) fn secret(&self, name: &str, content: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
}

#[test]
fn the_example_in_the_repository_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yaml");
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        Config::example(),
        "write it again: cargo run -- config example > config.example.yaml"
    );
}

#[test]
fn the_example_loads_once_its_secrets_exist() {
    let folder = Folder::with(&Config::example());
    folder.secret("as_token", &format!("{AS_TOKEN}\n"), 0o600);
    folder.secret("hs_token", HS_TOKEN, 0o600);
    folder.secret("sealing_key", SEALING_KEY, 0o600);
    let config = folder.load().unwrap();
    assert_eq!(config.homeserver.domain, "example.org");
    assert_eq!(config.homeserver.ephemeral, EphemeralMode::Auto);
    let names: Vec<_> = config.gatekeepers.iter().map(|g| g.id.as_str()).collect();
    assert_eq!(names, ["whatsapp", "messenger"]);
    assert_eq!(config.gatekeepers[1].connection, ConnectionMode::Always);
    assert_eq!(config.gatekeepers[1].idle_seconds, 60);
    assert_eq!(config.gatekeepers[1].visible_id, "{mxid}");
}

#[test]
fn what_is_not_said_is_as_in_the_example() {
    let least = Folder::with(LEAST).load().unwrap();
    assert_eq!(least.appservice.listen, "127.0.0.1:29331");
    assert_eq!(least.appservice.bot_localpart, "drawbridgebot");
    assert_eq!(least.gatekeepers[0].profiles, ["whatsapp", "sandbox"]);
    assert!(least.sandbox.enabled);
    assert_eq!(least.bridge.room_version, None);
    assert_eq!(least.media.max_bytes, 100 * 1024 * 1024);
    assert_eq!(least.media.patience_seconds, 120);
}

#[test]
fn what_is_passed_on_can_be_decided_key_by_key() {
    let switches = |yaml: &str| {
        let bridge = Folder::with(yaml).load().unwrap().bridge;
        [
            bridge.receipts,
            bridge.typing,
            bridge.presence,
            bridge.delivery_receipts,
            bridge.message_status_events,
            bridge.error_notices,
            bridge.view_once == ViewOnce::Show,
            bridge.link_previews,
        ]
    };
    let usual = [true, true, false, true, false, true, true, true];
    assert_eq!(switches(LEAST), usual);
    for (index, other) in [
        "receipts: false",
        "typing: false",
        "presence: true",
        "delivery_receipts: false",
        "message_status_events: true",
        "error_notices: false",
        "view_once: hide",
        "link_previews: false",
    ]
    .into_iter()
    .enumerate()
    {
        let mut expected = usual;
        expected[index] = !expected[index];
        let text = LEAST.replace("bridge: {", &format!("bridge: {{{other}, "));
        assert_eq!(switches(&text), expected, "{other}");
    }
}

#[test]
fn a_work_folder_beside_what_is_kept_is_taken() {
    for folder in ["partner_media/work", "drawbridge.db.work", "../elsewhere"] {
        let text = format!("{LEAST}\nmedia: {{work_dir: {folder}, max_bytes: 1}}");
        let here = Folder::with(&text);
        let media = here.load().unwrap().media;
        assert_eq!(media.work_dir, here.dir.path().join(folder));
        assert_eq!(media.max_bytes, 1);
    }
}

#[test]
fn paths_are_from_the_files_folder() {
    let folder = Folder::with(LEAST);
    let config = folder.load().unwrap();
    let here = folder.dir.path();
    assert_eq!(
        config.database.uri.as_str(),
        format!("sqlite:{}", here.join("drawbridge.db").display())
    );
    assert_eq!(
        config.database.guard_file,
        Some(here.join("drawbridge.db.guard"))
    );
    assert_eq!(config.sandbox.data_dir, here.join("sandbox"));
    assert_eq!(config.media.work_dir, here.join("media_work"));
    assert_eq!(
        config.partner.signing_key_file,
        here.join("partner_signing_key.pem")
    );
}

#[test]
fn a_list_replaces_the_default_list_and_its_entries_are_completed() {
    let folder = Folder::with(&format!(
        "{LEAST}\ngatekeepers: [{{id: one, name: One, profiles: [whatsapp, sandbox, mine.yaml]}}]"
    ));
    fs::write(folder.dir.path().join("mine.yaml"), "{}").unwrap();
    let config = folder.load().unwrap();
    assert_eq!(config.gatekeepers.len(), 1);
    let entry = &config.gatekeepers[0];
    assert_eq!(entry.connection, ConnectionMode::Always);
    assert_eq!(
        Path::new(&entry.profiles[2]),
        folder.dir.path().join("mine.yaml")
    );
}

#[test]
fn a_room_version_may_look_like_a_number() {
    let text = LEAST.replace("bridge: {", "bridge: {room_version: 11, ");
    let config = Folder::with(&text).load().unwrap();
    assert_eq!(config.bridge.room_version.as_deref(), Some("11"));
}

#[test]
fn the_most_specific_permission_counts() {
    let text = LEAST.replace(
        "{\"example.org\": user}",
        "{\"*\": relay, example.org: user, \"@admin:example.org\": admin, \"@eve:example.org\": block}",
    );
    let permissions = Folder::with(&text).load().unwrap().bridge.permissions;
    for (user, level) in [
        (user_id!("@admin:example.org"), Level::Admin),
        (user_id!("@eve:example.org"), Level::Block),
        (user_id!("@bob:example.org"), Level::User),
        (user_id!("@bob:elsewhere.org"), Level::Relay),
        (user_id!("@bob:not.example.org"), Level::Relay),
    ] {
        assert_eq!(permissions.level(user), level, "{user}");
    }
    let none = Folder::with(LEAST).load().unwrap().bridge.permissions;
    assert_eq!(none.level(user_id!("@bob:elsewhere.org")), Level::Block);
}
