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
            eprintln!("error: {error:#}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(code)
        }
    }
}
