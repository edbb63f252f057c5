//! What a healed world comes to.

use super::world::World;

impl World {
    /// Every replica is in sync and has everything, everything is committed, nobody waits. Otherwise, what is missing.
    pub(super) fn is_at_rest(&self) -> Result<(), String> {
        if let Some(producer) = self.producers.iter().find(|producer| producer.batch.is_some()) {
            return Err(format!("{producer:?} waits"));
        }
        for partition in 0..self.plan.partitions {
            let Some(known) = self.controller.partition(partition) else {
                return Err("there is no topic".to_owned());
            };
            if known.leader.is_none() || known.isr.len() != known.replicas.len() || known.is_reassigning() {
                return Err(format!("partition {partition} is {known:?}"));
            }
            let committed = self.checker.committed_end(partition);
            for id in &known.replicas {
                let broker = &self.brokers[id.0 as usize - 1];
                let Some(replica) = broker.role(partition) else {
                    return Err(format!("{id} does not know its partition {partition}"));
                };
                let (end, high_watermark) = (broker.logs[partition].end(), replica.high_watermark());
                if end != committed || high_watermark != committed {
                    return Err(format!(
                        "{id} has partition {partition} up to {end}, and up to {high_watermark} of {committed} committed"
                    ));
                }
            }
        }
        Ok(())
    }
}
