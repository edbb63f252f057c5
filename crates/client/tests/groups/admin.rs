//! The administrator at a broker that answers for one group at a time, and names topics.

use std::collections::BTreeMap;

use dohle_client::admin::group_offsets::GroupOffsets;
use dohle_client::consumer::OffsetAndMetadata;
use dohle_client::{Admin, ClientConfig, TopicPartition};

use crate::server::{Server, TOPIC};

#[tokio::test]
async fn offsets_are_committed_and_read_group_by_group() {
    let server = Server::start(3, &[]).await;
    let admin = Admin::connect(ClientConfig::for_servers(&server.address()).unwrap()).await.unwrap();
    let offsets: GroupOffsets = [(0, 7), (2, 9)]
        .into_iter()
        .map(|(partition, offset)| (TopicPartition::new(TOPIC, partition), OffsetAndMetadata::new(offset)))
        .collect();
    let answers = admin.alter_group_offsets("g", &offsets).await.unwrap();
    assert!(answers.len() == 2 && answers.values().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.committed(), BTreeMap::from([(0, 7), (2, 9)]));
    assert_eq!(server.events(), ["commit 0 at 7 in -1", "commit 2 at 9 in -1"]);
    server.change(|state| state.coordinator = 2);
    let read = admin.list_group_offsets(&["g".to_owned(), "h".to_owned()]).await.unwrap();
    assert_eq!(read.keys().collect::<Vec<_>>(), ["g", "h"]);
    for (group, read) in read {
        assert_eq!(read.unwrap(), offsets, "{group}");
    }
}
