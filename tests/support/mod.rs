//! What several test programs share: a homeserver in this process, the real bridge as a child process, a database of one's own.

pub mod bridge_process;
pub mod homeserver;
mod homeserver_api;
mod homeserver_push;
pub mod postgres;
pub mod process;
pub mod stage;
