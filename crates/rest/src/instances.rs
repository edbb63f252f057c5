//! All consumer instances of this process, by group and name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::RestConfig;
use crate::error::RestError;
use crate::instance::{Instance, InstanceSettings};
use crate::limits::REAPER_INTERVAL;

pub(crate) struct Instances {
    by_name: Mutex<BTreeMap<(String, String), Arc<Instance>>>,
    instances_max: usize,
    idle_max: Duration,
}

impl Instances {
    pub(crate) fn new(config: &RestConfig) -> Instances {
        Instances {
            by_name: Mutex::new(BTreeMap::new()),
            instances_max: config.instances_max,
            idle_max: config.instance_timeout,
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

    pub(crate) fn remove(&self, group: &str, id: &str) -> Result<Arc<Instance>, RestError> {
        let removed = self.by_name.lock().remove(&(group.to_owned(), id.to_owned()));
        removed.ok_or_else(RestError::no_instance)
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
                tokio::spawn(async move { instance.close(false).await });
            }
        }
    }

    pub(crate) async fn close_all(&self) {
        let all = std::mem::take(&mut *self.by_name.lock());
        join_all(all.values().map(|instance| instance.close(false))).await;
    }
}
