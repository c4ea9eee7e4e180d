//! The command line: one file a subcommand. Plain data goes to standard output, logs and errors to standard error.

mod config;
mod database;
mod doctor;
mod openapi;
mod partner;
mod recovery_key;
mod registration;
mod run;
mod sandbox;

use std::{
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// A Matrix bridge to WhatsApp and Messenger over their interoperability interface.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// The configuration file.
    #[arg(
        short,
        long,
        global = true,
        env = "DRAWBRIDGE_CONFIG",
        default_value = "config.yaml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge (this is the default).
    Run,
    /// Write the registration for the homeserver; makes the secrets that do not exist yet.
    Registration(registration::Arguments),
    /// Check, show, or begin a configuration.
    Config {
        #[command(subcommand)]
        action: config::Action,
    },
    /// Look after the database.
    Database {
        #[command(subcommand)]
        action: database::Action,
    },
    /// Look after what the gatekeepers know of the bridge.
    Partner {
        #[command(subcommand)]
        action: partner::Action,
    },
    /// Walk the whole way and say what does not work and what to do about it.
    Doctor,
    /// Tell the recovery key of the bot's identity in encrypted rooms; keep it apart from the database.
    RecoveryKey,
    /// Run the sandbox gatekeeper alone.
    Sandbox,
    /// Print the description of the provisioning API (`OpenAPI`).
    Openapi,
}

/// Why the program ends, and with which code: 1 for a failure, 2 for a wrong call or configuration.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: anyhow::Error,
    /// What to do next.
    pub hint: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            hint: None,
            code: 1,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            hint: error.hint(),
            error: error.into(),
            code: 2,
        }
    }
}

impl Failure {
    /// A failure with what to do next.
    fn hinted(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            hint: Some(hint.into()),
            code: 1,
        }
    }
}

impl Cli {
    /// Carries out the command.
    ///
    /// # Errors
    /// What failed.
    pub fn execute(self) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Run) {
            Command::Run => block_on(run::execute(load(&self.config)?)),
            Command::Registration(arguments) => registration::execute(&self.config, &arguments),
            Command::Config { action } => config::execute(&self.config, &action),
            Command::Database { action } => {
                block_on(database::execute(load(&self.config)?, action))
            }
            Command::Partner { action } => partner::execute(&load(&self.config)?, action),
            Command::Doctor => block_on(doctor::execute(self.config)),
            Command::RecoveryKey => block_on(recovery_key::execute(load(&self.config)?)),
            Command::Openapi => openapi::execute(),
            Command::Sandbox => block_on(sandbox::execute(load(&self.config)?)),
        }
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    let config = Config::load(path)?;
    crate::telemetry::start(&config.logging);
    Ok(config)
}

/// Writes a text to standard output, whose reader may stop before the end.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).into())
        }
        _ => Ok(()),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)?
        .block_on(work)
}

/// Resolves at the first `SIGINT` or `SIGTERM`.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
