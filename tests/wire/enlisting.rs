//! The enlistment against a real server.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::post};
use drawbridge::network::interop::{
    enlistment::{self, EnlistError, EnlistmentKeys},
    wire,
};
use reqwest::{Client, StatusCode, header};
use serde_json::json;

use super::partner::{install_tls, profile, serve};

fn keys() -> EnlistmentKeys {
    EnlistmentKeys {
        noise_public: [1; 32],
        registration_id: 0x0102_0304,
        identity: [2; 32],
        signed_prekey_id: 0x0001_0203,
        signed_prekey: [3; 32],
        signed_prekey_signature: [4; 64],
    }
}

#[tokio::test]
async fn an_enlistment_arrives_and_its_answer_is_understood() {
    install_tls();
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    let base = serve(Router::new().route(
        "/ok",
        post(
            async move |headers: reqwest::header::HeaderMap, body: axum::body::Bytes| {
                assert_eq!(
                    headers[header::CONTENT_TYPE],
                    "application/x-www-form-urlencoded"
                );
                seen.lock().unwrap().push(body.to_vec());
                Json(json!({"login": "1-10853634039893@interop", "status": "ok"}))
            },
        ),
    ))
    .await;
    let profile = profile("http://127.0.0.1:1", &format!("{base}/ok"));
    let login = enlistment::enlist(&Client::new(), &profile, &keys(), "a.b.c")
        .await
        .unwrap();
    assert_eq!(login, "1-10853634039893@interop");
    let enlistment = wire::enlistment::parse(&bodies.lock().unwrap()[0]).unwrap();
    assert_eq!(enlistment.keys, keys());
    assert_eq!(enlistment.token, "a.b.c");
    assert_eq!(enlistment.extra["version"], "1");
}

#[tokio::test]
async fn an_enlistment_that_fails_says_whether_to_try_again() {
    install_tls();
    let base = serve(
        Router::new()
            .route(
                "/fail",
                post(async || r#"{"reason":"bad_integrator","status":"fail"}"#),
            )
            .route(
                "/odd",
                post(async || r#"{"login":"s.whatsapp.net","status":"ok"}"#),
            )
            .route("/html", post(async || "<html>"))
            .route("/huge", post(async || "x".repeat(100_000)))
            .route("/busy", post(async || StatusCode::SERVICE_UNAVAILABLE))
            .route("/limit", post(async || StatusCode::TOO_MANY_REQUESTS)),
    )
    .await;
    let enlist = async |path: &str, token: &str| {
        let profile = profile("http://127.0.0.1:1", &format!("{base}{path}"));
        enlistment::enlist(&Client::new(), &profile, &keys(), token)
            .await
            .unwrap_err()
    };
    match enlist("/fail", "a").await {
        EnlistError::Refused(reason) => assert_eq!(reason, "bad_integrator"),
        other => panic!("{other}"),
    }
    for path in ["/odd", "/html", "/huge"] {
        let error = enlist(path, "a").await;
        assert!(matches!(error, EnlistError::Malformed), "{path}: {error}");
        assert!(!error.is_transient());
    }
    for path in ["/busy", "/limit"] {
        assert!(enlist(path, "a").await.is_transient());
    }
    assert!(matches!(
        enlist("/absent", "a").await,
        EnlistError::Status(StatusCode::NOT_FOUND)
    ));
    assert!(matches!(
        enlist("/fail", &"a".repeat(5000)).await,
        EnlistError::TokenTooLong(5000)
    ));
    let gone = profile("http://127.0.0.1:1", "http://127.0.0.1:1/");
    let error = enlistment::enlist(&Client::new(), &gone, &keys(), "a")
        .await
        .unwrap_err();
    assert!(error.is_transient());
}
