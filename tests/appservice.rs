//! The homeserver's side over real HTTP and with the real store: what the homeserver calls, what is asked of it, and how gaps
//! are repaired.

mod appservice {
    mod auth;
    mod bridge;
    mod client;
    mod lookups;
    mod repair;
    mod script;
    mod transactions;
}
