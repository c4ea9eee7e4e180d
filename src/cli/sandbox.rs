//! `drawbridge sandbox`: the gatekeeper alone.

use super::{Failure, asked_to_stop};
use crate::{app, config::Config, sandbox::Flavour};

pub(super) async fn execute(config: Config) -> Result<(), Failure> {
    let sandbox = app::start_sandbox(&config, std::sync::Arc::new(crate::clock::SystemClock))
        .await
        .map_err(|error| {
            Failure::hinted(error, "is another drawbridge running the sandbox already?")
        })?;
    println!("page: http://{}/", sandbox.http_address());
    println!("chat: {}", sandbox.chat_address());
    for (name, flavour) in [
        ("whatsapp", Flavour::WhatsApp),
        ("messenger", Flavour::Messenger),
    ] {
        // JSON is YAML: this is the file that a bridge elsewhere takes as the last layer of its profile.
        let path = config.sandbox.data_dir.join(format!("{name}.profile.yaml"));
        std::fs::write(&path, sandbox.profile_layer(flavour).to_string())
            .map_err(anyhow::Error::from)?;
        println!("profile: {}", path.display());
    }
    asked_to_stop().await;
    sandbox.shutdown().await;
    Ok(())
}
