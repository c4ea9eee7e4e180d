//! Events that disappear.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::{PortalId, Timestamp},
    store::{ExpiryRepository, ExpiryRow},
};

#[async_trait]
impl ExpiryRepository for Txn {
    async fn put_expiry(&mut self, expiry: &ExpiryRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO expiries (portal, event_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT (portal, event_id) DO NOTHING",
        )
        .bind(expiry.portal.0)
        .bind(&expiry.event_id)
        .bind(expiry.at.0)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn expired(&mut self, now: Timestamp, limit: i64) -> Result<Vec<ExpiryRow>> {
        let rows = sqlx::query(
            "SELECT portal, event_id, expires_at FROM expiries WHERE expires_at <= $1 ORDER BY expires_at, portal, event_id LIMIT $2",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ExpiryRow {
                    portal: PortalId(row.try_get(0)?),
                    event_id: row.try_get(1)?,
                    at: Timestamp(row.try_get(2)?),
                })
            })
            .collect()
    }

    async fn next_expiry(&mut self) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT expires_at FROM expiries ORDER BY expires_at LIMIT 1")
            .fetch_optional(&mut *self.tx)
            .await?;
        row.map(|row| Ok(Timestamp(row.try_get(0)?))).transpose()
    }

    async fn delete_expiry(&mut self, portal: PortalId, event_id: &str) -> Result<()> {
        sqlx::query("DELETE FROM expiries WHERE portal = $1 AND event_id = $2")
            .bind(portal.0)
            .bind(event_id)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
