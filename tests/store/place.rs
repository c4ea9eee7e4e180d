//! Where a case has its database: a file of its own, or a database of its own in the test run's cluster.

use std::{fmt::Write as _, path::PathBuf};

use drawbridge::{
    domain::{ChatId, GatekeeperId, LoginId, PortalId, RemoteUserId, StanzaId, Timestamp},
    store::{
        self, Database, LoginRow, LoginSecrets, LoginState, NewOutboxRow, NewRemoteMessage,
        OpenReport, OutboxKind, StoreError,
    },
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use tempfile::TempDir;

/// Runs a step in the lane of [`LOGIN`] that must succeed.
macro_rules! step {
    ($db:expr, $txn:ident => $body:expr) => {
        $db.step(
            drawbridge::store::Lane::login(crate::place::LOGIN),
            move |$txn| Box::pin(async move { $body }),
        )
        .await
        .unwrap()
    };
}
pub(crate) use step;

pub(crate) const LOGIN: LoginId = LoginId(7);
pub(crate) const PORTAL: PortalId = PortalId(70);
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const PLAINTEXT: &[u8] = b"the secret plan of the test";

/// A case's database.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) uri: String,
    pub(crate) key: [u8; 32],
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            uri: format!("sqlite:{}", folder.path().join("bridge.db").display()),
            folder,
            key: [42; 32],
        }
    }

    pub(crate) async fn postgres() -> Self {
        let name = format!("store_{:016x}", rand::random::<u64>());
        let cluster = cluster();
        administer(&cluster, &format!("CREATE DATABASE {name}")).await;
        Self {
            folder: tempfile::tempdir().unwrap(),
            uri: named(&cluster, &name),
            key: [42; 32],
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.uri.starts_with("sqlite:")
    }

    pub(crate) fn guard(&self) -> PathBuf {
        self.folder.path().join("guard")
    }

    pub(crate) async fn try_open(&self) -> Result<(Database, OpenReport), StoreError> {
        store::open(&self.uri, &self.key, Some(&self.guard()), NOW).await
    }

    pub(crate) async fn open(&self) -> Database {
        self.try_open().await.unwrap().0
    }

    /// A copy of the closed database, with the same guard file.
    pub(crate) async fn copy(&self) -> String {
        if let Some(path) = self.uri.strip_prefix("sqlite:") {
            let copy = format!("{path}.copy");
            std::fs::copy(path, &copy).unwrap();
            return format!("sqlite:{copy}");
        }
        let (_, name) = self.uri.rsplit_once('/').unwrap();
        let copy = format!("{name}_copy");
        administer(
            &cluster(),
            &format!("CREATE DATABASE {copy} TEMPLATE {name}"),
        )
        .await;
        named(&cluster(), &copy)
    }

    /// Changes the database behind the store's back.
    pub(crate) async fn sql(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.uri).await.unwrap();
            sqlx::raw_sql(statement)
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.uri).await.unwrap();
            sqlx::raw_sql(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let statement = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.uri).await.unwrap();
            let row = sqlx::query(statement).fetch_one(&mut connection).await;
            row.unwrap().get(0)
        } else {
            let mut connection = PgConnection::connect(&self.uri).await.unwrap();
            let row = sqlx::query(statement).fetch_one(&mut connection).await;
            row.unwrap().get(0)
        }
    }

    /// Whether some bytes can be found in the database as it is stored.
    pub(crate) async fn contains(&self, needle: &[u8]) -> bool {
        if self.is_sqlite() {
            return std::fs::read_dir(self.folder.path())
                .unwrap()
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle));
        }
        let hex = needle.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let text = String::from_utf8_lossy(needle).into_owned();
        let mut connection = PgConnection::connect(&self.uri).await.unwrap();
        let tables = sqlx::query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for table in tables {
            let table: String = table.get(0);
            let rows = sqlx::query(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            for row in rows {
                let row: String = row.get(0);
                if row.contains(&hex) || row.contains(&text) {
                    return true;
                }
            }
        }
        false
    }
}

fn cluster() -> String {
    std::env::var("DRAWBRIDGE_TEST_POSTGRES").expect(
        "the Postgres cases need a cluster: run them by scripts/test, or scripts/postgres-run cargo test --test store",
    )
}

fn named(cluster: &str, database: &str) -> String {
    let (server, _) = cluster.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

async fn administer(cluster: &str, statement: &str) {
    let mut connection = PgConnection::connect(cluster)
        .await
        .expect("the cluster of DRAWBRIDGE_TEST_POSTGRES answers");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

pub(crate) fn gatekeeper() -> GatekeeperId {
    GatekeeperId::parse("whatsapp").unwrap()
}

pub(crate) fn chat(number: u32) -> ChatId {
    ChatId::parse(format!("{number}@s.whatsapp.net")).unwrap()
}

pub(crate) fn user(number: u32) -> RemoteUserId {
    RemoteUserId::parse(format!("{number}@s.whatsapp.net")).unwrap()
}

pub(crate) fn stanza(id: &str) -> StanzaId {
    StanzaId::parse(id).unwrap()
}

pub(crate) fn login(id: LoginId, visible_id: &str) -> LoginRow {
    LoginRow {
        id,
        gatekeeper: gatekeeper(),
        mxid: "@alice:example.org".to_owned(),
        visible_id: visible_id.to_owned(),
        remote_login: None,
        state: LoginState::Enlisting,
        secrets: LoginSecrets {
            noise_private: PLAINTEXT.to_vec(),
            identity_pair: vec![2; 64],
            registration_id: 99,
        },
        next_prekey_id: 1,
        signed_prekey_id: 1,
    }
}

pub(crate) fn outgoing(id: &str) -> NewOutboxRow {
    NewOutboxRow {
        login: LOGIN,
        stanza_id: stanza(id),
        chat: chat(1),
        kind: OutboxKind::Message,
        payload: format!("payload of {id}").into_bytes(),
        plaintext: PLAINTEXT.to_vec(),
        portal: Some(PORTAL),
        event_id: Some(format!("$event-{id}")),
        part: 0,
        created_at: NOW,
    }
}

pub(crate) fn incoming(id: &str) -> NewRemoteMessage {
    NewRemoteMessage {
        login: LOGIN,
        chat: chat(1),
        sender: user(1),
        stanza_id: stanza(id),
        ciphertext_hash: vec![1; 32],
        plaintext: Some(PLAINTEXT.to_vec()),
        notice: None,
        sent_at: NOW,
        display_name: Some("Bob".to_owned()),
        received_at: NOW,
    }
}
