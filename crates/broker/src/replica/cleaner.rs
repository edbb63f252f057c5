//! Which log is cleaned next, and when. How one is cleaned: `dohle_storage::cleaner`; the design: docs/compaction.md.
//!
//! Only logs are looked at in which a segment has been closed, or whose time was seen to come. While there are none, nothing runs.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dohle_storage::{CleanError, CleanerControl, CleanerLimits, Cleaning, Dirtiness, LogConfig};
use parking_lot::Mutex;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::limits;
use crate::replica::cell::Cell;
use crate::state::BrokerState;

/// Cleans until `stop`.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    if !broker.settings.load().cleaner.enabled {
        return;
    }
    let pace = Arc::new(Pace {
        broker: Arc::clone(&broker),
        stop,
        free_from: Mutex::new(Instant::now()),
    });
    let mut cleaner = Cleaner {
        broker,
        pace,
        looks: HashMap::new(),
        rounds: JoinSet::new(),
    };
    for topic in cleaner.broker.replicas.topics() {
        let compacted = topic.cells().filter(|cell| cell.inspect(|log| log.config().compact));
        compacted.for_each(|cell| cleaner.look_at(Arc::downgrade(cell), Instant::now()));
    }
    cleaner.work().await;
}

struct Cleaner {
    broker: Arc<BrokerState>,
    pace: Arc<Pace>,
    /// The logs to be looked at, each with the time to do so; by address, as a cell is known by nothing else for all its life.
    looks: HashMap<usize, (Weak<Cell>, Instant)>,
    rounds: JoinSet<(Arc<Cell>, Next)>,
}

/// What comes after a look at a log, or after a round.
enum Next {
    /// Clean it: how urgent it is, and how dirty.
    Clean(Urgency),
    Look(Duration),
    /// Nothing, until a segment is closed.
    Rest,
}

/// Overdue first, then by the part that is dirty.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Urgency {
    is_overdue: bool,
    ratio: f64,
}

impl Cleaner {
    async fn work(mut self) {
        loop {
            let settings = self.broker.settings.load().cleaner;
            for cell in self.broker.services.cleaner.take() {
                self.look_at(cell, Instant::now() + settings.backoff);
            }
            let is_free = self.rounds.len() < settings.threads;
            if is_free {
                self.begin_rounds(settings.threads - self.rounds.len()).await;
            }
            let next_look = self
                .looks
                .values()
                .map(|(_, at)| *at)
                .min()
                .filter(|_| self.rounds.len() < settings.threads);
            let stop = self.pace.stop.clone();
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.broker.services.cleaner.added() => {}
                Some(ended) = self.rounds.join_next() => self.on_ended(ended),
                () = tokio::time::sleep_until(next_look.unwrap_or_else(Instant::now)), if next_look.is_some() => {}
            }
        }
        // They have been told, too.
        while self.rounds.join_next().await.is_some() {}
    }

    fn look_at(&mut self, cell: Weak<Cell>, at: Instant) {
        let known = self.looks.entry(cell.as_ptr().addr()).or_insert((cell, at));
        known.1 = known.1.min(at);
    }

    /// Looks at the logs whose time has come, and begins with the dirtiest.
    async fn begin_rounds(&mut self, rounds_max: usize) {
        let now = Instant::now();
        let due: Vec<Weak<Cell>> = self.looks.extract_if(|_, (_, at)| *at <= now).map(|(_, (cell, _))| cell).collect();
        let cells: Vec<Arc<Cell>> = due.iter().filter_map(Weak::upgrade).collect();
        if cells.is_empty() {
            return;
        }
        let backoff = self.broker.settings.load().cleaner.backoff;
        let looked = tokio::task::spawn_blocking(move || {
            let now_ms = clock::now_ms();
            let look = |cell: Arc<Cell>| {
                let next = look(&cell, now_ms, backoff);
                (cell, next)
            };
            cells.into_iter().map(look).collect::<Vec<_>>()
        });
        let looked = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "a look at the logs to clean failed");
                due.into_iter().for_each(|cell| self.look_at(cell, now + backoff));
                return;
            }
        };
        let mut due = Vec::new();
        for (cell, next) in looked {
            match next {
                Next::Clean(urgency) => due.push((urgency, cell)),
                Next::Look(after) => self.look_at(Arc::downgrade(&cell), now + after),
                Next::Rest => {}
            }
        }
        due.sort_by(|(one, _), (other, _)| other.partial_cmp(one).expect("a ratio is a number"));
        for (at, (_, cell)) in due.into_iter().enumerate() {
            if at < rounds_max {
                let (broker, pace) = (Arc::clone(&self.broker), Arc::clone(&self.pace));
                self.rounds.spawn_blocking(move || clean(&broker, &pace, cell));
            } else {
                self.look_at(Arc::downgrade(&cell), now);
            }
        }
    }

    fn on_ended(&mut self, ended: Result<(Arc<Cell>, Next), JoinError>) {
        match ended {
            Ok((cell, Next::Look(after))) => self.look_at(Arc::downgrade(&cell), Instant::now() + after),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a round of the cleaner has failed"),
        }
    }
}

