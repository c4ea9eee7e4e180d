//! What is refused, and that the message names the key and what to do.

use drawbridge::config::{PLACEHOLDER_AS_TOKEN, PLACEHOLDER_HS_TOKEN};

use super::files::{AS_TOKEN, Folder, HS_TOKEN, LEAST};

fn refusal(yaml: &str) -> String {
    Folder::with(yaml).load().expect_err(yaml).to_string()
}

fn changed(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    LEAST.replace(from, to)
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    let message = refusal(&changed("domain:", "domian: x, domain:"));
    assert_eq!(
        message,
        "homeserver.domian is not a key of the configuration, did you mean homeserver.domain?"
    );
    let message = refusal(&format!("{LEAST}\nbrigde: {{}}"));
    assert!(message.contains("did you mean bridge?"), "{message}");
    let message = refusal(&format!("{LEAST}\nxyzzy: {{}}"));
    assert_eq!(message, "xyzzy is not a key of the configuration");
    let message = refusal(&format!(
        "{LEAST}\ngatekeepers: [{{id: a, name: A, profile: [whatsapp]}}]"
    ));
    assert!(
        message.contains("gatekeepers[0].profile ")
            && message.contains("did you mean gatekeepers[0].profiles?"),
        "{message}"
    );
}

#[test]
fn a_missing_key_is_named_with_its_meaning() {
    let folder = Folder::with(&changed(", domain: example.org", ""));
    let error = folder.load().unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("homeserver.domain is not set"),
        "{message}"
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("DRAWBRIDGE_HOMESERVER__DOMAIN"), "{hint}");
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    let message = refusal(&format!("{LEAST}\nsandbox: {{enabled: maybe}}"));
    assert!(message.starts_with("sandbox.enabled: "), "{message}");
    let message = refusal(&format!("{LEAST}\nlogging: info"));
    assert!(message.starts_with("logging: "), "{message}");
}

#[test]
fn the_samples_tokens_and_short_ones_are_refused() {
    for placeholder in [PLACEHOLDER_AS_TOKEN, PLACEHOLDER_HS_TOKEN] {
        let message = refusal(&changed(AS_TOKEN, placeholder));
        assert!(
            message.starts_with("appservice.as_token")
                && message.contains("drawbridge registration"),
            "{message}"
        );
        assert!(!message.contains(placeholder));
    }
    assert!(refusal(&changed(HS_TOKEN, "short")).starts_with("appservice.hs_token"));
    assert!(refusal(&changed(HS_TOKEN, AS_TOKEN)).contains("differ"));
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (from, to, key) in [
        ("http://localhost:8008", "localhost", "homeserver.address"),
        (
            "http://localhost:8008",
            "ftp://localhost",
            "homeserver.address",
        ),
        (
            "domain: example.org",
            "domain: \"@me:example.org\"",
            "homeserver.domain",
        ),
        (
            "appservice:",
            "appservice:\n  listen: here",
            "appservice.listen",
        ),
        (
            "appservice:",
            "appservice:\n  bot_localpart: Bot",
            "appservice.bot_localpart",
        ),
        (
            "appservice:",
            "appservice:\n  bot_localpart: _drawbridge_bot",
            "appservice.bot_localpart",
        ),
        (
            "appservice:",
            "appservice:\n  sender_localpart: drawbridgebot",
            "appservice.sender_localpart",
        ),
        ("database: {", "database: {uri: mysql://x, ", "database.uri"),
        (
            "database: {",
            "database: {uri: \"postgres://u:p@h/d\", ",
            "database.guard_file",
        ),
        (
            "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
            "dG9vc2hvcnQ=",
            "database.sealing_key",
        ),
        (
            "c2VhbGluZy1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "database.sealing_key",
        ),
        (
            "{\"example.org\": user}",
            "{\"exa mple\": user}",
            "bridge.permissions",
        ),
        (
            "{\"example.org\": user}",
            "{\"*\": relay}",
            "bridge.permissions",
        ),
        (
            "bridge: {",
            "bridge: {displayname_template: ghost, ",
            "bridge.displayname_template",
        ),
    ] {
        let message = refusal(&changed(from, to));
        assert!(message.starts_with(key), "{to}: {message}");
    }
    for (list, key) in [
        ("[]", "gatekeepers"),
        ("[{id: Big, name: A, profiles: [whatsapp]}]", "gatekeepers"),
        (
            "[{id: a, name: A, profiles: [nothing-here]}]",
            "gatekeepers[0].profiles",
        ),
        (
            "[{id: a, name: A, profiles: [whatsapp]}, {id: a, name: B, profiles: [whatsapp]}]",
            "gatekeepers[1].id",
        ),
        (
            "[{id: a, name: A, profiles: [whatsapp], visible_id: \"everybody at {server}\"}]",
            "gatekeepers[0].visible_id",
        ),
    ] {
        let message = refusal(&format!("{LEAST}\ngatekeepers: {list}"));
        assert!(message.starts_with(key), "{list}: {message}");
    }
}

