//! The API's description (OpenAPI 3.1), made from the code: what each endpoint says of itself, and what is true for all.

use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Header, ObjectBuilder, Ref, ResponseBuilder, Type,
        path::Operation,
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

/// What any endpoint may refuse, with the code, the sentence and the meaning.
const REFUSALS: [(&str, &str, &str, &str); 5] = [
    (
        "400",
        "M_INVALID_PARAM",
        "`limit` is out of range",
        "A parameter or the body is not as described, or `user_id` is missing (`M_MISSING_PARAM`).",
    ),
    (
        "401",
        "M_UNKNOWN_TOKEN",
        "this is not the secret",
        "Nobody known calls: there is no bearer token (`M_MISSING_TOKEN`), or it is neither the secret nor an OpenID token.",
    ),
    (
        "403",
        "M_FORBIDDEN",
        "@eve:example.org may not use this bridge; `bridge.permissions` says who may",
        "The user may not use the bridge or not do this, or is not the holder of the OpenID token.",
    ),
    (
        "502",
        "EU.DRAWBRIDGE.UNREACHABLE",
        "the gatekeeper cannot be reached now: it does not answer",
        "The gatekeeper or the homeserver cannot be reached now. The same request may work later.",
    ),
    (
        "503",
        "EU.DRAWBRIDGE.UNAVAILABLE",
        "the bridge is stopping, try again in a minute",
        "The bridge cannot answer now. The same request may work later.",
    ),
];

/// What endpoints refuse that take a body.
const BODY_REFUSALS: [(&str, &str, &str, &str); 2] = [
    (
        "413",
        "M_TOO_LARGE",
        "Failed to buffer the request body: length limit exceeded",
        "The body is larger than 64 KiB.",
    ),
    (
        "415",
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

fn refuses(operation: &mut Operation) {
    let with_body = operation.request_body.as_ref().map(|_| BODY_REFUSALS);
    let all = REFUSALS.into_iter();
    for (status, code, sentence, meaning) in all.chain(with_body.into_iter().flatten()) {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Refusal")))
            .example(Some(json!({ "errcode": code, "error": sentence })))
            .build();
        let response = ResponseBuilder::new()
            .description(meaning)
            .content("application/json", content);
        let response = if status == "401" {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let mut header = Header::new(text);
            header.description = Some("The scheme, `Bearer`.".to_owned());
            response.header("WWW-Authenticate", header)
        } else {
            response
        };
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| response.build().into());
    }
}
