//! What a check of the bridge found.

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This works.
    Good(String),
    /// This is worth knowing.
    Note(String),
    /// This does not work.
    Bad {
        /// What.
        what: String,
        /// What to do about it.
        hint: String,
    },
}

impl Finding {
    /// Something that does not work, and what to do about it.
    #[must_use]
    pub fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Bad {
            what: what.into(),
            hint: hint.into(),
        }
    }
}