fn look(cell: &Cell, now_ms: i64, backoff: Duration) -> Next {
    match cell.dirtiness(now_ms) {
        Some((dirtiness, config)) => next_for(&dirtiness, &config, backoff),
        None => Next::Rest,
    }
}

fn next_for(dirtiness: &Dirtiness, config: &LogConfig, backoff: Duration) -> Next {
    let urgency = Urgency {
        is_overdue: dirtiness.is_overdue(),
        ratio: dirtiness.ratio(),
    };
    if urgency.is_overdue || urgency.ratio > config.min_cleanable_dirty_ratio {
        return Next::Clean(urgency);
    }
    let in_ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let is_limited = config.max_compaction_lag_ms < i64::MAX && dirtiness.dirty_bytes > 0;
    let looks = [
        dirtiness.ripe_in_ms.map(in_ms),
        dirtiness.overdue_ms.filter(|_| is_limited).map(|overdue_ms| in_ms(1 - overdue_ms)),
        dirtiness.is_held_up.then_some(backoff),
    ];
    match looks.into_iter().flatten().min() {
        // Clocks are set, too.
        Some(after) => Next::Look(after.min(limits::CLEANER_LOOK_AFTER_MAX)),
        None => Next::Rest,
    }
}

fn clean(broker: &BrokerState, pace: &Pace, cell: Arc<Cell>) -> (Arc<Cell>, Next) {
    let guard = PanicGuard(&cell);
    let settings = broker.settings.load().cleaner;
    let next = match cell.begin_cleaning(clock::now_ms()) {
        Some(cleaning) => clean_with(broker, pace, &cell, cleaning),
        None => Next::Look(settings.backoff),
    };
    drop(guard);
    (cell, next)
}

/// A round that panics would again: the metrics are to show it.
struct PanicGuard<'a>(&'a Cell);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.mark_uncleanable();
        }
    }
}

fn clean_with(broker: &BrokerState, pace: &Pace, cell: &Cell, cleaning: Cleaning) -> Next {
    let settings = broker.settings.load().cleaner;
    let limits = CleanerLimits {
        key_bytes_max: settings.key_bytes_max / settings.threads,
        load_factor: settings.load_factor,
    };
    let began = Instant::now();
    let (topic, partition) = (&cell.topic, cell.partition.0);
    match cleaning.run(cell, limits, pace) {
        Ok(stats) => {
            let elapsed = began.elapsed();
            broker.metrics.cleaner.cleaned(&stats, elapsed);
            tracing::info!(%topic, partition, ?stats, ?elapsed, "cleaned a log");
            cell.on_cleaned();
            // An error has taken the directory offline, and said so.
            let _ = broker.replicas.write_checkpoints(&cell.directory);
            // There may be more, if there were too many keys for one round.
            Next::Look(Duration::ZERO)
        }
        Err(CleanError::Stopped) => Next::Look(settings.backoff),
        Err(error) if error.is_lasting() => {
            tracing::error!(%topic, partition, "the log is not cleaned any more until the next start: {error}");
            cell.on_uncleanable(&error);
            Next::Rest
        }
        Err(error) => {
            tracing::warn!(%topic, partition, "cleaning the log is tried again later: {error}");
            Next::Look(settings.backoff)
        }
    }
}

