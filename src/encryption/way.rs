//! As which device the bot's requests are made: by its name, or where the homeserver does not take that, with a token of its own.

use std::sync::atomic::Ordering;

use matrix_sdk_crypto::store::CryptoStore as _;
use secrecy::SecretString;

use super::{Inner, machine::EncryptionError};

/// Where the device's token is kept, among what the machine remembers, sealed.
const TOKEN: &str = "drawbridge.device_token";

impl Inner {
    /// Makes sure that requests are made as the bot's device.
    pub(super) async fn find_way(&self) -> Result<(), EncryptionError> {
        if self.found_way.load(Ordering::Acquire) {
            return Ok(());
        }
        let bot = self.client.bot();
        let device = self.who.1.as_str();
        let store = self.machine.read().await.store.clone();
        let kept = store.get_custom_value(TOKEN).await?;
        if let Some(token) = kept.and_then(|bytes| String::from_utf8(bytes).ok()) {
            self.client.set_bot_token(Some(SecretString::from(token)));
            match bot.whoami_device().await {
                Ok(Some(named)) if named == device => {
                    self.found_way.store(true, Ordering::Release);
                    return Ok(());
                }
                Err(error) if error.is_transient() => return Err(error.into()),
                // It is not good any more, or another device's.
                _ => self.client.set_bot_token(None),
            }
        }
        let named = bot.whoami_device().await?;
        if named.as_deref() != Some(device) {
            let token = bot.log_in_device().await.map_err(|error| {
                if error.is_transient() {
                    return EncryptionError::Matrix(error);
                }
                EncryptionError::NoDevice(format!(
                    "it takes requests for the bot as no device of it (it would with MSC4190 and MSC4326), and does not let the bridge log in as the bot: {error}"
                ))
            })?;
            store
                .set_custom_value(TOKEN, token.clone().into_bytes())
                .await?;
            self.client.set_bot_token(Some(SecretString::from(token)));
            tracing::info!(
                "the bot's device has a token of its own, since the homeserver takes no device by name"
            );
        }
        self.found_way.store(true, Ordering::Release);
        Ok(())
    }
}
