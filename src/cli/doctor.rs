//! `drawbridge doctor`: walks the whole way, from the configuration to the gatekeepers, and says for each thing that does not
//! work what to do about it.

use std::{path::PathBuf, time::Duration};

use tokio::net::TcpListener;

use super::Failure;
use crate::{
    app,
    config::{Config, GatekeeperConfig},
    domain::Finding,
    encryption,
    matrix::{Client, appservice},
    store::{self, Database},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The checks so far.
#[derive(Default)]
struct Report {
    failed: usize,
}

impl Report {
    fn bad(&mut self, what: &str, hint: &str) {
        self.failed += 1;
        println!("FAIL  {what}");
        println!("      hint: {hint}");
    }

    fn take(&mut self, found: impl IntoIterator<Item = Finding>) {
        for finding in found {
            match finding {
                Finding::Good(what) => good(&what),
                Finding::Note(what) => note(&what),
                Finding::Bad { what, hint } => self.bad(&what, &hint),
            }
        }
    }
}

fn good(what: &str) {
    println!("ok    {what}");
}

fn note(what: &str) {
    println!("note  {what}");
}

pub(super) async fn execute(path: PathBuf) -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut report = Report::default();
    let config = Config::load(&path)?;
    good(&format!("configuration {}", path.display()));
    let database = check_database(&config, &mut report).await;
    check_homeserver(&config, database.as_ref(), &mut report).await;
    for entry in &config.gatekeepers {
        check_gatekeeper(entry, &mut report).await;
    }
    if let Some(database) = database {
        database.close().await;
    }
    if report.failed == 0 {
        println!("everything works");
        return Ok(());
    }
    Err(anyhow::anyhow!("{} of the checks failed", report.failed).into())
}

async fn check_database(config: &Config, report: &mut Report) -> Option<Database> {
    match store::inspect(config.database.uri.as_str(), &config.database.sealing_key).await {
        Ok(None) => {
            note("the database does not exist yet; the first run makes it");
            None
        }
        Ok(Some(database)) => {
            report.take(database.check().await);
            Some(database)
        }
        Err(error) => {
            report.bad(
                &format!("database: {error}"),
                "is database.uri right, is the server running, and may this user read and write there?",
            );
            None
        }
    }
}

async fn check_homeserver(config: &Config, database: Option<&Database>, report: &mut Report) {
    let http = match reqwest::Client::builder().timeout(PATIENCE).build() {
        Ok(http) => http,
        Err(error) => {
            return report.bad(
                &format!("HTTP client: {error}"),
                "this machine's TLS set-up is broken",
            );
        }
    };
    let client = match Client::new(&config.homeserver, &config.appservice, http) {
        Ok(client) => client,
        Err(error) => {
            return report.bad(
                &format!("homeserver: {error}"),
                "correct homeserver.domain and appservice.bot_localpart",
            );
        }
    };
    if let Some(database) = database
        && let Some(device) = encryption::device_id(database).await
    {
        client.set_bot_device(&device);
    }
    let (found, goes_on) = client.check().await;
    report.take(found);
    if goes_on {
        check_ping(config, &client, report).await;
        if let Some(database) = database {
            report.take(encryption::check(database, &client, &config.encryption).await);
        }
    }
}

/// The ping, both ways: the homeserver is asked to reach the bridge. If no bridge runs, the doctor listens in its place.
async fn check_ping(config: &Config, client: &Client, report: &mut Report) {
    let stand_in = TcpListener::bind(&config.appservice.listen)
        .await
        .ok()
        .map(|listener| {
            let router = appservice::ping_router(&config.appservice.hs_token);
            tokio::spawn(async move { axum::serve(listener, router).await })
        });
    report.take([client.check_ping().await]);
    if let Some(stand_in) = stand_in {
        stand_in.abort();
    }
}

async fn check_gatekeeper(entry: &GatekeeperConfig, report: &mut Report) {
    let profile = match app::check_profile(entry) {
        Ok(profile) => profile,
        Err(error) => {
            return report.bad(
                &error.to_string(),
                "README.md, \"Going live\", says what a profile needs",
            );
        }
    };
    if !profile.live {
        return note(&format!(
            "{} is the sandbox: a gatekeeper on this machine, nobody real",
            entry.name
        ));
    }
    for (what, url) in [
        ("enlistment", &profile.enlist_url),
        ("keys", &profile.jwks_url),
        ("media", &profile.media_url),
    ] {
        let asked = tokio::time::timeout(PATIENCE, reqwest::get(url.to_string())).await;
        match asked {
            Ok(Ok(_)) => good(&format!("{} {what} answers", entry.name)),
            _ => report.bad(
                &format!("{} {what} at {url} does not answer", entry.name),
                "does this machine reach the internet, and is the URL of the profile right?",
            ),
        }
    }
}
