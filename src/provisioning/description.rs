//! The API's description (`OpenAPI` 3.1), made from the code: what each endpoint says of itself, and what is true for all.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Header, ObjectBuilder, Ref, ResponseBuilder, Type,
        path::Operation,
        response::Response,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{account, people, rooms, status};

/// The description.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "drawbridge provisioning",
        description = "What the bot's commands do, for programs.\n\nEvery request shows who calls in `Authorization: Bearer …`. A program shows the secret of the configuration (`provisioning.secret`) and names the user it acts for by `user_id`. A user of the homeserver shows `openid:` and an OpenID token, which the homeserver gives them (`POST /_matrix/client/v3/user/{userId}/openid/request_token`), and acts for themselves. Without one of these every path, known or not, answers 401.\n\nRefusals have the form of the Matrix APIs, `Refusal`: also 404 `M_UNRECOGNIZED` at unknown paths and 405 `M_UNRECOGNIZED` for methods an endpoint does not have. Bodies are JSON of at most 64 KiB."
    ),
    paths(
        super::describe,
        account::whoami,
        account::login_flows,
        account::logins,
        account::log_in,
        account::log_out,
        account::reconnect,
        people::contacts,
        people::resolve,
        people::blocked,
        people::block,
        people::unblock,
        people::ask_reachability,
        rooms::open_chat,
        rooms::create_group,
        rooms::room,
        rooms::sync,
        rooms::link,
        rooms::unlink,
        rooms::set_relay,
        rooms::unset_relay,
        status::status,
    ),
    tags(
        (name = "account", description = "Who somebody is to the bridge, and their logins."),
        (name = "people", description = "Whom a login knows, finds, blocks, and asks to be reachable."),
        (name = "rooms", description = "Chats, groups, and the rooms that mirror them."),
        (name = "bridge", description = "The bridge itself."),
    ),
    modifiers(&Common),
    security(("secret" = []), ("openid" = []))
)]
struct Description;

/// What every endpoint has in common.
struct Common;

/// A refusal: its status, its name, the code, a sentence and the meaning.
type Known = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// What any endpoint may refuse.
const REFUSALS: [Known; 5] = [
    (
        "400",
        "BadRequest",
        "M_INVALID_PARAM",
        "`limit` is out of range",
        "A parameter or the body is not as described, or `user_id` is missing (`M_MISSING_PARAM`).",
    ),
    (
        "401",
        "Unauthorized",
        "M_UNKNOWN_TOKEN",
        "this is not the secret",
        "Nobody known calls: there is no bearer token (`M_MISSING_TOKEN`), or it is neither the secret nor an OpenID token.",
    ),
    (
        "403",
        "Forbidden",
        "M_FORBIDDEN",
        "@eve:example.org may not use this bridge; `bridge.permissions` says who may",
        "The user may not use the bridge or not do this, or is not the holder of the OpenID token.",
    ),
    (
        "502",
        "BadGateway",
        "EU.DRAWBRIDGE.UNREACHABLE",
        "the gatekeeper cannot be reached now: it does not answer",
        "The gatekeeper or the homeserver cannot be reached now. The same request may work later.",
    ),
    (
        "503",
        "Unavailable",
        "EU.DRAWBRIDGE.UNAVAILABLE",
        "the bridge is stopping, try again in a minute",
        "The bridge cannot answer now. The same request may work later.",
    ),
];

/// What endpoints refuse that take a body.
const BODY_REFUSALS: [Known; 2] = [
    (
        "413",
        "TooLarge",
        "M_TOO_LARGE",
        "Failed to buffer the request body: length limit exceeded",
        "The body is larger than 64 KiB.",
    ),
    (
        "415",
        "WrongType",
        "M_NOT_JSON",
        "Expected request with `Content-Type: application/json`",
        "The body's type is not `application/json`.",
    ),
];

impl Modify for Common {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = |text| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
            SecurityScheme::Http(scheme.description(Some(text)).build())
        };
        let components = openapi.components.get_or_insert_default();
        let secret = "The secret of the configuration. `user_id` says for whom the program acts.";
        components.add_security_scheme("secret", bearer(secret));
        let openid =
            "`openid:` and an OpenID token of the homeserver. Its holder acts for themselves.";
        components.add_security_scheme("openid", bearer(openid));
        for known in REFUSALS.iter().chain(&BODY_REFUSALS) {
            let name = known.1.to_owned();
            components.responses.insert(name, refusal(known).into());
        }
        for item in openapi.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                refuses(operation);
            }
        }
    }
}

/// A refusal's description.
fn refusal((status, _, code, sentence, meaning): &Known) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Refusal")))
        .example(Some(json!({ "errcode": code, "error": sentence })))
        .build();
    let response = ResponseBuilder::new()
        .description(*meaning)
        .content("application/json", content);
    if *status != "401" {
        return response.build();
    }
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let mut header = Header::new(text);
    header.description = Some("The scheme, `Bearer`.".to_owned());
    response.header("WWW-Authenticate", header).build()
}

/// Gives an endpoint the refusals it shares with others, where it does not say more itself.
fn refuses(operation: &mut Operation) {
    let with_body = operation.request_body.as_ref().map(|_| &BODY_REFUSALS);
    for (status, name, ..) in REFUSALS.iter().chain(with_body.into_iter().flatten()) {
        let responses = &mut operation.responses.responses;
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| Ref::from_response_name(*name).into());
    }
}
