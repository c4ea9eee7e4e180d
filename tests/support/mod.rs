//! What several test programs share: a homeserver in this process, and the real bridge as a child process.

pub mod homeserver;
mod homeserver_api;
mod homeserver_push;
