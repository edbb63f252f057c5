//! Where the value of a key comes from.

/// With Kafka's numbers in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic = 1,
    /// Altered for one broker.
    DynamicBroker = 2,
    /// Altered for all brokers.
    DynamicDefaultBroker = 3,
    /// Set in the file or on the command line.
    StaticBroker = 4,
    Default = 5,
}

impl ConfigSource {
    pub fn code(self) -> i8 {
        self as i8
    }
}
