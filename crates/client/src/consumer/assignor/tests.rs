//! The assignors by value, and against the results of Kafka's own for the same members.

use super::*;

fn tps(list: &str) -> Vec<TopicPartition> {
    let names = list.split(',').filter(|name| !name.is_empty() && *name != "-");
    names
        .map(|name| {
            let (topic, partition) = name.rsplit_once('-').unwrap();
            TopicPartition::new(topic, partition.parse().unwrap())
        })
        .collect()
}

fn listed(partitions: &[TopicPartition]) -> String {
    let sorted: BTreeSet<String> = partitions.iter().map(ToString::to_string).collect();
    assert_eq!(sorted.len(), partitions.len(), "a partition is listed twice: {partitions:?}");
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

fn member(topics: &str) -> MemberSubscription {
    MemberSubscription {
        topics: topics.split(',').map(Arc::from).collect(),
        ..MemberSubscription::default()
    }
}

fn members(list: &[(&str, MemberSubscription)]) -> Members {
    list.iter().map(|(id, member)| ((*id).to_owned(), member.clone())).collect()
}

fn counts(list: &[(&str, i32)]) -> PartitionCounts {
    list.iter().map(|(topic, count)| (Arc::from(*topic), *count)).collect()
}

/// `member: partitions`, one line each.
fn assigned(assignor: Assignor, members: &Members, counts: &PartitionCounts) -> Vec<String> {
    let assignments = assignor.assign(members, counts);
    assignments
        .iter()
        .map(|(id, partitions)| format!("{id}: {}", listed(partitions)))
        .collect()
}

/// What a member of the last generation brings to the next: as the assignor's members tell it.
fn with_owned(assignor: Assignor, topics: &str, owned: &[TopicPartition], generation: i32) -> MemberSubscription {
    MemberSubscription {
        owned: if assignor.is_cooperative() { owned.to_vec() } else { Vec::new() },
        user_data: assignor.user_data(Some((generation, owned))),
        generation: Some(generation),
        ..member(topics)
    }
}

/// One case of `testdata/assignors.txt`.
#[derive(Default)]
struct Case {
    assignor: Option<Assignor>,
    counts: PartitionCounts,
    members: Members,
    expected: Vec<String>,
}

/// The results of Apache Kafka 4.3.1's assignors for members and topics drawn at random: the first assignment, then two more after
/// somebody came or went, a topic grew, or a subscription changed, with what the members had, where one in eight missed a rebalance.
fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let mut case = Case::default();
        for line in block.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "assignor" => case.assignor = Assignor::named(words[1]),
                "topic" => {
                    case.counts.insert(Arc::from(words[1]), words[2].parse().unwrap());
                }
                "member" => {
                    let generation: i32 = words[4].parse().unwrap();
                    let mut member = match generation {
                        0.. => with_owned(case.assignor.unwrap(), words[3], &tps(words[5]), generation),
                        _ => member(words[3]),
                    };
                    member.instance_id = Some(words[2].to_owned()).filter(|id| id != "-");
                    case.members.insert(words[1].to_owned(), member);
                }
                "gets" => case.expected.push(format!("{}: {}", words[1], listed(&tps(words[2])))),
                _ => {}
            }
        }
        cases.extend(case.assignor.is_some().then_some(case));
    }
    cases
}

#[test]
fn the_results_are_those_of_kafka() {
    let cases = cases(include_str!("../../../testdata/assignors.txt"));
    assert!(cases.len() > 100);
    for case in cases {
        let assignor = case.assignor.unwrap();
        let found = assigned(assignor, &case.members, &case.counts);
        assert_eq!(found, case.expected, "{assignor:?} of {:?} among {:#?}", case.counts, case.members);
    }
}

#[test]
fn c6_members_beyond_the_partitions_get_nothing() {
    let four = members(&[("a", member("t")), ("b", member("t")), ("c", member("t")), ("d", member("t"))]);
    for assignor in Assignor::ALL {
        let found = assigned(assignor, &four, &counts(&[("t", 3)]));
        assert_eq!(found, ["a: t-0", "b: t-1", "c: t-2", "d: "], "{assignor:?}");
    }
}

