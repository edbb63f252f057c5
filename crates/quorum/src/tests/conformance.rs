//! openraft's own suite for stores.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::*;
use crate::state_machine::StateMachine;

struct InTemporaryDirectories;

impl StoreBuilder<TypeConfig, LogStore<Tokio>, StateMachine, TempDir> for InTemporaryDirectories {
    async fn build(&self) -> Result<(TempDir, LogStore<Tokio>, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
        let store = LogStore::open(&disk, dir.path(), 0).unwrap();
        let state_machine = StateMachine::open(&disk, dir.path(), store.purged()).unwrap();
        Ok((dir, store, state_machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stores_do_what_openraft_expects_of_stores() {
    Suite::test_all(InTemporaryDirectories).await.unwrap();
}