#[test]
fn what_cannot_be_passed_on_is_refused() {
    for (key, value) in [
        ("receipts", "1"),
        ("presence", "sometimes"),
        ("view_once", "twice"),
        ("direct_chats", "at_once"),
        ("groups", "sometimes"),
        ("members_per_second", "0"),
    ] {
        let message = refusal(&changed(
            "bridge: {",
            &format!("bridge: {{{key}: {value}, "),
        ));
        assert!(message.starts_with(&format!("bridge.{key}")), "{message}");
    }
    for (key, value) in [
        ("max_bytes", "0"),
        ("max_bytes", "-1"),
        ("max_bytes", "100 MB"),
        ("patience_seconds", "0"),
    ] {
        let message = refusal(&format!("{LEAST}\nmedia: {{{key}: {value}}}"));
        assert!(message.starts_with(&format!("media.{key}")), "{message}");
    }
}

#[test]
fn a_work_folder_that_holds_what_is_kept_is_refused() {
    let emptied = |folder: &str, more: &str| {
        let message = refusal(&format!("{LEAST}\nmedia: {{work_dir: {folder}}}\n{more}"));
        assert!(message.starts_with("media.work_dir"), "{message}");
        message
    };
    for folder in [".", "..", "/", "x/..", "./y/../x/.."] {
        assert!(emptied(folder, "").contains("the configuration"));
    }
    for (folder, more, what) in [
        ("sandbox", "", "sandbox.data_dir"),
        ("partner_media", "", "partner.media_dir"),
        (
            "work",
            "partner: {media_dir: work/hosted}",
            "partner.media_dir",
        ),
        (
            "work",
            "partner: {signing_key_file: work/key.pem}",
            "partner.signing_key_file",
        ),
        ("drawbridge.db", "", "the database"),
        ("drawbridge.db.guard", "", "database.guard_file"),
    ] {
        let message = emptied(folder, more);
        assert!(message.contains(what), "{message}");
    }
    let elsewhere = Folder::with(&changed(
        &format!("as_token: {AS_TOKEN}"),
        "as_token_file: work/as",
    ));
    std::fs::create_dir(elsewhere.dir.path().join("work")).unwrap();
    elsewhere.secret("work/as", AS_TOKEN, 0o600);
    elsewhere.load().unwrap();
    let path = elsewhere.path();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\nmedia: {{work_dir: work}}")).unwrap();
    let message = elsewhere.load().unwrap_err().to_string();
    assert!(message.contains("appservice.as_token"), "{message}");
}

#[test]
fn a_file_that_is_no_yaml_or_not_there_is_named() {
    let message = refusal("a: [");
    assert!(
        message.contains("config.yaml is not valid YAML"),
        "{message}"
    );
    let folder = Folder::with("");
    let error = drawbridge::config::Config::load(&folder.dir.path().join("none.yaml")).unwrap_err();
    assert!(error.hint().unwrap().contains("config example"));
}
