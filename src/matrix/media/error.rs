//! Why a file cannot be had from the homeserver, or not be given to it.

use std::{io, time::Duration};

use crate::{domain::file_size, matrix::MatrixError};

/// Why a file cannot be had. A stream that fails carries it inside its [`io::Error`]: see [`DownloadError::inside`].
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// What should be its address is none.
    #[error("its address is no mxc:// URI")]
    Address,
    /// The homeserver does not have it, or not any more.
    #[error("the homeserver does not have it")]
    NotFound,
    /// It is larger than is taken.
    #[error("it is larger than {}", file_size(*.limit))]
    TooLarge {
        /// The most that is taken, in bytes.
        limit: u64,
    },
    /// It is refused for a reason that will not pass.
    #[error("it is refused: {0}")]
    Refused(String),
    /// It cannot be had now; trying again may help.
    #[error("it cannot be had now: {0}")]
    Unreachable(String),
    /// What came is not what was announced.
    #[error("what came is not what was sent ({0})")]
    Corrupt(&'static str),
}

impl DownloadError {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// What made a stream of this module fail.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// That no bytes came for a while.
    pub(super) fn stalled(stall: Duration) -> Self {
        Self::Unreachable(format!("nothing came for {} seconds", stall.as_secs_f32()))
    }
}

impl From<DownloadError> for io::Error {
    fn from(error: DownloadError) -> Self {
        let kind = match error {
            DownloadError::Address => io::ErrorKind::InvalidInput,
            DownloadError::NotFound => io::ErrorKind::NotFound,
            DownloadError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            DownloadError::Refused(_) => io::ErrorKind::PermissionDenied,
            DownloadError::Unreachable(_) => io::ErrorKind::ConnectionAborted,
            DownloadError::Corrupt(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl From<MatrixError> for DownloadError {
    fn from(error: MatrixError) -> Self {
        match &error {
            MatrixError::Unreachable(reason) => Self::Unreachable(reason.clone()),
            MatrixError::Refused {
                status: 404 | 410, ..
            } => Self::NotFound,
            _ if error.is_transient() => Self::Unreachable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// Why a file was not taken by the homeserver.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is larger than the homeserver takes; that will not pass.
    #[error("it is larger than the homeserver takes{}", most(*.limit))]
    TooLarge {
        /// The most the homeserver takes, in bytes, if it says so.
        limit: Option<u64>,
    },
    /// What it was read from failed, or had fewer or more bytes than announced.
    #[error("it could not be read: {0}")]
    Source(io::Error),
    /// The homeserver took nothing for a while.
    #[error("the homeserver took nothing for {} seconds", .0.as_secs_f32())]
    Stalled(Duration),
    /// The homeserver failed or refused.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
}

impl UploadError {
    /// Whether the same call may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooLarge { .. } => false,
            Self::Source(error) => match DownloadError::inside(error) {
                Some(error) => error.is_transient(),
                None => !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::FileTooLarge
                ),
            },
            Self::Stalled(_) => true,
            Self::Matrix(error) => error.is_transient(),
        }
    }
}

fn most(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |limit| {
        format!(" ({} at most)", file_size(limit))
    })
}
