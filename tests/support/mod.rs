//! What several test programs share: a homeserver in this process, the real bridge as a child process, a database of one's own.

pub(crate) mod bridge_process;
pub(crate) mod homeserver;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod stage;
pub(crate) mod user_device;
