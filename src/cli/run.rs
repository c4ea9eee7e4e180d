//! `drawbridge run`: the bridge.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Failure, asked_to_stop};
use crate::{
    app::{App, AppError},
    clock::SystemClock,
    config::Config,
};

pub(super) async fn execute(config: Config) -> Result<(), Failure> {
    let app = App::build(config, Arc::new(SystemClock))
        .await
        .map_err(explain)?;
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        asked.cancel();
    });
    app.run_until(shutdown).await.map_err(explain)
}

fn explain(error: AppError) -> Failure {
    let hint = match &error {
        AppError::Store(_) => "`drawbridge doctor` checks the database",
        AppError::Listen { .. } => {
            "another program listens there, perhaps another drawbridge: stop it or change the address"
        }
        AppError::Homeserver(_) => {
            "does the homeserver have this registration, and was it restarted? `drawbridge doctor` tells more"
        }
        AppError::Profile { .. } => "README.md, \"Going live\", says what a profile needs",
        _ => "`drawbridge doctor` checks the whole way",
    };
    Failure::hinted(error, hint)
}
