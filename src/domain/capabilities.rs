//! What a gatekeeper can carry, as a value of its profile; `translate` decides by it alone.

use serde::{Deserialize, Serialize};

/// What one gatekeeper takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Longest text of one message, in Unicode scalar values; longer texts are split.
    pub max_text_chars: usize,
    /// Whether delivery and read receipts are exchanged.
    pub receipts: bool,
    /// Whether a message can quote an earlier one.
    pub replies: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            max_text_chars: 60_000,
            receipts: true,
            replies: true,
        }
    }
}
