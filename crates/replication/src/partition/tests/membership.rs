//! Who is in sync: what the leader proposes, and what counts until the controller has decided.

use super::followers::{fetch, leader_of_three, of_three, serve};
use super::*;
use crate::in_sync::InSyncReplica;

type Effects = Vec<Effect<&'static str, Need>>;

fn proposal(effects: Effects) -> IsrProposal {
    match <[_; 1]>::try_from(effects) {
        Ok([Effect::ProposeIsr(proposal)]) => proposal,
        other => panic!("{other:?}"),
    }
}

fn members(proposal: &IsrProposal) -> Vec<(i32, i64)> {
    proposal.isr.iter().map(|replica| (replica.id.0, replica.broker_epoch)).collect()
}

fn accepted(sent: &IsrProposal) -> Result<IsrState, ErrorCode> {
    Ok(IsrState {
        leader_epoch: sent.leader_epoch,
        partition_epoch: sent.partition_epoch + 1,
        isr: sent.isr.iter().map(|replica: &InSyncReplica| replica.id).collect(),
    })
}

fn isr(partition: &TestPartition) -> Vec<BrokerId> {
    partition.leader(LeaderEpoch::NONE).unwrap().in_sync_replicas().to_vec()
}

#[test]
fn kip_320_a_follower_joins_when_it_has_all_from_before_the_epoch() {
    let mut partition = leader_of_three(&[1], 1);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(serve(&mut partition, fetch(2, 9), 0), []);
    let sent = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!((sent.leader_epoch, sent.partition_epoch), (LeaderEpoch(5), 5));
    assert_eq!(members(&sent), [(1, -1), (2, 100)]);
    assert_eq!(partition.on_isr_answer(&sent, accepted(&sent)), []);
    assert_eq!(isr(&partition), ids(&[1, 2]));
    assert_eq!(partition.on_assignment(&of_three(6, &[1, 2]), log(10, 10), 0), [], "is no news");
}

#[test]
fn kip_320_the_high_watermark_alone_does_not_make_a_follower_in_sync() {
    // The high watermark that this leader knows is 4, and records up to 10 may be committed.
    let mut partition = leader_of_three(&[1, 3], 1);
    assert_eq!(serve(&mut partition, fetch(2, 9), 0), []);
    assert_eq!(
        members(&proposal(serve(&mut partition, fetch(2, 10), 0))),
        [(1, -1), (3, -1), (2, 100)]
    );
}

#[test]
fn kip_903_who_is_fenced_or_replaced_does_not_join() {
    let mut partition = leader_of_three(&[1], 1);
    let fenced = FollowerFetch {
        active_epoch: None,
        ..fetch(2, 10)
    };
    assert_eq!(serve(&mut partition, fenced, 0), []);
    let unknown_yet = FollowerFetch {
        broker_epoch: 101,
        ..fetch(2, 10)
    };
    assert_eq!(serve(&mut partition, unknown_yet, 0), []);
    let known = FollowerFetch {
        active_epoch: Some(101),
        ..unknown_yet
    };
    assert_eq!(members(&proposal(serve(&mut partition, known, 0))), [(1, -1), (2, 101)]);
}

#[test]
fn while_an_addition_is_proposed_the_high_watermark_waits_for_it() {
    let mut partition = leader_of_three(&[1], 1);
    let sent = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!(partition.on_append(Offset(12), 100), []);
    partition.park_produce(Acks::All, Offset(12), "waits");
    assert_eq!(partition.on_tick(5_000), [], "however long it takes");
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(
        partition.on_isr_answer(&sent, Err(ErrorCode::IneligibleReplica)),
        [answered("waits")]
    );
    assert_eq!(high_watermark(&partition), 12);
}

#[test]
fn the_high_watermark_waits_for_a_follower_that_is_about_to_join() {
    let mut partition = leader_of_three(&[1], 1);
    assert_eq!(partition.on_append(Offset(12), 100), []);
    assert_eq!(high_watermark(&partition), 12);
    let sent = proposal(serve(&mut partition, fetch(2, 12), 0));
    assert_eq!(partition.on_append(Offset(13), 100), []);
    assert_eq!(partition.on_isr_answer(&sent, Err(ErrorCode::IneligibleReplica)), []);
    assert_eq!(
        high_watermark(&partition),
        12,
        "or it would never get there while producers are busy"
    );
    assert_eq!(partition.on_tick(1_000), []);
    assert_eq!(high_watermark(&partition), 12);
    assert_eq!(partition.on_tick(1_001), []);
    assert_eq!(high_watermark(&partition), 13, "but not for ever");
}

