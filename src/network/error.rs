//! What can go wrong with a gatekeeper.

use crate::store::StoreError;

/// A failure on the gatekeeper's side.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It could not be asked now; trying again later may work.
    #[error("the gatekeeper cannot be reached now: {0}")]
    Unreachable(String),
    /// It refused, with its reason.
    #[error("the gatekeeper refused: {0}")]
    Refused(String),
    /// There is no such user, or it cannot be written to.
    #[error("{0}")]
    NoSuchUser(String),
    /// The user takes no messages of other apps; they can be asked to.
    #[error(
        "they do not take messages of other apps: ask them to with the command `request-reachability`"
    )]
    NotReachable,
    /// There is no such login.
    #[error("there is no such login")]
    NoSuchLogin,
    /// The message can never be sent.
    #[error("{0}")]
    Unsendable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NetworkError {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Store(_))
    }
}
