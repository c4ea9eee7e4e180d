//! Events on their way to one chat of their room each.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::{PortalId, Timestamp},
    store::{DeliveryRepository, DeliveryRow, InboxEvent, MatrixInboxRepository as _},
};

#[async_trait]
impl DeliveryRepository for Txn {
    async fn hand_on(
        &mut self,
        event: &InboxEvent,
        to: &[PortalId],
        source: Option<PortalId>,
    ) -> Result<()> {
        if !self.finish_event(event.seq).await? {
            return Ok(());
        }
        for portal in to {
            sqlx::query(
                "INSERT INTO matrix_deliveries (seq, portal, event_id, room_id, json, received_at, source) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(event.seq)
            .bind(portal.0)
            .bind(&event.event_id)
            .bind(&event.room_id)
            .bind(event.sealed.as_ref().unwrap_or(&event.json))
            .bind(event.received_at.0)
            .bind(source.map(|source| source.0))
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    async fn portals_waiting(&mut self) -> Result<Vec<PortalId>> {
        let rows = sqlx::query("SELECT DISTINCT portal FROM matrix_deliveries")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| Ok(PortalId(row.try_get(0)?)))
            .collect()
    }

    async fn deliveries(&mut self, portal: PortalId, limit: i64) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query(
            "SELECT seq, event_id, room_id, json, received_at, source FROM matrix_deliveries WHERE portal = $1 ORDER BY seq LIMIT $2",
        )
        .bind(portal.0)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DeliveryRow {
                    event: InboxEvent {
                        seq: row.try_get(0)?,
                        event_id: row.try_get(1)?,
                        room_id: row.try_get(2)?,
                        json: row.try_get(3)?,
                        received_at: Timestamp(row.try_get(4)?),
                        was_locked: false,
                        sealed: None,
                    },
                    portal,
                    source: row.try_get::<Option<i64>, _>(5)?.map(PortalId),
                })
            })
            .collect()
    }

    async fn finish_delivery(&mut self, portal: PortalId, seq: i64) -> Result<()> {
        sqlx::query("DELETE FROM matrix_deliveries WHERE portal = $1 AND seq = $2")
            .bind(portal.0)
            .bind(seq)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
