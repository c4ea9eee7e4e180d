//! `drawbridge openapi`: the description of the provisioning API.

use super::{Failure, print};
use crate::app;

pub(super) fn execute() -> Result<(), Failure> {
    let text = app::api_description().map_err(anyhow::Error::from)?;
    print(&text)
}
