//! The one task that does what is due: flushes by interval, checkpoints, retention, removal of deleted logs.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::replica::schedule::Task;
use crate::state::BrokerState;

/// Runs until `stop`. Waits for the next thing to do, and for nothing while there is none.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    plan_retention(&broker);
    while let Some(task) = stop.run_until_cancelled(broker.services.schedule.next()).await {
        match task {
            Task::Flush(cell) => {
                if let Some(cell) = cell.upgrade() {
                    cell.flush();
                }
            }
            Task::DropTail(cell) => {
                if let Some(upgraded) = cell.upgrade()
                    && let Some(due) = upgraded.drop_idle_tail(Instant::now())
                {
                    broker.services.schedule.add(due, Task::DropTail(cell));
                }
            }
            blocking => {
                let broker = Arc::clone(&broker);
                // What is due meanwhile waits: these are rare, and short compared to how often they happen.
                let done = tokio::task::spawn_blocking(move || run_blocking(&broker, blocking)).await;
                if let Err(error) = done {
                    tracing::error!(%error, "housekeeping failed");
                }
            }
        }
    }
}

fn run_blocking(broker: &Arc<BrokerState>, task: Task) {
    match task {
        Task::Checkpoint(directory) => {
            if let Some(directory) = directory.upgrade() {
                // Before the positions are read: what changes from here on plans the next one.
                directory.begin_checkpoint();
                // An error has taken the directory offline, and said so.
                let _ = broker.replicas.write_checkpoints(&directory);
            }
        }
        Task::RemoveLog(directory, dir) => {
            if let Err(error) = directory.disk().remove_dir(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "cannot remove the log of a deleted partition");
            }
        }
        Task::Retention => {
            let now_ms = clock::now_ms();
            for topic in broker.replicas.topics() {
                topic.cells().for_each(|cell| cell.apply_retention(now_ms));
            }
            plan_retention(broker);
        }
        Task::Flush(_) | Task::DropTail(_) => unreachable!("not a blocking task"),
    }
}

fn plan_retention(broker: &BrokerState) {
    let interval = broker.settings.load().retention_check_interval;
    broker.services.schedule.add(Instant::now() + interval, Task::Retention);
}
