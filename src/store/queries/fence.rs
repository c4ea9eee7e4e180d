//! Who may write, and how often ratchets were written.

use async_trait::async_trait;
use sqlx::Row as _;

use super::{EPOCH, Result, Txn, corrupt};
use crate::{
    domain::Timestamp,
    store::{FenceRepository, Instance, Renewal},
};

const TABLE: &str = "instance";

fn column(lane: usize) -> Result<i64> {
    i64::try_from(lane).map_err(|error| corrupt("ratchet_commits", &error))
}

#[async_trait]
impl FenceRepository for Txn {
    async fn instance(&mut self) -> Result<Option<Instance>> {
        let row = sqlx::query(
            "SELECT database_id, sealing_check, epoch, renewal FROM instance WHERE id = 1",
        )
        .fetch_optional(&mut *self.tx)
        .await?;
        row.map(|row| {
            let database_id: Vec<u8> = row.try_get("database_id")?;
            let sealed: Vec<u8> = row.try_get("sealing_check")?;
            self.sealer.open(TABLE, "1", "sealing_check", &sealed)?;
            Ok(Instance {
                database_id: database_id
                    .try_into()
                    .map_err(|_| corrupt(TABLE, &"the database's id is not 16 bytes"))?,
                epoch: row.try_get("epoch")?,
                renewal: match row.try_get::<i64, _>("renewal")? {
                    0 => None,
                    1 => Some(Renewal::Restored),
                    _ => Some(Renewal::GuardMissing),
                },
            })
        })
        .transpose()
    }

    async fn create_instance(&mut self, database_id: &[u8; 16]) -> Result<()> {
        let check = self.sealer.seal(TABLE, "1", "sealing_check", b"drawbridge");
        sqlx::query(
            "INSERT INTO instance (id, database_id, sealing_check, epoch, started_at, renewal) VALUES (1, $1, $2, 0, 0, 0)",
        )
        .bind(&database_id[..])
        .bind(check)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn take_over(&mut self, now: Timestamp) -> Result<i64> {
        let row = sqlx::query(
            "UPDATE instance SET epoch = epoch + 1, started_at = $1 WHERE id = 1 RETURNING epoch",
        )
        .bind(now.0)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(row.try_get(0)?)
    }

    async fn epoch(&mut self) -> Result<i64> {
        let row = sqlx::query(EPOCH).fetch_one(&mut *self.tx).await?;
        Ok(row.try_get(0)?)
    }

    async fn set_renewal(&mut self, renewal: Option<Renewal>) -> Result<()> {
        let number: i64 = match renewal {
            None => 0,
            Some(Renewal::Restored) => 1,
            Some(Renewal::GuardMissing) => 2,
        };
        sqlx::query("UPDATE instance SET renewal = $1 WHERE id = 1")
            .bind(number)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    fn touched_ratchets(&self) -> bool {
        self.ratchet
    }

    async fn ratchet_commits(&mut self) -> Result<Vec<(usize, i64)>> {
        let rows = sqlx::query("SELECT lane, commits FROM ratchet_commits ORDER BY lane")
            .fetch_all(&mut *self.tx)
            .await?;
        rows.iter()
            .map(|row| {
                let lane = usize::try_from(row.try_get::<i64, _>(0)?)
                    .map_err(|error| corrupt("ratchet_commits", &error))?;
                Ok((lane, row.try_get(1)?))
            })
            .collect()
    }

    async fn count_ratchet_commit(&mut self, lane: usize) -> Result<i64> {
        let row = sqlx::query(
            "INSERT INTO ratchet_commits (lane, commits) VALUES ($1, 1) \
             ON CONFLICT (lane) DO UPDATE SET commits = ratchet_commits.commits + 1 RETURNING commits",
        )
        .bind(column(lane)?)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(row.try_get(0)?)
    }

    async fn set_ratchet_commits(&mut self, lane: usize, commits: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO ratchet_commits (lane, commits) VALUES ($1, $2) \
             ON CONFLICT (lane) DO UPDATE SET commits = excluded.commits",
        )
        .bind(column(lane)?)
        .bind(commits)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