#[test]
fn topics_that_do_not_exist_or_that_nobody_wants_are_left_out() {
    let two = members(&[("a", member("t,missing")), ("b", member("missing"))]);
    for assignor in Assignor::ALL {
        let found = assigned(assignor, &two, &counts(&[("empty", 0), ("other", 5), ("t", 2)]));
        assert_eq!(found, ["a: t-0,t-1", "b: "], "{assignor:?}");
    }
}

#[test]
fn range_begins_with_the_first_member_in_every_topic() {
    let two = members(&[("a", member("t,u")), ("b", member("t,u"))]);
    let found = assigned(Assignor::Range, &two, &counts(&[("t", 3), ("u", 3)]));
    assert_eq!(found, ["a: t-0,t-1,u-0,u-1", "b: t-2,u-2"]);
}

#[test]
fn static_members_come_first_whatever_id_they_were_given() {
    let with_instance = |instance: &str| MemberSubscription {
        instance_id: Some(instance.to_owned()),
        ..member("t")
    };
    let three = members(&[("a", member("t")), ("b", with_instance("i2")), ("c", with_instance("i1"))]);
    for assignor in [Assignor::Range, Assignor::RoundRobin] {
        let found = assigned(assignor, &three, &counts(&[("t", 3)]));
        assert_eq!(found, ["a: t-2", "b: t-1", "c: t-0"], "{assignor:?}");
    }
}

#[test]
fn sticky_members_keep_what_they_had_when_one_comes_and_when_one_goes() {
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let owner = |list| with_owned(assignor, "t", &tps(list), 4);
        let left = members(&[("a", owner("t-0,t-3")), ("b", owner("t-1,t-4"))]);
        let found = assigned(assignor, &left, &counts(&[("t", 6)]));
        assert_eq!(found, ["a: t-0,t-2,t-3", "b: t-1,t-4,t-5"], "{assignor:?}: the third went");
    }
    let owner = |list| with_owned(Assignor::Sticky, "t", &tps(list), 4);
    let came = members(&[("a", owner("t-0,t-2,t-3")), ("b", owner("t-1,t-4,t-5")), ("c", member("t"))]);
    let found = assigned(Assignor::Sticky, &came, &counts(&[("t", 6)]));
    assert_eq!(found, ["a: t-0,t-2", "b: t-1,t-4", "c: t-3,t-5"]);
}

#[test]
fn cooperative_members_first_give_up_and_then_receive() {
    let assignor = Assignor::CooperativeSticky;
    let topics = counts(&[("t", 6)]);
    let owner = |list, generation| with_owned(assignor, "t", &tps(list), generation);
    let came = members(&[("a", owner("t-0,t-2,t-3", 4)), ("b", owner("t-1,t-4,t-5", 4)), ("c", member("t"))]);
    assert_eq!(assigned(assignor, &came, &topics), ["a: t-0,t-2", "b: t-1,t-4", "c: "]);
    let gave_up = members(&[("a", owner("t-0,t-2", 5)), ("b", owner("t-1,t-4", 5)), ("c", owner("", 5))]);
    assert_eq!(assigned(assignor, &gave_up, &topics), ["a: t-0,t-2", "b: t-1,t-4", "c: t-3,t-5"]);
}

#[test]
fn cooperative_members_with_different_subscriptions_give_up_first_too() {
    let assignor = Assignor::CooperativeSticky;
    let topics = counts(&[("t", 4), ("u", 1)]);
    let two = members(&[
        ("a", with_owned(assignor, "t,u", &tps("t-0,t-1,t-2,t-3,u-0"), 1)),
        ("b", member("t")),
    ]);
    let found = assigned(assignor, &two, &topics);
    assert_eq!(found, ["a: t-2,t-3,u-0", "b: "]);
}

