//! Notices of the bridge that are edited when what they are about changes.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{Result, Txn};
use crate::{
    domain::PortalId,
    store::{NoticeRepository, NoticeRow},
};

#[async_trait]
impl NoticeRepository for Txn {
    async fn notice(&mut self, portal: PortalId, about: &str) -> Result<Option<NoticeRow>> {
        let row =
            sqlx::query("SELECT event_id, text FROM notices WHERE portal = $1 AND about = $2")
                .bind(portal.0)
                .bind(about)
                .fetch_optional(&mut *self.tx)
                .await?;
        row.map(|row| {
            Ok(NoticeRow {
                event_id: row.try_get(0)?,
                text: row.try_get(1)?,
            })
        })
        .transpose()
    }

    async fn put_notice(
        &mut self,
        portal: PortalId,
        about: &str,
        notice: &NoticeRow,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO notices (portal, about, event_id, text) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (portal, about) DO UPDATE SET event_id = excluded.event_id, text = excluded.text",
        )
        .bind(portal.0)
        .bind(about)
        .bind(&notice.event_id)
        .bind(&notice.text)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn delete_notice(&mut self, portal: PortalId, about: &str) -> Result<()> {
        sqlx::query("DELETE FROM notices WHERE portal = $1 AND about = $2")
            .bind(portal.0)
            .bind(about)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
