//! All consumer instances of this process, by group and name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::RestConfig;
use crate::error::RestError;
use crate::instance::{Instance, InstanceSettings};
use crate::limits::REAPER_INTERVAL;

pub(crate) struct Instances {
    by_name: Mutex<BTreeMap<(String, String), Arc<Instance>>>,
    instances_max: usize,
    idle_max: Duration,
    /// Instances that are being closed.
    leaving: TaskTracker,
}

impl Instances {
    pub(crate) fn new(config: &RestConfig) -> Instances {
        Instances {
            by_name: Mutex::new(BTreeMap::new()),
            instances_max: config.instances_max,
            idle_max: config.instance_timeout,
            leaving: TaskTracker::new(),
        }
    }

    /// Reserves a name; nothing is connected yet.
    pub(crate) fn create(&self, group: &str, id: &str, settings: InstanceSettings) -> Result<(), RestError> {
        let name = (group.to_owned(), id.to_owned());
        let mut by_name = self.by_name.lock();
        if by_name.contains_key(&name) {
            return Err(RestError::instance_exists());
        }
        if by_name.len() >= self.instances_max {
            return Err(RestError::too_many(format!(
                "There are {} consumer instances already, and no more may be created.",
                self.instances_max
            )));
        }
        by_name.insert(name, Arc::new(Instance::new(settings)));
        Ok(())
    }

    pub(crate) fn find(&self, group: &str, id: &str) -> Result<Arc<Instance>, RestError> {
        let by_name = self.by_name.lock();
        let found = by_name.get(&(group.to_owned(), id.to_owned()));
        found.cloned().ok_or_else(RestError::no_instance)
    }

    /// It leaves its group even if nobody waits for that.
    pub(crate) async fn delete(&self, group: &str, id: &str) -> Result<(), RestError> {
        let removed = self.by_name.lock().remove(&(group.to_owned(), id.to_owned()));
        let instance = removed.ok_or_else(RestError::no_instance)?;
        let _ = self.leaving.spawn(instance.close(true)).await;
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.by_name.lock().len()
    }

    /// Closes instances that nobody has asked for anything for too long; until `stop`.
    pub(crate) async fn expire_idle(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(REAPER_INTERVAL)).await.is_some() {
            let mut expired = Vec::new();
            self.by_name.lock().retain(|(group, id), instance| {
                let stays = !instance.is_idle_for(self.idle_max);
                if !stays {
                    tracing::info!("the idle consumer instance {id} of group {group} is closed");
                    expired.push(instance.clone());
                }
                stays
            });
            for instance in expired {
                self.leaving.spawn(instance.close(false));
            }
        }
    }

    pub(crate) async fn close_all(&self) {
        let all = std::mem::take(&mut *self.by_name.lock());
        for instance in all.into_values() {
            self.leaving.spawn(instance.close(false));
        }
        self.leaving.close();
        self.leaving.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use dohle_client::Properties;

    #[tokio::test]
    async fn the_end_waits_for_instances_that_are_being_deleted() {
        let instances = Instances::new(&RestConfig::from_properties(&Properties::default()).unwrap());
        let settings = InstanceSettings {
            group: "g".into(),
            format: Format::Json,
            offset_reset: "latest".into(),
            auto_commit: true,
            fetch_bytes_min: 0,
            request_timeout: None,
        };
        instances.create("g", "i", settings).unwrap();
        let instance = instances.find("g", "i").unwrap();
        let turn = instance.turn().await;
        let now = Duration::ZERO;
        assert!(
            tokio::time::timeout(now, instances.delete("g", "i")).await.is_err(),
            "the client hangs up"
        );
        assert!(tokio::time::timeout(now, instances.close_all()).await.is_err());
        drop(turn);
        instances.close_all().await;
    }
}
