//! Queries, the ping, and third-party lookups.

use serde_json::json;

use super::bridge::{Bridge, GHOST, GROUP, TOKEN, answer};

#[tokio::test]
async fn users_and_rooms_exist_or_not() {
    let bridge = Bridge::start().await;
    for base in ["/_matrix/app/v1", ""] {
        for (path, exists) in [
            (format!("{base}/users/{GHOST}"), true),
            (
                format!("{base}/users/@_drawbridge_other_x:example.org"),
                false,
            ),
            (format!("{base}/users/nonsense"), false),
            (
                format!("{base}/rooms/%23_drawbridge_portal_1:example.org"),
                true,
            ),
            (
                format!("{base}/rooms/%23_drawbridge_portal_2:example.org"),
                false,
            ),
            (format!("{base}/rooms/nonsense"), false),
        ] {
            let (status, body) = bridge.call("GET", &path, &json!({})).await;
            if exists {
                assert_eq!((status, body), (200, json!({})), "{path}");
            } else {
                assert_eq!(
                    (status, &body["errcode"]),
                    (404, &json!("M_NOT_FOUND")),
                    "{path}"
                );
            }
        }
    }
    let (status, body) = bridge
        .call("GET", "/_matrix/app/v1/users/%ff", &json!({}))
        .await;
    assert_eq!((status, &body["errcode"]), (400, &json!("M_INVALID_PARAM")));
}

#[tokio::test]
async fn a_ping_is_answered_and_passed_on() {
    let bridge = Bridge::start().await;
    for path in [
        "/_matrix/app/v1/ping",
        "/_matrix/app/unstable/fi.mau.msc2659/ping",
    ] {
        let ping = json!({ "transaction_id": path });
        assert_eq!(bridge.call("POST", path, &ping).await, (200, json!({})));
    }
    bridge
        .call("POST", "/_matrix/app/v1/ping", &json!({}))
        .await;
    let pings = bridge.sink.pings.lock().unwrap().clone();
    assert_eq!(pings.len(), 3);
    assert_eq!(pings[0].as_deref(), Some("/_matrix/app/v1/ping"));
    assert_eq!(pings[2], None);
}

#[tokio::test]
async fn a_ping_that_is_no_object_is_refused() {
    let bridge = Bridge::start().await;
    for (body, errcode) in [("{", "M_NOT_JSON"), ("[]", "M_BAD_JSON")] {
        let request = bridge
            .bare("POST", "/_matrix/app/v1/ping")
            .bearer_auth(TOKEN)
            .body(body);
        let (status, answer) = answer(request).await;
        assert_eq!((status, &answer["errcode"]), (400, &json!(errcode)));
    }
}

#[tokio::test]
async fn gatekeepers_and_their_users_can_be_looked_up() {
    let bridge = Bridge::start().await;
    let get = async |path: &str| {
        let path = format!("/_matrix/app/v1/thirdparty/{path}");
        bridge.call("GET", &path, &json!({})).await
    };
    let (status, protocol) = get("protocol/whatsapp").await;
    assert_eq!(status, 200);
    assert_eq!(protocol["user_fields"], json!(["phone", "address"]));
    assert_eq!(protocol["location_fields"], json!(["chat"]));
    for field in ["phone", "address", "chat"] {
        assert!(
            protocol["field_types"][field]["regexp"].is_string(),
            "{field}"
        );
    }
    assert_eq!(protocol["icon"], "mxc://example.org/icon");
    assert_eq!(protocol["instances"][0]["desc"], "WhatsApp");

    let user = json!([{
        "userid": GHOST,
        "protocol": "whatsapp",
        "fields": { "address": "4915155550001@s.whatsapp.net", "phone": "+4915155550001" },
    }]);
    for asked in [
        "address=4915155550001%40s.whatsapp.net",
        "phone=%2B49%20151%205555-0001",
        "phone=%2B4915155550001&address=4915155550001%40s.whatsapp.net",
    ] {
        let found = get(&format!("user/whatsapp?{asked}")).await;
        assert_eq!(found, (200, user.clone()), "{asked}");
    }
    assert_eq!(
        get(&format!("user?userid={}", GHOST.replace('=', "%3D"))).await,
        (200, user)
    );

    for nothing in [
        "protocol/nowhere",
        "user/nowhere?address=a@b",
        "user/whatsapp",
        "user/whatsapp?phone=12",
        "user/whatsapp?phone=%2B4915155550002&address=4915155550001%40s.whatsapp.net",
        "user?userid=@alice:example.org",
    ] {
        is_nothing(&bridge, nothing).await;
    }
}

async fn is_nothing(bridge: &Bridge, path: &str) {
    let path = format!("/_matrix/app/v1/thirdparty/{path}");
    let (status, body) = bridge.call("GET", &path, &json!({})).await;
    assert_eq!(
        (status, &body["errcode"]),
        (404, &json!("M_NOT_FOUND")),
        "{path}"
    );
}

#[tokio::test]
async fn a_linked_room_is_found_by_its_group_and_the_group_by_its_alias() {
    let bridge = Bridge::start().await;
    let location = json!([{
        "alias": "#public:example.org",
        "protocol": "whatsapp",
        "fields": { "chat": GROUP },
    }]);
    for path in [
        format!("location/whatsapp?chat={}", GROUP.replace('@', "%40")),
        "location?alias=%23public:example.org".to_owned(),
    ] {
        let path = format!("/_matrix/app/v1/thirdparty/{path}");
        let found = bridge.call("GET", &path, &json!({})).await;
        assert_eq!(found, (200, location.clone()), "{path}");
    }
    for nothing in [
        "location/whatsapp",
        "location/whatsapp?chat=1%40g.us",
        "location/nowhere?chat=1%40g.us",
        "location?alias=%23a:example.org",
        "location?alias=nonsense",
        "location",
    ] {
        is_nothing(&bridge, nothing).await;
    }
}
