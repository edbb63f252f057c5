//! Tables as Apache's tool has printed them.

use dohle_client::consumer::OffsetAndMetadata;

use super::*;

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn member(id: &str, instance_id: Option<&str>, client_id: &str, assignment: &[TopicPartition]) -> MemberDescription {
    MemberDescription {
        id: id.into(),
        instance_id: instance_id.map(str::to_owned),
        client_id: client_id.into(),
        host: "/127.0.0.1".into(),
        assignment: assignment.to_vec(),
    }
}

fn group(state: &str, members: Vec<MemberDescription>) -> GroupDescription {
    GroupDescription {
        state: state.into(),
        protocol_type: "consumer".into(),
        assignor: if members.is_empty() { String::new() } else { "range".into() },
        coordinator: 1,
        members,
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn offsets_of_a_group_without_members() {
    let committed = GroupOffsets::from([(tp("t", 0), OffsetAndMetadata::new(7)), (tp("u", 0), OffsetAndMetadata::new(5))]);
    let ends = BTreeMap::from([(tp("t", 0), Some(10)), (tp("u", 0), None)]);
    let rows = offset_rows("empty-group", &group("Empty", vec![]), &committed, &ends);
    assert_eq!(
        text(|out| write_offsets(out, &rows, false)),
        concat!(
            "\n",
            "GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID\n",
            "empty-group     t               0          7               10              3               -               -               -\n",
            "empty-group     u               0          5               -               -               -               -               -\n",
        )
    );
}

#[test]
fn offsets_of_members_come_first_and_columns_grow() {
    let few = member("few-ccae38e0-5513-4bb3-932d-4b85dc099cd7", None, "few", &[tp("t", 2)]);
    let many = member("many", None, "m", &[tp("t", 0), tp("t", 1)]);
    let known = OffsetAndMetadata {
        leader_epoch: 4,
        ..OffsetAndMetadata::new(10)
    };
    let committed = GroupOffsets::from([(tp("t", 0), known), (tp("t", 9), OffsetAndMetadata::new(0))]);
    let ends = [0, 1, 2, 9].map(|partition| (tp("t", partition), Some(10))).into();
    let rows = offset_rows("live-group", &group("Stable", vec![few, many]), &committed, &ends);
    assert_eq!(
        text(|out| write_offsets(out, &rows, true)),
        concat!(
            "\n",
            "GROUP           TOPIC           PARTITION  LEADER-EPOCH    CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID                              HOST            CLIENT-ID\n",
            "live-group      t               0          4               10              10              0               many                                     /127.0.0.1      m\n",
            "live-group      t               1          -               -               10              -               many                                     /127.0.0.1      m\n",
            "live-group      t               2          -               -               10              -               few-ccae38e0-5513-4bb3-932d-4b85dc099cd7 /127.0.0.1      few\n",
            "live-group      t               9          -               0               10              10              -                                        -               -\n",
        )
    );
    assert_eq!(text(|out| write_offsets(out, &[], false)), "");
}

#[test]
fn members_with_and_without_instances() {
    let plain = member(
        "live2-d90c2819-3d41-48bb-84ad-fb6aa9ddc267",
        None,
        "live2",
        &[tp("t", 0), tp("t", 1), tp("u", 0)],
    );
    let fixed = member("inst-1-ef0a19a0", Some("inst-1"), "live-inst-1", &[]);
    assert_eq!(
        text(|out| write_members(out, "live2-group", std::slice::from_ref(&plain), true)),
        concat!(
            "\n",
            "GROUP           CONSUMER-ID                                HOST            CLIENT-ID       #PARTITIONS     CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   \n",
            "live2-group     live2-d90c2819-3d41-48bb-84ad-fb6aa9ddc267 /127.0.0.1      live2           3               -               t:0,1;u:0            -               -                   \n",
        )
    );
    assert_eq!(
        text(|out| write_members(out, "g", &[fixed, plain], false)),
        concat!(
            "\n",
            "GROUP           CONSUMER-ID                                GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     \n",
            "g               inst-1-ef0a19a0                            inst-1            /127.0.0.1      live-inst-1     0               \n",
            "g               live2-d90c2819-3d41-48bb-84ad-fb6aa9ddc267                   /127.0.0.1      live2           3               \n",
        )
    );
    assert_eq!(
        text(|out| write_members(out, "g", &[], false)),
        "\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     \n"
    );
}

#[test]
fn states() {
    let coordinator = || "127.0.0.1:19892  (1)".to_owned();
    assert_eq!(
        text(|out| write_state(out, "empty-group", &group("Empty", vec![]), coordinator(), false)),
        concat!(
            "\n",
            "GROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS\n",
            "empty-group     127.0.0.1:19892  (1)      -                    Empty                0\n",
        )
    );
    let live = group("Stable", vec![member("a", None, "a", &[]), member("b", None, "b", &[])]);
    assert_eq!(
        text(|out| write_state(out, "live-group", &live, coordinator(), true)),
        concat!(
            "\n",
            "GROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                GROUP-EPOCH     TARGET-ASSIGNMENT-EPOCH   #MEMBERS\n",
            "live-group      127.0.0.1:19892  (1)      range                Stable               -               -                         2\n",
        )
    );
}
