//! Who somebody is to the bridge, and their logins.

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    asker::{ActiveLogin, Asker},
    error::{ApiError, Refusal},
    extract::{ActsFor, Body, LONGEST, LoginPath, Path, bounded},
    status::Connection,
};
use crate::{
    bridge::Bridge,
    config::Level,
    domain::GatekeeperId,
    store::{LoginRow, LoginState},
};

/// Who somebody is to the bridge.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whoami {
    /// Their Matrix id.
    #[schema(example = "@alice:example.org")]
    user_id: String,
    /// Whether they look after the bridge.
    admin: bool,
    /// The bot's Matrix id.
    #[schema(example = "@drawbridgebot:example.org")]
    bot: String,
    /// Their management room, in which they write to the bot, if there is one.
    #[schema(example = "!desk:example.org")]
    management_room: Option<String>,
    /// Their logins.
    logins: Vec<Login>,
}

/// A login.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Login {
    /// Its number.
    #[schema(example = 4_862_117_003_i64)]
    #[serde(rename = "login")]
    number: i64,
    /// The gatekeeper it is at.
    #[schema(example = "whatsapp")]
    gatekeeper: String,
    /// The gatekeeper's name for people.
    #[schema(example = "WhatsApp")]
    gatekeeper_name: String,
    /// What others see as its identifier.
    #[schema(example = "@alice:example.org")]
    identifier: String,
    /// How far it is.
    state: State_,
    /// How its connection is.
    connection: Connection,
}

/// How far a login is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LoginState)]
pub(super) enum State_ {
    /// It was begun and not finished.
    Enlisting,
    /// The gatekeeper knows it.
    Active,
    /// The gatekeeper forgot it; it is made again at the next connection.
    Unenlisted,
    /// It is being ended.
    LoggedOut,
}

/// A gatekeeper somebody can log in at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Flow {
    /// Its id.
    #[schema(example = "whatsapp")]
    gatekeeper: String,
    /// Its name for people.
    #[schema(example = "WhatsApp")]
    gatekeeper_name: String,
    /// What others will see as the identifier; none if none can be made of this user.
    #[schema(example = "@alice:example.org")]
    identifier: Option<String>,
    /// What has to be accepted first; nothing if there is none.
    terms: Option<TermsToAccept>,
}

/// What has to be accepted before a login.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TermsToAccept {
    /// What tells these words from other ones.
    #[schema(example = "6f1c0a5e9d3b7284")]
    version: String,
    /// The words, in Markdown.
    text: String,
    /// Whether they were accepted already.
    accepted: bool,
}

/// Where to log in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    /// The gatekeeper's id, as `login_flows` gives it.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x1f\\x7f]+$",
        example = "whatsapp"
    )]
    gatekeeper: String,
    /// The version of the terms that the user has accepted, as `login_flows` gives it.
    #[serde(default)]
    #[schema(max_length = 255, example = "6f1c0a5e9d3b7284")]
    accepted_terms: Option<String>,
}

pub(super) fn login(bridge: &Bridge, row: &LoginRow) -> Login {
    Login {
        number: row.id.0,
        gatekeeper: row.gatekeeper.to_string(),
        gatekeeper_name: bridge.gatekeeper_name(&row.gatekeeper).to_owned(),
        identifier: row.visible_id.clone(),
        state: match row.state {
            LoginState::Enlisting => State_::Enlisting,
            LoginState::Active => State_::Active,
            LoginState::Unenlisted => State_::Unenlisted,
            LoginState::LoggedOut => State_::LoggedOut,
        },
        connection: Connection::of(bridge, row),
    }
}

async fn rows(bridge: &Bridge, user: &str) -> Result<Vec<LoginRow>, ApiError> {
    let mxid = user.to_owned();
    Ok(bridge
        .database()
        .read(move |txn| {
            let mxid = mxid.clone();
            Box::pin(async move { txn.logins_of(&mxid).await })
        })
        .await?)
}

/// Who the caller is to the bridge.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/whoami",
    tag = "account",
    params(ActsFor),
    responses(
        (status = 200, description = "The user.", body = Whoami),
    )
)]
pub(super) async fn whoami(Asker { bridge, caller }: Asker) -> Result<Json<Whoami>, ApiError> {
    let mxid = caller.user.to_string();
    let management_room = bridge
        .database()
        .read(move |txn| {
            let mxid = mxid.clone();
            Box::pin(async move { txn.management_room(&mxid).await })
        })
        .await?;
    let logins = rows(&bridge, caller.user.as_str()).await?;
    Ok(Json(Whoami {
        user_id: caller.user.to_string(),
        admin: caller.level >= Level::Admin,
        bot: bridge.bot().user_id().to_string(),
        management_room,
        logins: logins.iter().map(|row| login(&bridge, row)).collect(),
    }))
}

