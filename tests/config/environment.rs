//! The environment is the last layer.

use std::process::Command;

use secrecy::ExposeSecret as _;

use super::files::{Folder, LEAST};

const THIS: &str = "config::environment::the_environment_wins_over_the_file";
const TOKEN: &str = "from-the-environment-0123456789abcdef";

#[test]
fn the_environment_wins_over_the_file() {
    // A running process's environment is not to be changed, so the test runs itself again in one that has these.
    if std::env::var_os("DRAWBRIDGE_HOMESERVER__DOMAIN").is_none() {
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS])
            .env("DRAWBRIDGE_HOMESERVER__DOMAIN", "elsewhere.org")
            .env("DRAWBRIDGE_APPSERVICE__AS_TOKEN", TOKEN)
            .env("DRAWBRIDGE_BRIDGE__ROOM_VERSION", "11")
            .env("DRAWBRIDGE_SANDBOX__ENABLED", "false")
            // Somebody else's: it names no section.
            .env("DRAWBRIDGE_TEST_THING", "x")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let config = Folder::with(LEAST).load().unwrap();
    assert_eq!(config.homeserver.domain, "elsewhere.org");
    assert_eq!(config.appservice.as_token.expose_secret(), TOKEN);
    assert_eq!(config.bridge.room_version.as_deref(), Some("11"));
    assert!(!config.sandbox.enabled);
    // What the environment leaves out is still the file's.
    assert_eq!(config.homeserver.address.as_str(), "http://localhost:8008/");
}
