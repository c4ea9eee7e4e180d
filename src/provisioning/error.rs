//! Refusals, in the form of the Matrix APIs: a code for programs and a sentence for people.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    bridge::{BridgeError, LinkError},
    matrix::MatrixError,
    network::NetworkError,
    store::StoreError,
};

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    /// A code for programs.
    #[schema(example = "M_NOT_FOUND")]
    errcode: &'static str,
    /// A sentence for people.
    #[schema(example = "@alice:example.org has no login 7")]
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

    pub(super) fn missing(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", error)
    }

    pub(super) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", error)
    }

    pub(super) fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", error)
    }

    /// Nobody calls.
    pub(super) fn anonymous(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", error)
    }

    /// Somebody calls who is not known.
    pub(super) fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", error)
    }

    pub(super) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "EU.DRAWBRIDGE.CONFLICT", error)
    }

    pub(super) fn unreachable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "EU.DRAWBRIDGE.UNREACHABLE", error)
    }

    pub(super) fn unavailable(error: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "EU.DRAWBRIDGE.UNAVAILABLE", error)
    }

    pub(super) fn stopping() -> Self {
        Self::unavailable("the bridge is stopping, try again in a minute")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.refusal)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        let text = error.to_string();
        match error {
            NetworkError::Store(error) => error.into(),
            NetworkError::Unreachable(_) => Self::unreachable(text),
            NetworkError::NoSuchUser(_) | NetworkError::NoSuchLogin => Self::not_found(text),
            NetworkError::NotReachable => {
                Self::conflict("they do not take messages of other apps; `/reachability` asks them")
            }
            NetworkError::Refused(_) | NetworkError::Unsendable(_) => Self::conflict(text),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        // What a database says is for whoever runs the bridge.
        tracing::warn!(%error, "the provisioning API could not use the store");
        Self::unavailable("the bridge's database cannot be used now, try again in a minute")
    }
}

impl From<MatrixError> for ApiError {
    fn from(error: MatrixError) -> Self {
        if error.is_transient() {
            Self::unreachable(error.to_string())
        } else {
            Self::conflict(error.to_string())
        }
    }
}

impl From<BridgeError> for ApiError {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Network(error) => error.into(),
            BridgeError::Store(error) => error.into(),
            BridgeError::Matrix(error) => error.into(),
            error if error.is_transient() => Self::unreachable(error.to_string()),
            error => Self::conflict(error.to_string()),
        }
    }
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Network(error) => error.into(),
            LinkError::Bridge(error) => error.into(),
            LinkError::NotAllowed | LinkError::AdminsOnly | LinkError::Power { .. } => {
                Self::forbidden(error.to_string())
            }
            LinkError::NoSuchChat(why) => Self::not_found(format!("there is no such chat: {why}")),
            LinkError::NoLogin => Self::not_found("that is no login of yours"),
            LinkError::NotLinked => Self::not_found("this room is not linked to that"),
            error => Self::conflict(error.to_string()),
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let text = rejection.body_text();
        match rejection {
            JsonRejection::JsonDataError(_) => Self::bad(text),
            JsonRejection::JsonSyntaxError(_) => {
                Self::new(StatusCode::BAD_REQUEST, "M_NOT_JSON", text)
            }
            JsonRejection::MissingJsonContentType(_) => {
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Self::new(status, "M_NOT_JSON", text)
            }
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(other.status(), "M_TOO_LARGE", text)
            }
            _ => Self::bad(text),
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
    let status = StatusCode::NOT_FOUND;
    ApiError::new(status, "M_UNRECOGNIZED", "there is no such endpoint")
}

pub(super) async fn unknown_method() -> ApiError {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    ApiError::new(status, "M_UNRECOGNIZED", "this endpoint has no such method")
}
