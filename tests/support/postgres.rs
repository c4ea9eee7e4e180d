//! A Postgres database of one's own in the cluster of the test run.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Makes an empty database in the cluster and gives its address.
pub(crate) async fn fresh(cluster: &str) -> String {
    let name = format!("test_{:016x}", rand::random::<u64>());
    let mut connection = PgConnection::connect(cluster)
        .await
        .expect("the test cluster of DRAWBRIDGE_TEST_POSTGRES answers");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("the test user may make databases");
    let mut url = url::Url::parse(cluster).expect("the cluster has a URL");
    url.set_path(&name);
    url.to_string()
}
