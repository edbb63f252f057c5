//! What a log directory accepts, finds and promises.

use super::*;
use crate::disk::{FaultyDisk, RealDisk};
use crate::{LogConfig, PartitionLog};

const PATH: &str = "data";
const NODE: BrokerId = BrokerId(1);

fn open(disk: &FaultyDisk) -> Result<LogDir, LogDirError> {
    LogDir::open(Arc::new(disk.clone()), Path::new(PATH), "cluster", NODE)
}

fn make_log(disk: &FaultyDisk, dir: &LogDir, topic: &str, partition: i32) -> PartitionLog {
    let partition = PartitionIndex(partition);
    let identity = LogIdentity {
        topic: topic.into(),
        partition,
        topic_id: TopicId(Uuid::from_u128(5)),
    };
    let path = dir.partition_dir(topic, partition);
    PartitionLog::open(
        Arc::new(disk.clone()),
        path,
        identity,
        Arc::new(LogConfig::default()),
        OpenState::default(),
        0,
    )
    .unwrap()
}

#[test]
fn a_new_directory_gets_an_identity_that_it_keeps() {
    let disk = FaultyDisk::new();
    let first = open(&disk).unwrap().meta().clone();
    assert_eq!((first.cluster_id.as_str(), first.node_id), ("cluster", NODE));
    assert!(first.directory_id.is_some());
    assert_eq!(open(&disk).unwrap().meta(), &first);
}

#[test]
fn d7_a_directory_of_someone_else_is_refused() {
    let disk = FaultyDisk::new();
    drop(open(&disk).unwrap());
    let path = Path::new(PATH);
    let disk_arc: Arc<dyn Disk> = Arc::new(disk.clone());
    assert!(matches!(
        LogDir::open(disk_arc.clone(), path, "other", NODE),
        Err(LogDirError::ClusterId { .. })
    ));
    assert!(matches!(
        LogDir::open(disk_arc, path, "cluster", BrokerId(2)),
        Err(LogDirError::NodeId { .. })
    ));
    let meta = path.join(MetaProperties::FILE_NAME);
    disk.tamper(&meta, |bytes| *bytes = b"version=99\ncluster.id=cluster\nnode.id=1\n".to_vec());
    assert!(open(&disk).unwrap_err().to_string().contains("version 99"));
    disk.remove_file(&meta).unwrap();
    disk.create_dir(&path.join("lost+found")).unwrap();
    drop(open(&disk).unwrap());
    disk.remove_file(&meta).unwrap();
    disk.create_dir(&path.join("topic-0")).unwrap();
    assert!(open(&disk).unwrap_err().to_string().contains("format"), "logs without an owner");
}

#[test]
fn a_directory_is_used_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let open = || LogDir::open(Arc::new(RealDisk::new()), dir.path(), "cluster", NODE);
    let first = open().unwrap();
    assert!(matches!(open(), Err(LogDirError::Locked { .. })));
    drop(first);
    open().unwrap();
}

#[test]
fn logs_are_found_with_their_checkpoints() {
    let disk = FaultyDisk::new();
    let dir = open(&disk).unwrap();
    make_log(&disk, &dir, "with-dash", 12);
    make_log(&disk, &dir, "b.c_", 0);
    let positions = |topic: &str, partition, offset| LogPositions {
        topic: topic.into(),
        partition: PartitionIndex(partition),
        recovery_point: Offset(offset),
        log_start: Offset(offset / 2),
        high_watermark: Offset(offset + 1),
        cleaned_to: (partition > 0).then_some(Offset(offset - 1)),
    };
    dir.write_checkpoints(&[positions("with-dash", 12, 20), positions("gone", 0, 4)])
        .unwrap();
    drop(dir);
    let mut dir = open(&disk).unwrap();
    assert!(!dir.clean_shutdown());
    let mut logs = dir.take_logs();
    logs.sort_by_key(|log| log.dir.clone());
    assert_eq!(logs.len(), 2);
    let log = &logs[1];
    assert_eq!(
        (&*log.identity.topic, log.identity.partition.0, log.identity.topic_id.0.as_u128()),
        ("with-dash", 12, 5)
    );
    let state = OpenState {
        clean_shutdown: false,
        recovery_point: Offset(20),
        log_start: Some(Offset(10)),
    };
    assert_eq!((log.open_state, log.high_watermark), (state, Offset(21)));
    assert_eq!(logs[0].open_state, OpenState::default());
    assert_eq!((log.cleaned_to, logs[0].cleaned_to), (Some(Offset(19)), None));
    assert_eq!(disk.read(&Path::new(PATH).join(CLEANED)).unwrap(), b"0\n1\nwith-dash 12 19\n");
    assert_eq!(
        disk.read(&Path::new(PATH).join(RECOVERY_POINTS)).unwrap(),
        b"0\n2\nwith-dash 12 20\ngone 0 4\n"
    );
}

