//! `GET /_matrix/app/v1/users/{userId}` and `…/rooms/{roomAlias}`: whether something of ours exists.
//!
//! <https://spec.matrix.org/v1.16/application-service-api/#querying>

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use ruma::{RoomAliasId, UserId, api::error::ErrorKind};

use super::{AppserviceState, answer};

pub(super) async fn user(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let user = match path {
        Ok(Path(user)) => user,
        Err(rejection) => return answer::bad_path(&rejection),
    };
    let exists = match UserId::parse(user) {
        Ok(user) => state.0.sink.user_exists(&user).await,
        Err(_) => false,
    };
    verdict(exists, "there is no such user")
}

pub(super) async fn room(
    State(state): State<AppserviceState>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let alias = match path {
        Ok(Path(alias)) => alias,
        Err(rejection) => return answer::bad_path(&rejection),
    };
    let exists = match RoomAliasId::parse(alias) {
        Ok(alias) => state.0.sink.room_alias_exists(&alias).await,
        Err(_) => false,
    };
    verdict(exists, "there is no such room")
}

fn verdict(exists: bool, message: &str) -> Response {
    if exists {
        answer::done()
    } else {
        answer::error(StatusCode::NOT_FOUND, ErrorKind::NotFound, message)
    }
}
