//! `GET /{gatekeeper}/media/pictures/{id}.jpg`: a picture, for whoever knows its id.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::sandbox::{enlistment::flavour_of, office::Office};

/// The endpoint.
pub(super) async fn give(
    State(office): State<Arc<Office>>,
    Path((gatekeeper, name)): Path<(String, String)>,
) -> Result<Response, StatusCode> {
    flavour_of(&gatekeeper).ok_or(StatusCode::NOT_FOUND)?;
    let id = name.strip_suffix(".jpg").ok_or(StatusCode::NOT_FOUND)?;
    let picture = office.directory().pictures.get(id).cloned();
    let picture = picture.ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], picture).into_response())
}
