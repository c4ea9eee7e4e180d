//! The drawbridge program: parse, load the configuration, run. The only place that exits.

use std::process::ExitCode;

use clap::Parser as _;
use drawbridge::cli::{Cli, Failure};

fn main() -> ExitCode {
    // A crash point ends the process there and then, as a power cut would.
    #[cfg(feature = "crash-points")]
    let _scenario = {
        std::panic::set_hook(Box::new(|_| std::process::abort()));
        fail::FailScenario::setup()
    };
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, hint, code }) => {
            eprintln!("error: {}", told(&error));
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(code)
        }
    }
}

/// An error with its causes, each said once: many of ours name their cause in their own words already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
