//! What those who look after the bridge can see and do.

mod cleaning;
mod doctor;
mod others;
mod overview;
mod quarantine;

pub(super) use cleaning::{clean_up, clear};
pub(super) use doctor::doctor;
pub(super) use others::{doin, sudo};
pub(super) use overview::{list_logins, list_users, status};
pub(super) use quarantine::quarantine;
