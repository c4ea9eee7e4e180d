//! `drawbridge registration`: the file that introduces the bridge to its homeserver, and the secrets both share.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use clap::Args;
use rand::{TryRng as _, rngs::SysRng};

use super::{Failure, print};
use crate::{config::Config, matrix::registration};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to write it.
    #[arg(short, long, default_value = "drawbridge-registration.yaml")]
    output: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// Print a sample instead, with tokens that are never accepted.
    #[arg(long)]
    example: bool,
    /// Print the second registration instead, which lets the bridge act as the homeserver's users.
    #[arg(long, conflicts_with_all = ["output", "force", "example"])]
    double_puppet: bool,
}

pub(super) fn execute(path: &Path, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.example {
        return print(&registration::to_yaml(&Config::sample()));
    }
    for secret in Config::secret_files(path)? {
        if !secret.path.exists() {
            // The sealing key is read as base64 of exactly 32 bytes, tokens are texts that stand in headers.
            let text = if secret.key.ends_with("sealing_key") {
                STANDARD.encode(random()?)
            } else {
                URL_SAFE_NO_PAD.encode(random()?)
            };
            write_private(&secret.path, text.as_bytes(), false)?;
            eprintln!("made {} ({})", secret.path.display(), secret.key);
        }
    }
    let config = Config::load(path)?;
    if arguments.double_puppet {
        return print_double_puppet(&config);
    }
    let yaml = registration::to_yaml(&config);
    if std::fs::read_to_string(&arguments.output).is_ok_and(|text| text == yaml) {
        println!("{} is as it has to be", arguments.output.display());
        return Ok(());
    }
    write_private(&arguments.output, yaml.as_bytes(), arguments.force)?;
    println!("made {}", arguments.output.display());
    println!(
        "Give it to the homeserver: with Synapse, name it under app_service_config_files in homeserver.yaml and restart; with the Conduit family, send its content to the admin room. README.md has both, step by step."
    );
    Ok(())
}

fn print_double_puppet(config: &Config) -> Result<(), Failure> {
    let Some(yaml) = registration::double_puppet_yaml(config) else {
        return Err(Failure::hinted(
            anyhow::anyhow!("the configuration has no token to act as users with"),
            "set double_puppets.as_token_file to the name of a file that is to be made, such as double_puppet_token",
        ));
    };
    print(&yaml)
}

/// 32 bytes from the operating system.
fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    SysRng
        .try_fill_bytes(&mut bytes)
        .context("the operating system gives no random bytes")?;
    Ok(bytes)
}

fn write_private(path: &Path, content: &[u8], replace: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(0o600);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path).map_err(|error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let hint = if exists {
            "the homeserver may use it already: move it away, or replace it with --force"
        } else {
            "does its folder exist, and may this user write there?"
        };
        let error =
            anyhow::Error::from(error).context(format!("{} cannot be written", path.display()));
        Failure::hinted(error, hint)
    })?;
    file.write_all(content)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}
