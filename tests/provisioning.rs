//! The provisioning API: the whole bridge in this process, between a homeserver and a gatekeeper of this process on their real
//! wires, asked by programs with the secret, by users with `OpenID` tokens, by strangers, and by Schemathesis.

#[path = "support/homeserver/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod homeserver;

mod provisioning {
    mod account;
    mod description;
    mod doors;
    mod odd;
    mod people;
    mod rooms;
    mod scene;
    mod schemathesis;
}
