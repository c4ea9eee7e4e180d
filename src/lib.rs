//! drawbridge: a Matrix application service that is a Partner of the messaging gatekeepers.

pub mod clock;
pub mod config;
pub mod domain;
pub mod matrix;
pub mod network;
pub mod sandbox;
pub mod signal;
pub mod store;
