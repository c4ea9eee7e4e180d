//! Postgres: a few writing connections side by side, and a pool that reads.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Store, StoreError, sealing::Sealer};

#[path = "queries/mod.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "one text of queries, compiled once an engine"
)]
mod queries;

type Db = sqlx::Postgres;

const ENGINE: &str = "postgres";
const BEGIN: &str = "BEGIN";
const BEGIN_READ: &str = "BEGIN READ ONLY";
/// The row stays locked until the commit, so that nobody takes the database over between the question and the commit.
const EPOCH: &str = "SELECT epoch FROM instance WHERE id = 1 FOR SHARE";
const LANES: usize = 4;
const READERS: u32 = 6;
static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// Connects to a database.
///
/// # Errors
/// What of the address, the connection or a migration failed.
pub(super) async fn connect(uri: &str, sealer: Arc<Sealer>) -> Result<Arc<dyn Store>, StoreError> {
    let options = PgConnectOptions::from_str(uri)?
        .application_name("drawbridge")
        .statement_cache_capacity(200);
    let pool = || {
        PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(10))
            // A broken connection shows at the first query, and what failed by it is tried again.
            .test_before_acquire(false)
    };
    let writers = pool()
        .max_connections(u32::try_from(LANES).expect("a small number"))
        .connect_with(options.clone())
        .await?;
    let readers = pool().max_connections(READERS).connect_lazy_with(options);
    Ok(Arc::new(
        queries::Engine::start(writers, readers, sealer).await?,
    ))
}
