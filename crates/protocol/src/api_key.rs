//! The APIs of the protocol: keys, versions, and which header goes with which version.

use std::fmt;
use std::ops::RangeInclusive;

macro_rules! api_keys {
    ($($name:ident = $code:literal, $versions:expr, $($flexible:ident)+ $($first:literal)?;)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($name = $code,)*
        }

        impl ApiKey {
            /// Every key, in ascending order.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name),*];

            pub fn from_code(code: i16) -> Option<ApiKey> {
                match code {
                    $($code => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The versions that Kafka serves as stable.
            pub fn valid_versions(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => $versions,)*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482).
            fn first_flexible_version(self) -> Option<i16> {
                match self {
                    $(ApiKey::$name => api_keys!(@ $($flexible)+ $($first)?),)*
                }
            }
        }
    };
    (@ flexible from $first:literal) => { Some($first) };
    (@ never flexible) => { None };
}

api_keys! {
    Produce = 0, 3..=13, flexible from 9;
    Fetch = 1, 4..=18, flexible from 12;
    ListOffsets = 2, 1..=11, flexible from 6;
    Metadata = 3, 0..=13, flexible from 9;
    OffsetCommit = 8, 2..=10, flexible from 8;
    OffsetFetch = 9, 1..=10, flexible from 6;
    FindCoordinator = 10, 0..=6, flexible from 3;
    JoinGroup = 11, 0..=9, flexible from 6;
    Heartbeat = 12, 0..=4, flexible from 4;
    LeaveGroup = 13, 0..=5, flexible from 4;
    SyncGroup = 14, 0..=5, flexible from 4;
    DescribeGroups = 15, 0..=6, flexible from 5;
    ListGroups = 16, 0..=5, flexible from 3;
    SaslHandshake = 17, 0..=1, never flexible;
    ApiVersions = 18, 0..=5, flexible from 3;
    CreateTopics = 19, 2..=7, flexible from 5;
    DeleteTopics = 20, 1..=6, flexible from 4;
    DeleteRecords = 21, 0..=2, flexible from 2;
    InitProducerId = 22, 0..=5, flexible from 2;
    OffsetForLeaderEpoch = 23, 2..=4, flexible from 4;
    AddPartitionsToTxn = 24, 0..=5, flexible from 3;
    AddOffsetsToTxn = 25, 0..=4, flexible from 3;
    EndTxn = 26, 0..=5, flexible from 3;
    WriteTxnMarkers = 27, 1..=2, flexible from 1;
    TxnOffsetCommit = 28, 0..=6, flexible from 3;
    DescribeAcls = 29, 1..=3, flexible from 2;
    CreateAcls = 30, 1..=3, flexible from 2;
    DeleteAcls = 31, 1..=3, flexible from 2;
    DescribeConfigs = 32, 1..=4, flexible from 4;
    AlterConfigs = 33, 0..=2, flexible from 2;
    AlterReplicaLogDirs = 34, 1..=2, flexible from 2;
    DescribeLogDirs = 35, 1..=5, flexible from 2;
    SaslAuthenticate = 36, 0..=2, flexible from 2;
    CreatePartitions = 37, 0..=3, flexible from 2;
    CreateDelegationToken = 38, 1..=3, flexible from 2;
    RenewDelegationToken = 39, 1..=2, flexible from 2;
    ExpireDelegationToken = 40, 1..=2, flexible from 2;
    DescribeDelegationToken = 41, 1..=3, flexible from 2;
    DeleteGroups = 42, 0..=2, flexible from 2;
    ElectLeaders = 43, 0..=2, flexible from 2;
    IncrementalAlterConfigs = 44, 0..=1, flexible from 1;
    AlterPartitionReassignments = 45, 0..=1, flexible from 0;
    ListPartitionReassignments = 46, 0..=0, flexible from 0;
    OffsetDelete = 47, 0..=0, never flexible;
    DescribeClientQuotas = 48, 0..=1, flexible from 1;
    AlterClientQuotas = 49, 0..=1, flexible from 1;
    DescribeUserScramCredentials = 50, 0..=0, flexible from 0;
    AlterUserScramCredentials = 51, 0..=0, flexible from 0;
    Vote = 52, 0..=2, flexible from 0;
    BeginQuorumEpoch = 53, 0..=1, flexible from 1;
    EndQuorumEpoch = 54, 0..=1, flexible from 1;
    DescribeQuorum = 55, 0..=2, flexible from 0;
    AlterPartition = 56, 2..=3, flexible from 0;
    UpdateFeatures = 57, 0..=2, flexible from 0;
    Envelope = 58, 0..=0, flexible from 0;
    FetchSnapshot = 59, 0..=1, flexible from 0;
    DescribeCluster = 60, 0..=2, flexible from 0;
    DescribeProducers = 61, 0..=0, flexible from 0;
    BrokerRegistration = 62, 0..=4, flexible from 0;
    BrokerHeartbeat = 63, 0..=2, flexible from 0;
    UnregisterBroker = 64, 0..=0, flexible from 0;
    DescribeTransactions = 65, 0..=0, flexible from 0;
    ListTransactions = 66, 0..=2, flexible from 0;
    AllocateProducerIds = 67, 0..=0, flexible from 0;
    ConsumerGroupHeartbeat = 68, 0..=1, flexible from 0;
    ConsumerGroupDescribe = 69, 0..=1, flexible from 0;
    ControllerRegistration = 70, 0..=0, flexible from 0;
    GetTelemetrySubscriptions = 71, 0..=0, flexible from 0;
    PushTelemetry = 72, 0..=0, flexible from 0;
    AssignReplicasToDirs = 73, 0..=0, flexible from 0;
    ListConfigResources = 74, 0..=1, flexible from 0;
    DescribeTopicPartitions = 75, 0..=0, flexible from 0;
    ShareGroupHeartbeat = 76, 1..=1, flexible from 0;
    ShareGroupDescribe = 77, 1..=1, flexible from 0;
    ShareFetch = 78, 1..=2, flexible from 0;
    ShareAcknowledge = 79, 1..=2, flexible from 0;
    AddRaftVoter = 80, 0..=1, flexible from 0;
    RemoveRaftVoter = 81, 0..=0, flexible from 0;
    UpdateRaftVoter = 82, 0..=0, flexible from 0;
    InitializeShareGroupState = 83, 0..=0, flexible from 0;
    ReadShareGroupState = 84, 0..=0, flexible from 0;
    WriteShareGroupState = 85, 0..=1, flexible from 0;
    DeleteShareGroupState = 86, 0..=0, flexible from 0;
    ReadShareGroupStateSummary = 87, 0..=1, flexible from 0;
    StreamsGroupHeartbeat = 88, 0..=1, flexible from 0;
    StreamsGroupDescribe = 89, 0..=1, flexible from 0;
    DescribeShareGroupOffsets = 90, 0..=1, flexible from 0;
    AlterShareGroupOffsets = 91, 0..=0, flexible from 0;
    DeleteShareGroupOffsets = 92, 0..=0, flexible from 0;
    StreamsGroupTopologyDescriptionUpdate = 93, 0..=0, flexible from 0;
    UnregisterController = 94, 0..=0, flexible from 0;
    // Between the nodes of this program only; never advertised.
    PeerRpc = 20000, 0..=0, flexible from 0;
    ForwardToController = 20001, 0..=0, flexible from 0;
}

impl ApiKey {
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Not Kafka's: between the nodes of this program.
    pub fn is_private(self) -> bool {
        self.code() >= ApiKey::PeerRpc.code()
    }

    /// Defined for versions that nobody serves, too: the header of any request can be read.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    pub fn response_header_version(self, version: i16) -> i16 {
        // A client that asks for versions does not know yet what this broker understands, so this header never changes (KIP-511).
        if self.is_flexible(version) && self != ApiKey::ApiVersions {
            1
        } else {
            0
        }
    }

    fn is_flexible(self, version: i16) -> bool {
        self.first_flexible_version().is_some_and(|first| version >= first)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
