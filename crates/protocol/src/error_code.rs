//! The error codes of the protocol, under Kafka's names.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$attribute:meta])? $variant:ident = $code:literal, $name:literal, $retriable:ident, $message:literal;)*) => {
        /// What a response says about a request, or a part of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $message] $(#[$attribute])? $variant = $code,)*
        }

        impl ErrorCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The code of a number on the wire; one that is not known is an [`ErrorCode::UnknownServerError`].
            pub fn from_code(code: i16) -> ErrorCode {
                match code {
                    $($code => ErrorCode::$variant,)*
                    _ => ErrorCode::UnknownServerError,
                }
            }

            /// Kafka's name, as in its documentation.
            pub fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $name,)*
                }
            }

            /// One sentence for people.
            pub fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $message,)*
                }
            }

            /// The same request may succeed later, or elsewhere.
            pub fn is_retriable(self) -> bool {
                match self {
                    $(ErrorCode::$variant => error_codes!(@ $retriable),)*
                }
            }
        }
    };
    (@ retriable) => { true };
    (@ fatal) => { false };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", fatal, "The broker failed in a way that has no code of its own.";
    #[default]
    None = 0, "NONE", fatal, "No error.";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", fatal, "The offset lies outside the log.";
    CorruptMessage = 2, "CORRUPT_MESSAGE", retriable, "The batch does not match its checksum, or its structure is broken.";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retriable, "This broker does not host the partition.";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", fatal, "The fetch size is not valid.";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retriable, "The partition has no leader at the moment.";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retriable, "This broker is not the leader of the partition, or not a follower that may serve it.";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retriable, "The request could not be completed in time.";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", fatal, "The broker is not available.";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retriable, "The replica is not available on this broker.";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", fatal, "The batch is larger than the topic allows.";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", fatal, "The controller has changed.";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", fatal, "The metadata committed with an offset is too long.";
    NetworkException = 13, "NETWORK_EXCEPTION", retriable, "The connection was lost before a response arrived.";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retriable, "The coordinator is still loading its state.";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retriable, "The coordinator is not available.";
    NotCoordinator = 16, "NOT_COORDINATOR", retriable, "This broker is not the coordinator of that group or transactional id.";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", fatal, "The topic name is not valid, or the topic must not be written by clients.";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", fatal, "The batch is larger than a log segment.";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retriable, "Too few replicas are in sync to accept the write.";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable, "The batch was appended, but too few replicas were in sync to acknowledge it.";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", fatal, "The required acknowledgements must be -1, 0 or 1.";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", fatal, "The generation is not the current one of the group.";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", fatal, "The protocols of the member do not fit those of the group.";
    InvalidGroupId = 24, "INVALID_GROUP_ID", fatal, "The group id is not valid.";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", fatal, "The group does not know this member.";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", fatal, "The session timeout is outside the limits of the broker.";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", fatal, "The group is rebalancing; the member has to join again.";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", fatal, "The offset commit is too large.";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", fatal, "Not authorized to access the topic.";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", fatal, "Not authorized to access the group.";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", fatal, "Not authorized to act on the cluster.";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", fatal, "The timestamp of a record is outside the limits of the topic.";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", fatal, "The SASL mechanism is not enabled here.";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", fatal, "The request does not fit the state of the SASL exchange.";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", fatal, "The broker does not serve this version of the API.";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", fatal, "A topic of this name exists already.";
    InvalidPartitions = 37, "INVALID_PARTITIONS", fatal, "The number of partitions is not valid.";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", fatal, "The replication factor is below 1 or above the number of brokers.";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", fatal, "The assignment of replicas is not valid.";
    InvalidConfig = 40, "INVALID_CONFIG", fatal, "The configuration is not valid.";
    NotController = 41, "NOT_CONTROLLER", retriable, "This node is not the active controller.";
    InvalidRequest = 42, "INVALID_REQUEST", fatal, "The request is malformed or contradicts itself.";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", fatal, "The message format of the topic does not support the request.";
    PolicyViolation = 44, "POLICY_VIOLATION", fatal, "The request violates a policy of the cluster.";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", fatal, "The sequence number does not follow the last one of the producer.";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", fatal, "The batch with this sequence number was appended before.";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", fatal, "The producer epoch is older than the current one.";
    InvalidTxnState = 48, "INVALID_TXN_STATE", fatal, "The transaction is in no state that allows the operation.";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", fatal, "The producer id does not belong to the transactional id.";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", fatal, "The transaction timeout is above the maximum of the broker.";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retriable, "Another operation of the same transaction is still running.";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", fatal, "The sender is no longer the coordinator of the transaction.";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", fatal, "Not authorized to use the transactional id.";
    SecurityDisabled = 54, "SECURITY_DISABLED", fatal, "Security features are disabled.";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", fatal, "The operation was not attempted, because another one of the request failed.";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retriable, "The disk that holds the log has failed.";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", fatal, "The log directory is not one of this broker.";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", fatal, "Authentication failed.";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", fatal, "The broker has no state of this producer id.";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", fatal, "A reassignment of the partition is in progress.";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", fatal, "Delegation tokens are disabled.";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", fatal, "The delegation token does not exist.";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", fatal, "The principal is neither owner nor renewer of the delegation token.";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", fatal, "Delegation tokens cannot be requested over this kind of connection.";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", fatal, "Not authorized to use the delegation token.";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", fatal, "The delegation token has expired.";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", fatal, "The principal type is not supported.";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", fatal, "The group still has members.";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", fatal, "The group does not exist.";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retriable, "The fetch session does not exist.";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retriable, "The fetch session epoch is not the expected one.";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retriable, "The leader has no listener of the name on which the request came.";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", fatal, "Deletion of topics is disabled.";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retriable, "The leader epoch of the request is older than the one of the broker.";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retriable, "The leader epoch of the request is newer than the one of the broker.";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", fatal, "The version of the request does not allow this compression type.";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", fatal, "The broker epoch has changed.";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retriable, "The high watermark has not caught up with the epoch of the new leader yet.";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", fatal, "The member needs an id before it can join; use the one returned.";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retriable, "The preferred leader is not available.";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", fatal, "The group is full.";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", fatal, "A newer member has taken over the group instance id.";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable, "No eligible leader is available.";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retriable, "The partition needs no election.";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", fatal, "No reassignment of the partition is in progress.";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", fatal, "The group is subscribed to the topic.";
    InvalidRecord = 87, "INVALID_RECORD", fatal, "A record is not valid.";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retriable, "Offsets of a transaction that is not complete are pending.";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retriable, "The quota is exhausted; try again later.";
    ProducerFenced = 90, "PRODUCER_FENCED", fatal, "A newer producer with the same transactional id has taken over.";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", fatal, "The resource does not exist.";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", fatal, "The request names the same resource twice.";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", fatal, "The credential does not meet the requirements.";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", fatal, "Sender or recipient is not one of the expected voters.";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", fatal, "The version of the update is not valid.";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", fatal, "The feature level could not be changed.";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", fatal, "The principal of a forwarded request could not be read.";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", fatal, "The snapshot does not exist.";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", fatal, "The position lies outside the snapshot.";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retriable, "This broker does not know the topic id.";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", fatal, "Another live broker uses this id.";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", fatal, "No broker with this id is registered.";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retriable, "The topic id is not the one of the log.";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", fatal, "The request was meant for another cluster.";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", fatal, "The transactional id does not exist.";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retriable, "The fetch session mixes requests with and without topic ids.";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", fatal, "A replica that is not eligible was proposed for the in-sync replicas.";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", fatal, "The change was made, and made another broker the leader.";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", fatal, "The offset has moved to tiered storage.";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", fatal, "The member epoch is fenced; the member has to join anew.";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", fatal, "Another member still uses the group instance id.";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", fatal, "The group does not support the assignor.";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", fatal, "The member epoch is outdated.";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", fatal, "The request was sent to an endpoint of the wrong type.";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", fatal, "The endpoint type is not supported.";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", fatal, "No controller has this id.";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", fatal, "The telemetry subscription is unknown or outdated.";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", fatal, "The telemetry is larger than the broker accepts.";
    InvalidRegistration = 119, "INVALID_REGISTRATION", fatal, "The controller refuses the registration of the broker.";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", fatal, "The transaction can only be aborted; the transactional id stays usable.";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", fatal, "The state of the record does not allow the acknowledgement.";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retriable, "The share session does not exist.";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retriable, "The share session epoch is not the expected one.";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", fatal, "The epoch of the share-group state is outdated.";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", fatal, "The voter is known under another key.";
    DuplicateVoter = 126, "DUPLICATE_VOTER", fatal, "The voter is already a member of the quorum.";
    VoterNotFound = 127, "VOTER_NOT_FOUND", fatal, "The voter is not a member of the quorum.";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", fatal, "The regular expression is not valid.";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", fatal, "The metadata of the client is outdated beyond repair; bootstrap again.";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", fatal, "The topology is not valid.";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", fatal, "The topology epoch is not valid.";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", fatal, "The topology epoch is outdated.";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retriable, "No more share sessions can be opened.";
}

impl ErrorCode {
    pub fn code(self) -> i16 {
        self as i16
    }

    pub fn is_none(self) -> bool {
        self == ErrorCode::None
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
