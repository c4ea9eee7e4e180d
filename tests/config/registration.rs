//! The registration: the sample in the repository, and what a homeserver needs to find in it.

use std::{path::Path, process::Command};

use drawbridge::{config::Config, matrix::registration};
use serde_yaml_ng::Value;

use super::files::{AS_TOKEN, Folder, HS_TOKEN, LEAST};

#[test]
fn the_sample_in_the_repository_is_the_programs() {
    assert_eq!(
        include_str!("../../registration.yaml"),
        registration::to_yaml(&Config::sample()),
        "write it again: cargo run -- registration --example > registration.yaml"
    );
}

#[test]
fn making_it_again_changes_nothing_and_overwrites_nothing() {
    let folder = Folder::with(LEAST);
    let file = folder.dir.path().join("registration.yaml");
    let make = |output: &Path| {
        Command::new(env!("CARGO_BIN_EXE_drawbridge"))
            .args(["registration", "--config"])
            .arg(folder.path())
            .arg("--output")
            .arg(output)
            .output()
            .unwrap()
    };
    assert!(make(&file).status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    let again = make(&file);
    assert!(again.status.success(), "{again:?}");
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(said.contains("is as it has to be"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    std::fs::write(&file, "id: another\n").unwrap();
    let refused = make(&file);
    assert_eq!(refused.status.code(), Some(1));
    let hint = String::from_utf8_lossy(&refused.stderr);
    assert!(hint.contains("--force"), "{hint}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "id: another\n");
}

#[test]
fn it_says_what_the_homeserver_needs_to_know() {
    let yaml = LEAST.replace("example.org", "exa-mple.org");
    let config = Folder::with(&yaml).load().unwrap();
    let written: Value = serde_yaml_ng::from_str(&registration::to_yaml(&config)).unwrap();
    assert_eq!(written["as_token"], AS_TOKEN);
    assert_eq!(written["hs_token"], HS_TOKEN);
    assert_eq!(written["rate_limited"], false);
    for flag in [
        "receive_ephemeral",
        "de.sorunome.msc2409.push_ephemeral",
        "org.matrix.msc3202",
        "io.element.msc4190",
    ] {
        assert_eq!(written[flag], true, "{flag}");
    }
    assert_ne!(
        written["sender_localpart"],
        config.appservice.bot_localpart.as_str()
    );
    let users = written["namespaces"]["users"].as_sequence().unwrap();
    let regexes: Vec<_> = users
        .iter()
        .map(|user| user["regex"].as_str().unwrap())
        .collect();
    assert_eq!(
        regexes,
        [
            r"^@drawbridgebot:exa-mple\.org$",
            r"^@_drawbridge_.+:exa-mple\.org$"
        ]
    );
    assert!(users.iter().all(|user| user["exclusive"] == true));
    let aliases = &written["namespaces"]["aliases"][0];
    assert_eq!(aliases["regex"], r"^#_drawbridge_.+:exa-mple\.org$");
    assert_eq!(aliases["exclusive"], true);
}

#[test]
fn the_second_registration_has_everybody_and_takes_nothing() {
    let plain = Folder::with(LEAST).load().unwrap();
    assert_eq!(registration::double_puppet_yaml(&plain), None);
    let token = "double-0123456789abcdef0123456789abcdef";
    let yaml = format!("{LEAST}double_puppets: {{as_token: {token}}}\n");
    let config = Folder::with(&yaml).load().unwrap();
    let written = registration::double_puppet_yaml(&config).expect("there is a token");
    let written: Value = serde_yaml_ng::from_str(&written).unwrap();
    assert_eq!(written["as_token"], token);
    assert!(written["url"].is_null());
    let users = written["namespaces"]["users"].as_sequence().unwrap();
    assert_eq!(users[0]["regex"], r"^@.+:example\.org$");
    assert_eq!(users[0]["exclusive"], false);
    for (key, ours) in [
        ("id", config.appservice.id.as_str()),
        ("sender_localpart", &config.appservice.sender_localpart),
        ("hs_token", HS_TOKEN),
        ("hs_token", token),
    ] {
        assert_ne!(written[key], ours, "{key}");
    }
}

#[test]
fn the_second_registration_has_a_token_of_its_own() {
    for token in [AS_TOKEN, "short"] {
        let yaml = format!("{LEAST}double_puppets: {{as_token: {token}}}\n");
        let error = Folder::with(&yaml).load().unwrap_err();
        assert!(
            error.to_string().contains("double_puppets.as_token"),
            "{error}"
        );
    }
}
