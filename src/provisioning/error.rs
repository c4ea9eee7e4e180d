//! Refusals, in the form of the Matrix APIs: a code for programs and a sentence for people.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    bridge::{BridgeError, LinkError},
    network::NetworkError,
    store::StoreError,
};

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    /// A code for programs, such as `M_NOT_FOUND`.
    errcode: &'static str,
    /// A sentence for people.
    error: String,
}

/// A refusal with its status.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    refusal: Refusal,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, errcode: &'static str, error: impl Into<String>) -> Self {
        let error = error.into();
        Self {
            status,
            refusal: Refusal { errcode, error },
        }
    }

    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", error)
    }

    pub(super) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", error)
    }

    pub(super) fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", error)
    }

    pub(super) fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", error)
    }

    pub(super) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "EU.DRAWBRIDGE.CONFLICT", error)
    }

    pub(super) fn unreachable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "EU.DRAWBRIDGE.UNREACHABLE", error)
    }

    pub(super) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "EU.DRAWBRIDGE.STOPPING",
            "the bridge is stopping, try again in a minute",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        let text = error.to_string();
        match error {
            NetworkError::Unreachable(_) | NetworkError::Store(_) => Self::unreachable(text),
            NetworkError::NoSuchUser(_) | NetworkError::NoSuchLogin => Self::not_found(text),
            NetworkError::NotReachable | NetworkError::Refused(_) | NetworkError::Unsendable(_) => {
                Self::conflict(text)
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::unreachable(error.to_string())
    }
}

impl From<BridgeError> for ApiError {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Network(error) => error.into(),
            error if error.is_transient() => Self::unreachable(error.to_string()),
            error => Self::conflict(error.to_string()),
        }
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        Self::conflict(error.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(error) => Self::bad(error.body_text()),
            error => Self::new(
                error.status(),
                if error.status() == StatusCode::BAD_REQUEST {
                    "M_NOT_JSON"
                } else {
                    "M_INVALID_PARAM"
                },
                error.body_text(),
            ),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

pub(super) async fn unknown_path() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "M_UNRECOGNIZED",
        "there is no such endpoint",
    )
}

pub(super) async fn unknown_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "M_UNRECOGNIZED",
        "this endpoint has no such method",
    )
}
