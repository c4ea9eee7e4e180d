//! Whether the store can be read, and what was set aside in it.

use super::Database;
use crate::domain::Finding;

/// How many events in quarantine are counted.
const COUNTED: i64 = 1000;

impl Database {
    /// Whether the logins' keys open, and whether events wait for the operator.
    pub async fn check(&self) -> Vec<Finding> {
        let mut found = vec![Finding::Good(format!("database ({})", self.engine()))];
        let logins = self
            .read(|txn| Box::pin(async move { txn.logins().await }))
            .await;
        found.push(match logins {
            Ok(logins) => Finding::Good(format!("{} logins, and their keys open", logins.len())),
            Err(error) => Finding::bad(
                format!("the logins cannot be read: {error}"),
                "database.sealing_key has to be the key the database was written with: put the old one back",
            ),
        });
        let set_aside = self
            .read(|txn| Box::pin(async move { txn.quarantined_events(COUNTED).await }))
            .await;
        if let Ok(set_aside) = set_aside
            && !set_aside.is_empty()
        {
            found.push(Finding::Note(format!(
                "{} events could not be understood and are set aside: the command `quarantine` shows them",
                set_aside.len()
            )));
        }
        found
    }
}