#[test]
fn the_clean_shutdown_marker_holds_for_one_start_and_not_beyond_a_power_cut() {
    let disk = FaultyDisk::new();
    let dir = open(&disk).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    make_log(&disk, &dir, "a", 0).close_clean().unwrap();
    // Nobody has opened this one, and nobody vouches for it.
    make_log(&disk, &dir, "b", 0);
    let closed = LogPositions {
        topic: "a".into(),
        partition: PartitionIndex(0),
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        high_watermark: Offset::ZERO,
        cleaned_to: None,
    };
    dir.mark_clean_shutdown(17).and_then(|()| dir.write_checkpoints(&[closed])).unwrap();
    drop(dir);
    for seed in 0..20 {
        assert!(
            open(&disk.crash(seed)).unwrap().clean_shutdown(),
            "the marker and what it vouches for are durable"
        );
    }
    let mut dir = open(&disk).unwrap();
    assert!(dir.clean_shutdown());
    let logs = dir.take_logs().into_iter();
    let mut clean: Vec<_> = logs
        .map(|log| (log.identity.topic.to_string(), log.open_state.clean_shutdown))
        .collect();
    clean.sort();
    assert_eq!(clean, [("a".to_owned(), true), ("b".to_owned(), false)]);
    assert_eq!(dir.ended_epoch(), Some(17));
    drop(dir);
    for seed in 0..20 {
        assert!(!open(&disk.crash(seed)).unwrap().clean_shutdown());
    }
}

#[test]
fn the_marker_of_other_releases_is_understood() {
    assert_eq!(marked_epoch(r#"{"version":0,"brokerEpoch":-1}"#), Some(-1));
    assert_eq!(marked_epoch(r#"{"version": 0, "brokerEpoch": 123 }"#), Some(123));
    assert_eq!(marked_epoch(""), None);
}

#[test]
fn d8_what_is_no_log_is_left_alone_and_what_is_to_be_deleted_goes() {
    let disk = FaultyDisk::new();
    drop(open(&disk).unwrap());
    let path = Path::new(PATH);
    let deleted = renamed_for_deletion(&path.join("x-0"));
    let left = ["foo", "lost+found", "a b-0", "x-0.1234-delete", "-0", "x-", "__cluster_metadata-0"];
    for name in left {
        disk.create_dir(&path.join(name)).unwrap();
    }
    disk.create_dir(&deleted).unwrap();
    disk.write(&deleted.join("00000000000000000000.log"), b"x").unwrap();
    disk.write(&path.join("file-0"), b"x").unwrap();
    let mut dir = open(&disk).unwrap();
    assert_eq!(dir.take_logs().len(), 0);
    assert!(disk.list(&deleted).is_err());
    for name in left {
        assert!(disk.list(&path.join(name)).is_ok(), "{name}");
    }
}

#[test]
fn a_topic_may_end_in_a_dash() {
    assert_eq!(parse_log_dir("foo--1"), Some(("foo-", PartitionIndex(1))));
    for name in ["foo", "foo-", "-1", "foo-x", "foo-+1", "../x-1", "..-1", "a/b-1", "foo-99999999999"] {
        assert_eq!(parse_log_dir(name), None, "{name}");
    }
}

#[test]
fn names_of_deleted_logs_fit_the_file_system() {
    let long = "t".repeat(249);
    for name in ["topic-0".to_owned(), format!("{long}-123")] {
        let renamed = renamed_for_deletion(&Path::new(PATH).join(&name));
        let renamed = renamed.file_name().unwrap().to_str().unwrap();
        assert!(
            renamed.len() <= 255 && parse_renamed(renamed) && parse_log_dir(renamed).is_none(),
            "{renamed}"
        );
    }
}

#[test]
fn a_log_set_aside_is_not_found_again() {
    let disk = FaultyDisk::new();
    let dir = open(&disk).unwrap();
    make_log(&disk, &dir, "a", 0);
    let target = dir.set_aside(&dir.partition_dir("a", PartitionIndex(0))).unwrap();
    assert!(target.to_str().unwrap().ends_with("-stray"));
    drop(dir);
    assert_eq!(open(&disk).unwrap().take_logs().len(), 0);
    assert!(disk.list(&target).is_ok());
}
