//! Enlistment bodies and answers, and the payload of the connect, with the values the gatekeeper's documents print.

use std::collections::BTreeMap;

use drawbridge::network::interop::wire::{
    Jid,
    enlistment::{self, Enlistment, EnlistmentAnswer, EnlistmentError},
    payload::{ClientPayload, PayloadError, Product, UserAgent},
};

const PUBLISHED: &str = "e_ident=x6g6tGpek0Obx65-vVx9t3wNtjJUXcQY2iarR-Aush4&e_keytype=BQ\
    &e_regid=x6g6tA&e_skey_id=_tdJ\
    &e_skey_sig=BPEcejlI7RhacXe9MvBMUEs_IHctlcDyza24vDrZca0N77YDGqCAXr2VWDALvOcTSziNWfVMJ4IDxIENwvyACA\
    &e_skey_val=_tdJvCOi0-F9hl7iaHhrn42d1GnI3p6LwkFx3BS_jXw\
    &authkey=mLsPDd27k07BJa54dtt2e9Yz-vJfECLXRAPrFp7YeX4&token=a.b.c";

#[test]
fn the_published_fields_are_read_and_written() {
    let enlistment = enlistment::parse(PUBLISHED.as_bytes()).unwrap();
    assert_eq!(enlistment.keys.registration_id, 0xc7a8_3ab4);
    assert_eq!(enlistment.keys.signed_prekey_id, 0xfe_d749);
    assert_eq!(enlistment.token, "a.b.c");
    let written = enlistment::encode(&enlistment);
    let fields = |body: &str| -> BTreeMap<String, String> {
        body.split('&')
            .map(|f| f.split_once('=').unwrap())
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    };
    assert_eq!(fields(&written), fields(PUBLISHED));
}

#[test]
fn fields_of_the_profile_travel_along() {
    let mut enlistment = enlistment::parse(PUBLISHED.as_bytes()).unwrap();
    enlistment
        .extra
        .insert("version".to_owned(), "1 & 2".to_owned());
    let body = enlistment::encode(&enlistment);
    assert_eq!(enlistment::parse(body.as_bytes()), Ok(enlistment));
}

#[test]
fn a_bad_field_is_named() {
    let without = |name: &str| {
        PUBLISHED
            .split('&')
            .filter(|f| !f.starts_with(name))
            .collect::<Vec<_>>()
            .join("&")
    };
    for name in [
        "e_ident",
        "e_keytype",
        "e_regid",
        "e_skey_id",
        "e_skey_sig",
        "e_skey_val",
        "authkey",
        "token",
    ] {
        let error = enlistment::parse(without(name).as_bytes()).unwrap_err();
        assert_eq!(error.0, name);
    }
    for (bad, name) in [
        (PUBLISHED.replace("=BQ", "=Bg"), "e_keytype"),
        (PUBLISHED.replace("=x6g6tA", "=x6g6"), "e_regid"),
        (PUBLISHED.replace("=x6g6tA", "=x6g6tA%3D%3D"), "e_regid"),
        (PUBLISHED.replace("=_tdJ&", "=/tdJ&"), "e_skey_id"),
        (format!("{PUBLISHED}&token=d"), "token"),
        (PUBLISHED.replace("a.b.c", &"a".repeat(4097)), "token"),
    ] {
        assert_eq!(
            enlistment::parse(bad.as_bytes()),
            Err(EnlistmentError(name))
        );
    }
}

#[test]
fn the_published_answers() {
    let read = |json: &str| serde_json::from_str::<EnlistmentAnswer>(json);
    assert_eq!(
        read(r#"{"login":"1-10853634039893@interop","status":"ok"}"#).unwrap(),
        EnlistmentAnswer::Ok {
            login: Jid::interop(1, 10_853_634_039_893)
        }
    );
    assert_eq!(
        read(r#"{"reason":"bad_integrator","status":"fail"}"#).unwrap(),
        EnlistmentAnswer::Fail {
            reason: "bad_integrator".to_owned()
        }
    );
    assert!(read(r#"{"login":"1-1:1@interop","status":"ok"}"#).is_err());
}

fn payload() -> ClientPayload {
    ClientPayload {
        username: None,
        passive: false,
        pull: true,
        device: 0,
        user_agent: Some(UserAgent {
            platform: Some("WEB".to_owned()),
            app_version: vec![2, 3000, 7],
            mcc: Some("000".to_owned()),
            ..UserAgent::default()
        }),
        product: Product::Interop,
        account_id: 10_853_634_039_893,
        token: b"a.b.c".to_vec(),
        enable_read_receipts: true,
    }
}

#[test]
fn a_payload_is_read_as_it_was_written() {
    assert_eq!(ClientPayload::parse(&payload().encode()), Ok(payload()));
    let bare = ClientPayload {
        user_agent: None,
        username: Some(5),
        product: Product::InteropMessenger,
        ..payload()
    };
    assert_eq!(ClientPayload::parse(&bare.encode()), Ok(bare));
}

#[test]
fn the_fields_of_a_payload_have_the_known_numbers() {
    let bytes = ClientPayload {
        user_agent: None,
        ..payload()
    }
    .encode();
    // product=20 INTEROP: tag a0 01, value 2. interopData=38: tag b2 02, then accountId=1, token=2, enableReadReceipts=3.
    let contains = |part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
    assert!(contains(&[0xa0, 0x01, 0x02]));
    assert!(contains(b"\x12\x05a.b.c\x18\x01"));
    assert!(contains(&[0xb2, 0x02]));
}

#[test]
fn what_is_no_partner_payload_is_refused() {
    assert_eq!(ClientPayload::parse(b"\xff"), Err(PayloadError::Malformed));
    assert_eq!(ClientPayload::parse(b""), Err(PayloadError::Product));
    assert_eq!(
        ClientPayload::parse(&[0xa0, 0x01, 0x02]),
        Err(PayloadError::NoInterop)
    );
}

#[test]
fn tokens_are_not_printed() {
    assert!(!format!("{:?}", payload()).contains("97, 46"));
    let enlistment: Enlistment = enlistment::parse(PUBLISHED.as_bytes()).unwrap();
    assert!(!format!("{enlistment:?}").contains("a.b.c"));
}
