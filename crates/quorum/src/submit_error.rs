//! Why a request was not answered by the controller.

use openraft::errors::Fatal;

use crate::runtime::Runtime;
use crate::type_config::{NodeId, TypeConfig};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Nothing has happened.
    #[error("this node is not the controller; {}", leader.map_or_else(|| "none is known".to_owned(), |id| format!("node {id} is")))]
    NotController { leader: Option<NodeId> },
    /// The leadership was lost on the way. What was asked for may have happened, or may still happen.
    #[error("the controller has changed; what became of the request is unknown")]
    Unknown,
    /// Nothing has happened.
    #[error("the request would change too much at once: {0} bytes of metadata")]
    TooLarge(usize),
    /// Nothing has happened.
    #[error("the controller has a defect, and could not decide; its panic message is in the log of the node")]
    Defect,
    /// The log of the metadata cannot be written. Stays so until the node is restarted with a working disk.
    #[error("the metadata quorum of this node has failed: {0}")]
    Failed(String),
    #[error("the metadata quorum of this node is shut down")]
    ShutDown,
}

impl<R: Runtime> From<&Fatal<TypeConfig<R>>> for SubmitError {
    fn from(fatal: &Fatal<TypeConfig<R>>) -> SubmitError {
        match fatal {
            Fatal::Stopped => SubmitError::ShutDown,
            fatal => SubmitError::Failed(fatal.to_string()),
        }
    }
}
