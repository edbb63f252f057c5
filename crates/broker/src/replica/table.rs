//! All partitions of this broker, by topic name and by topic id.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{Offset, PartitionIndex, TopicId};
use dohle_replication::Assignment;
use dohle_storage::{Disk, FoundLog, LogIdentity, LogPositions, OpenState, PartitionLog, SharedLog};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::clock;
use crate::limits;
use crate::replica::cell::{Cell, CellServices};
use crate::replica::log_directory::LogDirectory;
use crate::replica::schedule::Task;
use crate::replica::topic_settings::TopicSettings;

/// A topic as the metadata describe it, as far as this broker holds partitions of it.
#[derive(Debug, Clone)]
pub(crate) struct TopicAssignment {
    pub(crate) name: Arc<str>,
    pub(crate) id: TopicId,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<(PartitionIndex, Assignment)>,
}

/// The partitions of one topic. Replaced as a whole when partitions are added.
#[derive(Debug)]
pub(crate) struct TopicReplicas {
    pub(crate) name: Arc<str>,
    /// By index of the partition.
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
enum Place {
    /// The metadata know no such partition, or it is on other brokers.
    Absent,
    /// Its log cannot be opened, or is in a directory that cannot.
    Offline,
    Online(Arc<Cell>),
}

impl TopicReplicas {
    pub(crate) fn cell(&self, partition: i32) -> Result<&Arc<Cell>, ErrorCode> {
        let place = usize::try_from(partition).ok().and_then(|index| self.places.get(index));
        match place {
            Some(Place::Online(cell)) => Ok(cell),
            Some(Place::Offline) => Err(ErrorCode::KafkaStorageError),
            Some(Place::Absent) | None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = &Arc<Cell>> {
        self.places.iter().filter_map(|place| match place {
            Place::Online(cell) => Some(cell),
            Place::Absent | Place::Offline => None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ReplicaTable {
    services: Arc<CellServices>,
    directories: Vec<Arc<LogDirectory>>,
    /// Directories that could not be opened at the start: partitions that are nowhere else are in them, perhaps.
    missing_directories: Vec<PathBuf>,
    /// Logs that were found at the start and are not open yet.
    found: Mutex<HashMap<(Arc<str>, PartitionIndex), Found>>,
    /// Logs that could not be opened. What the checkpoints say of them is kept for the next start.
    unopened: Mutex<Vec<Found>>,
    topics: RwLock<Topics>,
}

/// A log on the disk, and the directory that it is in.
type Found = (FoundLog, Arc<LogDirectory>);

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<TopicReplicas>>,
    by_id: HashMap<TopicId, Arc<TopicReplicas>>,
}

impl Topics {
    fn insert(&mut self, name: Arc<str>, id: TopicId, places: Vec<Place>) {
        let topic = Arc::new(TopicReplicas {
            name: Arc::clone(&name),
            places,
        });
        self.by_name.insert(name, Arc::clone(&topic));
        self.by_id.insert(id, topic);
    }
}

impl ReplicaTable {
    pub(crate) fn new(
        services: Arc<CellServices>,
        directories: Vec<(Arc<LogDirectory>, Vec<FoundLog>)>,
        missing_directories: Vec<PathBuf>,
    ) -> ReplicaTable {
        let mut found = HashMap::new();
        let mut online = Vec::new();
        for (directory, logs) in directories {
            for log in logs {
                let key = (Arc::clone(&log.identity.topic), log.identity.partition);
                if let Some((_, other)) = found.insert(key, (log.clone(), Arc::clone(&directory))) {
                    tracing::warn!(dir = %log.dir.display(), other = %other.path().display(), "a partition is in two directories; this one is used");
                }
            }
            online.push(directory);
        }
        let topics = RwLock::default();
        ReplicaTable {
            services,
            directories: online,
            missing_directories,
            found: Mutex::new(found),
            unopened: Mutex::default(),
            topics,
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicReplicas>> {
        self.topics.read().by_name.get(name).cloned()
    }

    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicReplicas>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// The partition of a topic given by name.
    pub(crate) fn cell(&self, topic: &str, partition: i32) -> Result<Arc<Cell>, ErrorCode> {
        let topic = self.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        topic.cell(partition).cloned()
    }

    /// All topics, in no particular order.
    pub(crate) fn topics(&self) -> Vec<Arc<TopicReplicas>> {
        self.topics.read().by_id.values().cloned().collect()
    }

    /// The directories that could be opened at the start.
    pub(crate) fn directories(&self) -> &[Arc<LogDirectory>] {
        &self.directories
    }

    pub(crate) fn missing_directories(&self) -> &[PathBuf] {
        &self.missing_directories
    }

    /// Takes over everything that the metadata assign to this broker at its start. Blocks.
    pub(crate) fn start(&self, assignments: &[TopicAssignment]) {
        self.open_all(assignments, true);
        for (log, _) in self.found.lock().values() {
            tracing::warn!(dir = %log.dir.display(), "the metadata know no such partition; its log is left alone");
        }
    }

    /// Syncs what recovery has found, so that everything in the logs can be read. A checkpoint that promised more than was found is replaced
    /// before anything new takes the place of what is gone. Blocks.
    pub(crate) fn settle(&self) {
        for directory in &self.directories {
            directory.committer().drain();
        }
        self.correct_checkpoints();
    }

    /// Opens partitions that have been added: a new topic, or more partitions of one. Blocks.
    pub(crate) fn add(&self, assignment: &TopicAssignment) {
        if assignment.partitions.is_empty() {
            return;
        }
        self.open_all(std::slice::from_ref(assignment), false);
        self.correct_checkpoints();
    }

    /// The settings of a topic have changed.
    pub(crate) fn configure(&self, id: TopicId, settings: &TopicSettings) {
        if let Some(topic) = self.topic_by_id(id) {
            topic.cells().for_each(|cell| cell.configure(settings));
        }
    }

    /// The leadership of partitions has changed. Blocks.
    pub(crate) fn assign(&self, assignment: &TopicAssignment) {
        let Some(topic) = self.topic_by_id(assignment.id) else { return };
        for (partition, assigned) in &assignment.partitions {
            let Ok(cell) = topic.cell(partition.0) else { continue };
            while !cell.assign(assigned) {
                self.correct_checkpoints();
            }
        }
    }

    /// Topics have been deleted. Their names are free afterwards, and no checkpoint tells anything about a log that another topic of that
    /// name could be taken for; their files go a little later. Blocks.
    pub(crate) fn remove(&self, ids: impl Iterator<Item = TopicId>) {
        ids.for_each(|id| self.remove_topic(id));
        self.correct_checkpoints();
    }

    fn remove_topic(&self, id: TopicId) {
        let removed = {
            let mut topics = self.topics.write();
            let Some(topic) = topics.by_id.remove(&id) else { return };
            topics.by_name.remove(&topic.name);
            topic
        };
        for (_, directory) in self
            .unopened
            .lock()
            .extract_if(.., |(found, _)| found.identity.topic == removed.name)
        {
            directory.checkpoint_is_wrong();
        }
        for cell in removed.cells() {
            self.delete(cell, ErrorCode::UnknownTopicOrPartition);
        }
    }

    /// Partitions have been moved to other brokers. Their logs go as those of deleted topics do. Blocks.
    pub(crate) fn remove_partitions(&self, id: TopicId, partitions: &[PartitionIndex]) {
        let mut removed = Vec::new();
        let name = {
            let mut topics = self.topics.write();
            let Some(known) = topics.by_id.get(&id) else { return };
            let (name, mut places) = (Arc::clone(&known.name), known.places.clone());
            for partition in partitions {
                let place = usize::try_from(partition.0).ok().and_then(|index| places.get_mut(index));
                if let Some(Place::Online(cell)) = place.map(|place| std::mem::replace(place, Place::Absent)) {
                    removed.push(cell);
                }
            }
            topics.insert(name.clone(), id, places);
            name
        };
        let mut unopened = self.unopened.lock();
        let is_removed = |found: &FoundLog| found.identity.topic == name && partitions.contains(&found.identity.partition);
        for (_, directory) in unopened.extract_if(.., |(found, _)| is_removed(found)) {
            directory.checkpoint_is_wrong();
        }
        drop(unopened);
        for cell in removed {
            self.delete(&cell, ErrorCode::NotLeaderOrFollower);
        }
        self.correct_checkpoints();
    }

    fn delete(&self, cell: &Arc<Cell>, reason: ErrorCode) {
        let delay_ms = u64::try_from(cell.inspect(|log| log.config().file_delete_delay_ms)).unwrap_or_default();
        match cell.delete(reason) {
            Ok(dir) => {
                let due = Instant::now() + std::time::Duration::from_millis(delay_ms);
                self.services.schedule.add(due, Task::RemoveLog(Arc::clone(&cell.directory), dir));
            }
            Err(error) => cell.directory.fail(&error),
        }
        cell.directory.checkpoint_is_wrong();
    }

    pub(crate) fn write_checkpoints(&self, directory: &Arc<LogDirectory>) -> io::Result<()> {
        directory.write_checkpoints(|| self.positions(directory))
    }

    /// Replaces checkpoints that say something about a log that does not hold. Blocks.
    pub(crate) fn correct_checkpoints(&self) {
        for directory in &self.directories {
            // An error has taken the directory offline, and said so.
            let _ = directory.correct_checkpoints(|| self.positions(directory));
        }
    }

    /// What the checkpoints of a directory record: first of the logs that are open.
    fn positions(&self, directory: &Arc<LogDirectory>) -> Vec<LogPositions> {
        let topics = self.topics();
        let cells = topics.iter().flat_map(|topic| topic.cells());
        let online = cells
            .filter(|cell| Arc::ptr_eq(&cell.directory, directory))
            .map(|cell| cell.positions());
        let (unopened, strays) = (self.unopened.lock(), self.found.lock());
        let others = unopened
            .iter()
            .chain(strays.values())
            .filter(|(_, other)| Arc::ptr_eq(other, directory));
        online.chain(others.map(|(found, _)| found.positions())).collect()
    }

    /// Whether a log that nobody knows is as a crash has left it: one day it may be opened, and has to be looked at then.
    fn is_unchecked_stray(&self, positions: &LogPositions) -> bool {
        let strays = self.found.lock();
        let stray = strays.get(&(Arc::clone(&positions.topic), positions.partition));
        stray.is_some_and(|(found, _)| !found.open_state.clean_shutdown)
    }

    /// Closes every log, and says in each directory that this was done. Blocks.
    pub(crate) fn close(&self, broker_epoch: i64) {
        let topics = self.topics();
        for directory in &self.directories {
            // Before the roles are given up, and the high watermarks with them.
            let mut positions = self.positions(directory);
            // A log that was not opened is as it was found.
            let unopened = self.unopened.lock();
            let mut unchecked = unopened.iter().filter(|(found, _)| !found.open_state.clean_shutdown);
            let mut is_clean = !directory.is_offline() && !unchecked.any(|(_, other)| Arc::ptr_eq(other, directory));
            drop(unopened);
            let cells = topics
                .iter()
                .flat_map(|topic| topic.cells())
                .filter(|cell| Arc::ptr_eq(&cell.directory, directory));
            for (cell, positions) in cells.zip(&mut positions) {
                match cell.close() {
                    Ok(()) => positions.recovery_point = cell.inspect(PartitionLog::log_end_offset),
                    Err(error) => {
                        tracing::error!("{error}");
                        is_clean = false;
                    }
                }
            }
            if !is_clean {
                tracing::error!(dir = %directory.path().display(), "not everything could be closed: the next start has to look for damage");
                continue;
            }
            positions.retain(|positions| !self.is_unchecked_stray(positions));
            // The positions last: they name the ends of the logs, which are durable only then.
            let marked = directory
                .files()
                .mark_clean_shutdown(broker_epoch)
                .and_then(|()| directory.write_checkpoints(|| positions));
            if let Err(error) = marked {
                tracing::error!(dir = %directory.path().display(), %error, "no clean shutdown of this directory");
            }
        }
    }

    /// Opens what is not open yet, several logs at a time if they are many.
    fn open_all(&self, assignments: &[TopicAssignment], at_start: bool) {
        let all = assignments.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(move |(partition, assigned)| (topic, (*partition, assigned)))
        });
        let is_missing = |(topic, (partition, _)): &(&TopicAssignment, (PartitionIndex, &Assignment))| {
            self.topic_by_id(topic.id).is_none_or(|open| open.cell(partition.0).is_err())
        };
        let wanted: Vec<_> = all.filter(is_missing).collect();
        let opened: Vec<OnceLock<Place>> = wanted.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let take = || next.fetch_add(1, Ordering::Relaxed);
            while let Some(((topic, (partition, assigned)), place)) = Some(take()).and_then(|at| wanted.get(at).zip(opened.get(at))) {
                place.get_or_init(|| self.open_place(topic, *partition, assigned, at_start));
            }
        };
        let threads = (wanted.len() / limits::LOGS_PER_OPEN_THREAD_MIN).min(limits::OPEN_THREADS_MAX);
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        let places = opened.into_iter().filter_map(OnceLock::into_inner);
        let mut places = wanted
            .iter()
            .map(|(topic, (partition, _))| (topic.id, *partition))
            .zip(places)
            .peekable();
        for topic in assignments {
            let of_topic = std::iter::from_fn(|| places.next_if(|((id, _), _)| *id == topic.id));
            self.insert(topic, of_topic.map(|((_, partition), place)| (partition, place)));
        }
    }

    fn insert(&self, topic: &TopicAssignment, opened: impl Iterator<Item = (PartitionIndex, Place)>) {
        let mut places = self.topic_by_id(topic.id).map_or_else(Vec::new, |known| known.places.clone());
        for (partition, place) in opened {
            let index = usize::try_from(partition.0).expect("the metadata hold no negative partition");
            if places.len() <= index {
                places.resize(index + 1, Place::Absent);
            }
            places[index] = place;
        }
        self.topics.write().insert(Arc::clone(&topic.name), topic.id, places);
        // Once more, as whoever heard of it before has not found it here.
        if topic.partitions.iter().any(|(_, assigned)| assigned.replicas.len() > 1) {
            self.services.isr_proposals.partition_is_replicated();
        }
    }

    fn open_place(&self, topic: &TopicAssignment, partition: PartitionIndex, assigned: &Assignment, at_start: bool) -> Place {
        match self.open(topic, partition, at_start) {
            Ok(cell) => {
                cell.assign(assigned);
                Place::Online(cell)
            }
            Err(reason) => {
                tracing::error!(topic = %topic.name, partition = partition.0, "the partition is offline: {reason}");
                Place::Offline
            }
        }
    }

    fn open(&self, assignment: &TopicAssignment, partition: PartitionIndex, at_start: bool) -> Result<Arc<Cell>, String> {
        let identity = LogIdentity {
            topic: Arc::clone(&assignment.name),
            partition,
            topic_id: assignment.id,
        };
        let Some((found, directory)) = self.take_found(assignment, partition, at_start)? else {
            let (dir, directory) = self.place_for(assignment, partition, at_start)?;
            return self.open_in((dir, directory), identity, (OpenState::default(), Offset::ZERO), assignment);
        };
        let opened = self.open_in(
            (found.dir.clone(), Arc::clone(&directory)),
            identity,
            (found.open_state, found.high_watermark),
            assignment,
        );
        match &opened {
            Ok(cell) => cell.with_log(|log| log.set_cleaned_to(found.cleaned_to)),
            Err(_) => self.unopened.lock().push((found, directory)),
        }
        opened
    }

    /// Where a new log goes.
    fn place_for(
        &self,
        assignment: &TopicAssignment,
        partition: PartitionIndex,
        at_start: bool,
    ) -> Result<(PathBuf, Arc<LogDirectory>), String> {
        if let (true, Some(missing)) = (at_start, self.missing_directories.first()) {
            return Err(format!("it is in no directory that works, so perhaps in {}", missing.display()));
        }
        let directory = self.least_loaded().ok_or("no log directory works")?;
        let dir = directory.files().partition_dir(&assignment.name, partition);
        // Not a log, or it would have been found: a symbolic link, say, which could lead anywhere.
        if !matches!(directory.disk().len(&dir), Ok(None)) {
            return Err(format!("something else is in the place of {}", dir.display()));
        }
        Ok((dir, directory))
    }

    fn open_in(
        &self,
        (dir, directory): (PathBuf, Arc<LogDirectory>),
        identity: LogIdentity,
        (state, high_watermark): (OpenState, Offset),
        assignment: &TopicAssignment,
    ) -> Result<Arc<Cell>, String> {
        let disk: Arc<dyn Disk> = Arc::clone(directory.disk());
        let config = Arc::clone(&assignment.settings.log);
        let log = PartitionLog::open(disk, dir, identity, config, state, clock::now_ms()).map_err(|error| error.to_string())?;
        if log.recovery_point() < state.recovery_point {
            directory.checkpoint_is_wrong();
        }
        let (services, replication) = (Arc::clone(&self.services), assignment.settings.replication);
        Ok(Cell::new(log, directory, services, replication, high_watermark))
    }

    /// The log that was found for a partition at the start. One of another incarnation of the topic is put aside, and so is one of which
    /// nobody knows the topic if the partition is a new one, which cannot have a log yet.
    fn take_found(&self, assignment: &TopicAssignment, partition: PartitionIndex, at_start: bool) -> Result<Option<Found>, String> {
        let Some((found, directory)) = self.found.lock().remove(&(Arc::clone(&assignment.name), partition)) else {
            return Ok(None);
        };
        let found_id = found.identity.topic_id;
        if found_id == assignment.id || (at_start && found_id.is_zero()) {
            return Ok(Some((found, directory)));
        }
        let aside = directory
            .files()
            .set_aside(&found.dir)
            .map_err(|error| format!("{}: {error}", found.dir.display()))?;
        directory.checkpoint_is_wrong();
        tracing::warn!(dir = %found.dir.display(), aside = %aside.display(), "put aside the log of another topic of this name");
        Ok(None)
    }

    fn least_loaded(&self) -> Option<Arc<LogDirectory>> {
        let working = self.directories.iter().filter(|directory| !directory.is_offline());
        working.min_by_key(|directory| directory.partitions()).cloned()
    }
}