#[test]
fn kip_903_who_dies_before_it_has_joined_holds_nothing_back() {
    let mut partition = leader_of_three(&[1], 1);
    let sent = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!(partition.on_append(Offset(12), 100), []);
    partition.park_produce(Acks::All, Offset(12), "waits");
    assert_eq!(partition.on_brokers(|_| None), [], "the controller may have accepted it");
    assert_eq!(
        partition.on_isr_answer(&sent, Err(ErrorCode::IneligibleReplica)),
        [answered("waits")]
    );
    // Another one that had everything, and is not proposed because the proposal before is undecided.
    let _ = serve(&mut partition, fetch(3, 12), 10);
    let _ = serve(&mut partition, fetch(2, 12), 10);
    assert_eq!(partition.on_append(Offset(13), 100), []);
    partition.park_produce(Acks::All, Offset(13), "waits");
    let there = |id: BrokerId| (id == BrokerId(3)).then_some(100);
    assert_eq!(partition.on_brokers(there), []);
    let _ = serve(&mut partition, fetch(3, 13), 20);
    assert_eq!(high_watermark(&partition), 13, "of broker 2 there is nobody left to wait for");
    let replaced = |id: BrokerId| (id == BrokerId(3)).then_some(101);
    assert_eq!(partition.on_append(Offset(14), 100), []);
    assert_eq!(high_watermark(&partition), 13);
    assert_eq!(partition.on_brokers(replaced), [], "it is proposed");
}

#[test]
fn while_a_removal_is_proposed_the_high_watermark_waits_for_it() {
    let mut partition = leader_of_three(&[1, 2, 3], 2);
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(partition.on_tick(1_000), []);
    assert_eq!(partition.on_append(Offset(11), 100), []);
    assert_eq!(serve(&mut partition, fetch(2, 11), 1_001), []);
    let sent = proposal(partition.on_tick(1_001));
    assert_eq!(members(&sent), [(1, -1), (2, 100)]);
    assert_eq!(high_watermark(&partition), 4);
    assert_eq!(partition.on_isr_answer(&sent, accepted(&sent)), []);
    assert_eq!(high_watermark(&partition), 11);
}

#[test]
fn a_follower_that_reads_what_there_was_when_it_asked_before_does_not_lag() {
    let mut partition = leader_of_three(&[1, 2], 1);
    assert_eq!(serve(&mut partition, fetch(2, 8), 0), []);
    for step in 1..10 {
        // Always one append behind, but never by more than the time of one.
        assert_eq!(partition.on_append(Offset(10 + step), 1), []);
        assert_eq!(serve(&mut partition, fetch(2, 9 + step), step * 900), []);
        assert_eq!(partition.on_tick(step * 900), []);
    }
    assert_eq!(members(&proposal(partition.on_tick(9_101))), [(1, -1)]);
}

#[test]
fn a_follower_that_has_all_of_an_idle_partition_does_not_lag() {
    let mut partition = leader_of_three(&[1, 2], 1);
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(partition.on_tick(1_000_000), []);
}

#[test]
fn an_answer_that_nobody_gave_is_asked_for_again() {
    let mut partition = leader_of_three(&[1], 1);
    let first = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!(partition.on_tick(100), [], "one at a time");
    assert_eq!(partition.on_isr_answer(&first, Err(ErrorCode::RequestTimedOut)), []);
    let second = proposal(partition.on_tick(200));
    assert_eq!((&second.isr, second.partition_epoch), (&first.isr, first.partition_epoch));
    assert_eq!(
        partition.on_isr_answer(&first, Err(ErrorCode::IneligibleReplica)),
        [],
        "of the first sending"
    );
    assert_eq!(partition.on_append(Offset(11), 1), []);
    assert_eq!(high_watermark(&partition), 10, "the second is undecided");
    // The first is on its way no longer than followers may lag.
    assert_eq!(partition.on_isr_answer(&second, Err(ErrorCode::IneligibleReplica)), []);
    assert_eq!(partition.on_tick(1_200), []);
    assert_eq!(high_watermark(&partition), 10, "the first may be accepted yet");
    let _ = partition.on_tick(1_201);
    assert_eq!(high_watermark(&partition), 11);
}

#[test]
fn an_answer_to_an_earlier_proposal_does_not_decide_the_present_one() {
    let mut partition = leader_of_three(&[1], 1);
    let first = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!(partition.on_assignment(&of_three(6, &[1, 2]), log(10, 10), 0), []);
    let second = proposal(serve(&mut partition, fetch(3, 10), 0));
    assert_eq!(second.partition_epoch, 6);
    assert_eq!(partition.on_isr_answer(&first, accepted(&first)), []);
    assert_eq!(partition.on_isr_answer(&first, Err(ErrorCode::IneligibleReplica)), []);
    assert_eq!(partition.on_append(Offset(11), 1), []);
    assert_eq!(serve(&mut partition, fetch(2, 11), 5_000), []);
    assert_eq!(high_watermark(&partition), 10, "3 is still proposed");
    assert_eq!(partition.on_isr_answer(&second, accepted(&second)), []);
    assert_eq!(isr(&partition), ids(&[1, 2, 3]));
}

#[test]
fn what_the_metadata_have_overtaken_is_decided_by_them() {
    let mut partition = leader_of_three(&[1], 1);
    let sent = proposal(serve(&mut partition, fetch(2, 10), 0));
    assert_eq!(partition.on_isr_answer(&sent, Err(ErrorCode::InvalidUpdateVersion)), []);
    assert_eq!(partition.on_tick(100_000), [], "the metadata will say so");
    assert_eq!(partition.on_append(Offset(11), 1), []);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(partition.on_assignment(&of_three(6, &[1]), log(11, 11), 100_000), []);
    assert_eq!(high_watermark(&partition), 11);
}