/// Where the caller can log in, and what they have to accept for that.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/login_flows",
    tag = "account",
    params(ActsFor),
    responses(
        (status = 200, description = "One for each gatekeeper.", body = [Flow]),
    )
)]
pub(super) async fn login_flows(
    Asker { bridge, caller }: Asker,
) -> Result<Json<Vec<Flow>>, ApiError> {
    let mut flows = Vec::new();
    for network in bridge.networks() {
        let terms = match bridge.terms() {
            None => None,
            Some(terms) => Some(TermsToAccept {
                accepted: bridge.has_accepted(&caller.user, &terms.version).await?,
                version: terms.version,
                text: terms.text,
            }),
        };
        flows.push(Flow {
            gatekeeper: network.id().to_string(),
            gatekeeper_name: bridge.gatekeeper_name(network.id()).to_owned(),
            identifier: network.visible_id(caller.user.as_str()).ok(),
            terms,
        });
    }
    Ok(Json(flows))
}

/// The caller's logins.
#[utoipa::path(
    get,
    path = "/_drawbridge/v1/logins",
    tag = "account",
    params(ActsFor),
    responses(
        (status = 200, description = "Those at all gatekeepers.", body = [Login]),
    )
)]
pub(super) async fn logins(Asker { bridge, caller }: Asker) -> Result<Json<Vec<Login>>, ApiError> {
    let rows = rows(&bridge, caller.user.as_str()).await?;
    Ok(Json(rows.iter().map(|row| login(&bridge, row)).collect()))
}

/// Logs the caller in at a gatekeeper, or goes on with a login that was interrupted.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/logins",
    tag = "account",
    params(ActsFor),
    request_body(content = LogIn, description = "Where to log in."),
    responses(
        (status = 200, description = "The login, new or as it was.", body = Login),
        (status = 404, description = "There is no such gatekeeper.", body = Refusal),
        (status = 409, description = "The terms are not accepted, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn log_in(
    asker: Asker,
    Body(wanted): Body<LogIn>,
) -> Result<Json<Login>, ApiError> {
    let Asker { bridge, caller } = &asker;
    let unknown = || ApiError::not_found("there is no gatekeeper of that id; see `login_flows`");
    let gatekeeper = bounded("gatekeeper", &wanted.gatekeeper, LONGEST)?;
    if let Some(version) = &wanted.accepted_terms
        && version.chars().count() > LONGEST
    {
        return Err(ApiError::bad("`accepted_terms` is too long"));
    }
    let gatekeeper = GatekeeperId::parse(gatekeeper).map_err(|_| unknown())?;
    let network = bridge.network(&gatekeeper).map_err(|_| unknown())?;
    if let Some(terms) = bridge.terms()
        && !bridge.has_accepted(&caller.user, &terms.version).await?
    {
        if wanted.accepted_terms.as_deref() != Some(terms.version.as_str()) {
            return Err(ApiError::conflict(format!(
                "the user has to accept the terms of version {}, which `login_flows` gives, in `accepted_terms`",
                terms.version
            )));
        }
        bridge.accept_terms(&caller.user, &terms.version).await?;
    }
    let id = network.log_in(caller.user.as_str()).await?;
    let row = asker.login(id.0).await?;
    Ok(Json(login(bridge, &row)))
}

/// Has the gatekeeper delete a login, then forgets it here. The rooms of its chats stay with the user, but carry nothing any more.
#[utoipa::path(
    delete,
    path = "/_drawbridge/v1/logins/{login}",
    tag = "account",
    params(LoginPath, ActsFor),
    responses(
        (status = 204, description = "The login is ended."),
        (status = 404, description = "The user has no such login.", body = Refusal),
        (status = 409, description = "The gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn log_out(
    asker: Asker,
    Path(LoginPath { login }): Path<LoginPath>,
) -> Result<StatusCode, ApiError> {
    let row = asker.login(login).await?;
    let bridge = &asker.bridge;
    let rooms = bridge.rooms_of(row.id).await?;
    bridge.network(&row.gatekeeper)?.log_out(row.id).await?;
    bridge.forget_login(row.id);
    bridge.close_rooms(&rooms).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings back a login that does not work any more: it is enlisted again if the gatekeeper forgot it, and connected.
#[utoipa::path(
    post,
    path = "/_drawbridge/v1/logins/{login}/reconnect",
    tag = "account",
    params(LoginPath, ActsFor),
    responses(
        (status = 200, description = "The login, as it is now.", body = Login),
        (status = 404, description = "The user has no such login.", body = Refusal),
        (status = 409, description = "The login is being ended, or the gatekeeper refuses.", body = Refusal),
    )
)]
pub(super) async fn reconnect(
    ActiveLogin { asker, row }: ActiveLogin,
) -> Result<Json<Login>, ApiError> {
    let network = asker.bridge.network(&row.gatekeeper)?;
    network.log_in(asker.caller.user.as_str()).await?;
    let row = asker.login(row.id.0).await?;
    Ok(Json(login(&asker.bridge, &row)))
}
