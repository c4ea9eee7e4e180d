//! `drawbridge doctor`: walks the whole way, from the configuration to the gatekeepers, and says for each thing that does not
//! work what to do about it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ruma::UserId;
use serde_json::Value;
use tokio::net::TcpListener;

use super::Failure;
use crate::{
    app,
    clock::SystemClock,
    config::{Config, GatekeeperConfig},
    matrix::{
        Client,
        appservice::{self, AppserviceSink, AppserviceState},
    },
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
            good(&format!("database ({})", database.engine()));
            match database.read(|txn| Box::pin(async move { txn.logins().await })).await {
                Ok(logins) => good(&format!("{} logins, and their keys open", logins.len())),
                Err(error) => report.bad(
                    &format!("the logins cannot be read: {error}"),
                    "database.sealing_key has to be the key the database was written with: put the old one back",
                ),
            }
            if let Ok(set_aside) = database
                .read(|txn| Box::pin(async move { txn.quarantined_events(1000).await }))
                .await
                && !set_aside.is_empty()
            {
                note(&format!(
                    "{} events could not be understood and are set aside",
                    set_aside.len()
                ));
            }
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
    match client.versions().await {
        Ok(versions) => {
            let newest = versions.last().map_or("?", String::as_str);
            let software = client
                .software()
                .await
                .unwrap_or_else(|| "a homeserver".to_owned());
            good(&format!(
                "{software} at {}, Matrix {newest}",
                config.homeserver.address
            ));
        }
        Err(error) => {
            return report.bad(
                &format!("no homeserver at {}: {error}", config.homeserver.address),
                "is it running, and is homeserver.address its client API?",
            );
        }
    }
    let bot = client.bot();
    if let Err(error) = bot.ensure_registered().await {
        return report.bad(
            &format!("the homeserver does not accept the bridge's token: {error}"),
            "give it the registration that `drawbridge registration` wrote for this configuration, and restart it",
        );
    }
    match bot.whoami().await {
        Ok(who) if who == *client.bot_id() => good(&format!("the homeserver knows the bot {who}")),
        Ok(who) => report.bad(
            &format!("the homeserver takes the bot for {who}"),
            "homeserver.domain has to be the homeserver's server_name",
        ),
        Err(error) => report.bad(
            &format!("whoami: {error}"),
            "is the registration the one in use?",
        ),
    }
    check_ping(config, &client, database, report).await;
}

/// The ping, both ways: the homeserver is asked to reach the bridge. If no bridge runs, the doctor listens in its place.
async fn check_ping(
    config: &Config,
    client: &Client,
    database: Option<&Database>,
    report: &mut Report,
) {
    let listener = TcpListener::bind(&config.appservice.listen).await.ok();
    let Some(database) = database.filter(|_| listener.is_some()).cloned() else {
        if listener.is_some() {
            return note("the homeserver's way to the bridge is checked once the database exists");
        }
        return ping(config, client, None, report).await;
    };
    let waiting = Arc::new(Waiting::default());
    let router = appservice::router(AppserviceState::new(
        database,
        &config.appservice.hs_token,
        waiting.clone(),
        Arc::new(SystemClock),
    ));
    if let Some(listener) = listener {
        let served = tokio::spawn(async move { axum::serve(listener, router).await });
        ping(config, client, Some(&waiting), report).await;
        served.abort();
    }
}

async fn ping(config: &Config, client: &Client, waiting: Option<&Waiting>, report: &mut Report) {
    match client.ping().await {
        Ok(took) if waiting.is_none_or(|waiting| waiting.pinged.load(Ordering::SeqCst)) => {
            good(&format!("the homeserver reaches the bridge in {} ms", took.as_millis()));
        }
        Ok(_) => report.bad(
            "the homeserver reaches somebody, but not this bridge",
            "another program answers at appservice.address: correct it, write the registration again, restart the homeserver",
        ),
        Err(error) => report.bad(
            &format!("the homeserver cannot reach the bridge at {}: {error}", config.appservice.address),
            "appservice.address has to lead from the homeserver's machine or container to appservice.listen here; after a change write the registration again and restart the homeserver",
        ),
    }
}

/// Stands in for the bridge while the homeserver is asked to reach it; what arrives meanwhile waits in the store.
#[derive(Default)]
struct Waiting {
    pinged: AtomicBool,
}

#[async_trait]
impl AppserviceSink for Waiting {
    fn rooms_waiting(&self, _rooms: &[String]) {}
    fn ephemeral(&self, _events: Vec<Value>) {}
    async fn user_exists(&self, _user: &UserId) -> bool {
        false
    }
    fn ping_received(&self, _txn_id: Option<&str>) {
        self.pinged.store(true, Ordering::SeqCst);
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
