//! A store for a test.

use std::path::Path;

use drawbridge::store::Database;

pub(crate) async fn open_store(dir: &Path) -> Database {
    panic!("{dir:?}")
}
