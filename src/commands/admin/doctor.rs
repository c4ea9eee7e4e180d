//! `doctor`: the checks that can be made while the bridge runs.

use std::fmt::Write as _;

use super::{
    super::{Reply, call::Call},
    overview::counted,
};
use crate::{domain::Finding, network::ConnectionState, store::LoginState};

/// Checks the way from the database over the homeserver to the gatekeepers.
pub(in crate::commands) async fn doctor(call: &Call<'_>) -> Reply {
    let mut found = call.bridge.database().check().await;
    let homeserver = call.bridge.homeserver();
    let (of_homeserver, goes_on) = homeserver.check().await;
    found.extend(of_homeserver);
    if goes_on {
        found.push(homeserver.check_ping().await);
        if let Some(cipher) = homeserver.cipher() {
            found.extend(cipher.check().await);
        }
    }
    found.extend(gatekeepers(call).await?);
    Ok(told(&found))
}

fn told(found: &[Finding]) -> String {
    let bad = found
        .iter()
        .filter(|finding| matches!(finding, Finding::Bad { .. }))
        .count();
    let mut text = match bad {
        0 => "Everything works.\n".to_owned(),
        1 => "One of the checks failed.\n".to_owned(),
        several => format!("{several} of the checks failed.\n"),
    };
    for finding in found {
        // Writing to a string cannot fail.
        let _ = match finding {
            Finding::Good(what) => write!(text, "\n- ok: {what}"),
            Finding::Note(what) => write!(text, "\n- note: {what}"),
            Finding::Bad { what, hint } => write!(text, "\n- **failed**: {what}; {hint}"),
        };
    }
    text.push_str("\n\n`drawbridge doctor` on the server checks the configuration, too.");
    text
}

/// How the logins of each gatekeeper are.
async fn gatekeepers(call: &Call<'_>) -> Result<Vec<Finding>, String> {
    let logins = call
        .bridge
        .database()
        .read(|txn| Box::pin(async move { txn.logins().await }))
        .await
        .map_err(|error| super::super::say_store(&error))?;
    let mut found = Vec::new();
    for network in call.bridge.networks() {
        let name = call.name(network.id());
        let states: Vec<ConnectionState> = logins
            .iter()
            .filter(|login| login.gatekeeper == *network.id() && login.state == LoginState::Active)
            .map(|login| network.connection(login.id))
            .collect();
        let reason = states.iter().find_map(|state| match state {
            ConnectionState::Waiting { reason, .. } | ConnectionState::Failed { reason } => {
                Some(reason)
            }
            _ => None,
        });
        found.push(match reason {
            None if states.is_empty() => Finding::Note(format!("{name}: nobody is logged in")),
            None => Finding::Good(format!("{name}: {}", counted(states.len(), "login"))),
            Some(reason) => Finding::bad(
                format!("{name}: not every login is connected: {reason}"),
                "`list-all-logins` tells which; `relogin` brings one back",
            ),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_first_and_with_what_to_do() {
        let found = [Finding::Good("a".to_owned()), Finding::bad("b", "mend it")];
        let text = told(&found);
        assert!(text.starts_with("One of the checks failed."), "{text}");
        assert!(text.contains("- **failed**: b; mend it"), "{text}");
        assert!(told(&found[..1]).starts_with("Everything works."));
    }
}
