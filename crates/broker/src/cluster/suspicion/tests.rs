//! Who is waited for, how long, and who is still named afterwards.

use std::pin::pin;
use std::sync::Arc;

use dohle_metadata::image::ClusterImage;
use dohle_metadata::record::RegisterBrokerRecord;
use dohle_protocol::id::Offset;
use futures_util::poll;

use super::*;

const SUSPECT: BrokerId = BrokerId(1);

fn version(fenced: bool) -> MetadataVersion {
    let record = RegisterBrokerRecord {
        broker_id: SUSPECT.0,
        fenced,
        ..Default::default()
    };
    MetadataVersion {
        image: Arc::new(ClusterImage::from_records([&record.into()])),
        offset: Offset(0),
    }
}

async fn is_settled(suspicion: &Suspicion, versions: &watch::Sender<MetadataVersion>) -> bool {
    let mut settled = pin!(suspicion.settled(versions.subscribe()));
    poll!(settled.as_mut()).is_ready()
}

#[tokio::test]
async fn nobody_waits_without_a_reason() {
    let versions = watch::Sender::new(version(false));
    assert!(is_settled(&Suspicion::default(), &versions).await);
}

#[tokio::test]
async fn who_asks_right_after_a_broker_died_is_answered_when_it_is_fenced_and_told_where_it_was() {
    let (suspicion, versions) = (Suspicion::default(), watch::Sender::new(version(false)));
    suspicion.may_be_gone(SUSPECT);
    assert!(!is_settled(&suspicion, &versions).await);
    versions.send_replace(version(true));
    assert!(is_settled(&suspicion, &versions).await);
    assert!(suspicion.is_listed(SUSPECT) && !suspicion.is_listed(BrokerId(2)));
}

#[tokio::test]
async fn who_is_heard_of_again_is_no_suspect() {
    let (suspicion, versions) = (Suspicion::default(), watch::Sender::new(version(false)));
    suspicion.may_be_gone(SUSPECT);
    let mut settled = pin!(suspicion.settled(versions.subscribe()));
    assert!(poll!(settled.as_mut()).is_pending());
    suspicion.is_alive(SUSPECT);
    assert!(poll!(settled.as_mut()).is_ready());
    assert!(!suspicion.is_listed(SUSPECT));
}

#[tokio::test]
async fn nobody_waits_longer_than_it_may_take() {
    let (suspicion, versions) = (Suspicion::default(), watch::Sender::new(version(false)));
    suspicion.may_be_gone(SUSPECT);
    suspicion.settled(versions.subscribe()).await;
    assert!(is_settled(&suspicion, &versions).await);
}
