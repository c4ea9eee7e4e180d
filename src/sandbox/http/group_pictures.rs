//! `GET /{gatekeeper}/media/groups/{group}/{picture}`: the picture of a group, for who knows its id.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{network::interop::wire::Jid, sandbox::office::Office};

/// The endpoint; 404 for what is no picture now.
pub(super) async fn give(
    State(office): State<Arc<Office>>,
    Path((_, group, id)): Path<(String, String, String)>,
) -> Response {
    let found = group.parse::<Jid>().ok().and_then(|group| {
        let directory = office.directory();
        let known = directory.groups.all.get(&group)?.picture.as_deref() == Some(&*id);
        let bytes = directory.groups.pictures.get(&group).filter(|_| known)?;
        Some(bytes.clone())
    });
    match found {
        Some(bytes) => ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