#[test]
fn the_newer_of_two_claims_counts_and_equal_ones_cancel_each_other() {
    let assignor = Assignor::CooperativeSticky;
    let topics = counts(&[("t", 2)]);
    let claim = |generation| with_owned(assignor, "t", &tps("t-0"), generation);
    let found = assigned(assignor, &members(&[("a", claim(3)), ("b", claim(4))]), &topics);
    assert_eq!(found, ["a: t-1", "b: t-0"]);
    let found = assigned(assignor, &members(&[("a", claim(4)), ("b", claim(4))]), &topics);
    assert_eq!(found, ["a: ", "b: t-1"], "nobody gets what both believe to own");
}

#[test]
fn user_data_is_in_kafkas_format_and_garbage_is_no_claim() {
    let data = Assignor::Sticky.user_data(Some((7, &tps("t-0,t-2")))).unwrap();
    assert_eq!(&data[..], b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x07");
    let told = |user_data: &[u8]| MemberSubscription {
        user_data: Some(Bytes::copy_from_slice(user_data)),
        ..member("t")
    };
    let claimed = |user_data: &[u8]| listed(&sticky::claim(&told(user_data)).partitions);
    assert_eq!(claimed(&data), "t-0,t-2");
    assert_eq!(claimed(&data[..data.len() - 4]), "t-0,t-2", "version 0 has no generation");
    for garbage in [&b"\0"[..], b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff", b"\0\0\0\x01\0\x09t"] {
        assert_eq!(claimed(garbage), "");
        assert!(assigned(Assignor::CooperativeSticky, &members(&[("a", told(garbage))]), &counts(&[("t", 1)]))[0].ends_with("t-0"));
    }
    let strange = with_owned(Assignor::Sticky, "t", &tps("t-0,t-99,u-0,t--1"), 1);
    let found = assigned(Assignor::Sticky, &members(&[("a", strange)]), &counts(&[("t", 2)]));
    assert_eq!(found, ["a: t-0,t-1"], "partitions that do not exist are not kept");
}

/// Whatever members had and want: all partitions have one owner who wants them, and nobody has two more than another could take.
#[test]
fn every_partition_has_one_owner_after_any_history() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let topics = ["a", "b", "c"];
    for _ in 0..300 {
        let counts: PartitionCounts = topics.iter().map(|topic| (Arc::from(*topic), 1 + random(9) as i32)).collect();
        let mut group = Members::new();
        for id in 0..1 + random(6) {
            let wanted: Vec<&str> = topics.into_iter().filter(|_| random(3) > 0).collect();
            let topics = if wanted.is_empty() { "a".to_owned() } else { wanted.join(",") };
            let owned: Vec<TopicPartition> = (0..random(8))
                .map(|_| TopicPartition::new(["a", "b", "c", "d"][random(4) as usize], random(11) as i32))
                .collect();
            group.insert(format!("m{id}"), with_owned(Assignor::Sticky, &topics, &owned, random(3) as i32));
        }
        let assignments = Assignor::Sticky.assign(&group, &counts);
        let owners: Vec<(&TopicPartition, &str)> = assignments
            .iter()
            .flat_map(|(id, all)| all.iter().map(move |tp| (tp, id.as_str())))
            .collect();
        let wanted = counts
            .iter()
            .filter(|(topic, _)| group.values().any(|member| member.topics.contains(*topic)));
        assert_eq!(owners.len(), wanted.map(|(_, count)| *count as usize).sum::<usize>());
        assert_eq!(owners.iter().map(|(tp, _)| *tp).collect::<BTreeSet<_>>().len(), owners.len());
        for (tp, owner) in owners {
            assert!(group[owner].topics.contains(&tp.topic), "{owner} does not want {tp}");
            let lighter = assignments
                .iter()
                .find(|(id, had)| group[*id].topics.contains(&tp.topic) && had.len() + 1 < assignments[owner].len());
            assert!(
                lighter.is_none(),
                "{tp} of {owner} should be given to {lighter:?}: {assignments:#?}"
            );
        }
    }
}