/// Keeps all rounds together below `log.cleaner.io.max.bytes.per.second`.
struct Pace {
    broker: Arc<BrokerState>,
    stop: CancellationToken,
    /// When what was spent so far is within the limit.
    free_from: Mutex<Instant>,
}

impl CleanerControl for Pace {
    #[expect(
        clippy::disallowed_methods,
        reason = "on a thread for blocking work; the throttle waits for the clock and for nothing else"
    )]
    fn spent(&self, read: u64, written: u64) -> bool {
        let bytes_per_second = self.broker.settings.load().cleaner.bytes_per_second_max;
        let free_from = {
            let mut free_from = self.free_from.lock();
            *free_from = (*free_from).max(Instant::now()) + Duration::from_secs_f64((read + written) as f64 / bytes_per_second);
            *free_from
        };
        loop {
            let wait = free_from.saturating_duration_since(Instant::now());
            if wait.is_zero() || self.stop.is_cancelled() {
                return !self.stop.is_cancelled();
            }
            std::thread::sleep(wait.min(limits::CLEANER_SLEEP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dohle_protocol::id::Offset;

    fn dirtiness(dirty_bytes: u64) -> Dirtiness {
        Dirtiness {
            first_dirty: Offset(0),
            end: Offset(10),
            clean_bytes: 100,
            dirty_bytes,
            overdue_ms: None,
            ripe_in_ms: None,
            is_held_up: false,
        }
    }

    fn next(dirtiness: Dirtiness) -> String {
        let config = LogConfig {
            max_compaction_lag_ms: 1000,
            ..LogConfig::default()
        };
        match next_for(&dirtiness, &config, Duration::from_secs(15)) {
            Next::Clean(Urgency { is_overdue, ratio }) => format!("clean {is_overdue} {ratio}"),
            Next::Look(after) => format!("look after {} ms", after.as_millis()),
            Next::Rest => "rest".to_string(),
        }
    }

    #[test]
    fn a_log_is_cleaned_when_it_is_dirty_enough_or_overdue_and_else_looked_at_when_that_may_change() {
        assert_eq!(next(dirtiness(0)), "rest");
        assert_eq!(next(dirtiness(100)), "rest", "not more than the ratio");
        assert_eq!(next(dirtiness(300)), "clean false 0.75");
        let with = |change: fn(&mut Dirtiness)| {
            let mut dirtiness = dirtiness(50);
            change(&mut dirtiness);
            next(dirtiness)
        };
        assert_eq!(with(|dirtiness| dirtiness.overdue_ms = Some(1)), "clean true 0.3333333333333333");
        assert_eq!(with(|dirtiness| dirtiness.overdue_ms = Some(-5)), "look after 6 ms");
        assert_eq!(with(|dirtiness| dirtiness.ripe_in_ms = Some(7)), "look after 7 ms");
        assert_eq!(with(|dirtiness| dirtiness.is_held_up = true), "look after 15000 ms");
        let unlimited = LogConfig::default();
        let overdue_never = Dirtiness {
            overdue_ms: Some(i64::MIN),
            ..dirtiness(50)
        };
        assert!(matches!(next_for(&overdue_never, &unlimited, Duration::ZERO), Next::Rest));
    }

    #[test]
    fn overdue_logs_come_before_dirtier_ones() {
        let urgency = |is_overdue, ratio| Urgency { is_overdue, ratio };
        assert!(urgency(true, 0.1) > urgency(false, 0.9));
        assert!(urgency(false, 0.9) > urgency(false, 0.6));
    }
}
