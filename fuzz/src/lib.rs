//! The bridge's wire and domain, compiled as a crate of their own: the whole bridge would take far longer to build with
//! libFuzzer's counters in it.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/network/interop/wire/mod.rs"]
pub mod wire;

/// Where the wire is in the bridge.
pub mod network {
    /// Where the wire is in the bridge.
    pub mod interop {
        pub use crate::wire;
    }
}

pub mod again;
