//! People of the sandbox as a login at it sees them.

use std::time::Duration;

use drawbridge::{
    domain::{ChatId, Picture, Reachability, RemoteUserId},
    network::{Network, NetworkError, interop::ConnectionPolicy},
    sandbox::Flavour,
    store::RemoteNotice,
};

use super::{
    peer::{DEADLINE, PICTURE, within},
    sandboxed::Town,
};

impl Town {
    /// Waits for a notice in a chat.
    async fn until_notice(
        &self,
        chat: &ChatId,
        is: impl Fn(&RemoteNotice) -> bool,
    ) -> RemoteNotice {
        within("a notice", async {
            loop {
                let rows = self.stage.inbox_of(self.login, chat).await;
                let mut notices = rows.into_iter().filter_map(|row| row.message.notice);
                if let Some(notice) = notices.find(&is) {
                    return notice;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    fn user(&self) -> RemoteUserId {
        self.chat.direct_user().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contacts_name_and_picture_are_told_and_fetched() {
    let town = Town::new(ConnectionPolicy::Always).await;
    town.contact.send_text(&town.remote, "hello").await.unwrap();
    town.until_texts(1).await;
    town.contact.set_name("Josephine").unwrap();
    let name = |notice: &RemoteNotice| matches!(notice, RemoteNotice::Profile { name: Some(name), .. } if name == "Josephine");
    town.until_notice(&town.chat, name).await;
    town.contact.set_picture(Some(PICTURE)).unwrap();
    let picture =
        |notice: &RemoteNotice| matches!(notice, RemoteNotice::Profile { picture: true, .. });
    town.until_notice(&town.chat, picture).await;

    let gatekeeper = &town.stage.gatekeeper;
    let found = gatekeeper.picture(town.login, &town.chat, None).await;
    let Ok(Picture::Jpeg { id, bytes }) = found else {
        panic!("{found:?}");
    };
    assert_eq!(bytes, PICTURE);
    let again = gatekeeper.picture(town.login, &town.chat, Some(&id)).await;
    assert_eq!(again.unwrap(), Picture::Same);
    town.contact.set_picture(None).unwrap();
    town.contact.settle(DEADLINE).await.unwrap();
    let none = gatekeeper.picture(town.login, &town.chat, Some(&id)).await;
    assert_eq!(none.unwrap(), Picture::None);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logins_own_picture_is_set_and_removed() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let gatekeeper = &town.stage.gatekeeper;
    let own = ChatId::parse(town.remote.as_str()).unwrap();
    let set = gatekeeper.set_picture(town.login, None, Some(PICTURE.to_vec()));
    let id = set.await.unwrap();
    let shown = gatekeeper.picture(town.login, &own, None).await.unwrap();
    let expected = Picture::Jpeg {
        id: id.unwrap(),
        bytes: PICTURE.to_vec(),
    };
    assert_eq!(shown, expected);
    let removed = gatekeeper.set_picture(town.login, None, None).await;
    assert_eq!(removed.unwrap(), None);
    let shown = gatekeeper.picture(town.login, &own, None).await.unwrap();
    assert_eq!(shown, Picture::None);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_opted_in_is_asked_and_then_written_to() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (stage, login) = (&town.stage, town.login);
    let shy = town
        .sandbox
        .add_contact(Flavour::WhatsApp, "Shy")
        .await
        .unwrap();
    shy.opt_in(false).unwrap();
    shy.settle(DEADLINE).await.unwrap();
    let user = stage.gatekeeper.address(&shy.phone()).unwrap();
    let found = stage.gatekeeper.resolve(login, &shy.phone()).await;
    assert!(
        matches!(found, Err(NetworkError::NotReachable)),
        "{found:?}"
    );
    for _ in 0..2 {
        let asked = stage.gatekeeper.ask_reachability(login, &user).await;
        assert_eq!(asked.unwrap(), Reachability::Asked);
    }
    let request =
        |shy: &drawbridge::sandbox::ContactHandle| (!shy.requests().is_empty()).then_some(());
    shy.wait_for(request, DEADLINE).await.unwrap();
    shy.answer_request(&town.remote, true).unwrap();
    let accepted =
        |notice: &RemoteNotice| matches!(notice, RemoteNotice::Reachability { accepted: true });
    town.until_notice(&ChatId::direct(&user), accepted).await;
    let found = stage.gatekeeper.resolve(login, &shy.phone()).await;
    assert_eq!(found.unwrap(), user);
    let asked = stage.gatekeeper.ask_reachability(login, &user).await;
    assert_eq!(asked.unwrap(), Reachability::Accepted);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_wanted_say_why() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (stage, login) = (&town.stage, town.login);
    let reason = |event: &'static str| move |notice: &RemoteNotice| matches!(notice, RemoteNotice::SendFailed { event_id, .. } if event_id == event);
    town.contact.block(&town.remote, true).unwrap();
    town.contact.settle(DEADLINE).await.unwrap();
    stage.send_to(login, &town.chat, "M1", "unwanted").await;
    match town.until_notice(&town.chat, reason("$event-M1")).await {
        RemoteNotice::SendFailed { reason, .. } => assert!(reason.contains("unblock"), "{reason}"),
        other => panic!("{other:?}"),
    }
    town.contact.block(&town.remote, false).unwrap();
    town.contact.opt_in(false).unwrap();
    town.contact.settle(DEADLINE).await.unwrap();
    stage.send_to(login, &town.chat, "M2", "unheard").await;
    match town.until_notice(&town.chat, reason("$event-M2")).await {
        RemoteNotice::SendFailed { reason, .. } => {
            assert!(reason.contains("request-reachability"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_here_and_in_another_program_are_known() {
    let town = Town::new(ConnectionPolicy::Always).await;
    let (gatekeeper, login, user) = (&town.stage.gatekeeper, town.login, town.user());
    gatekeeper.block(login, &user, true).await.unwrap();
    assert_eq!(
        gatekeeper.blocked(login).await.unwrap(),
        std::slice::from_ref(&user)
    );
    gatekeeper.block(login, &user, false).await.unwrap();
    assert_eq!(gatekeeper.blocked(login).await.unwrap(), []);
    let elsewhere = town
        .sandbox
        .block_elsewhere(&town.remote, user.as_str(), true);
    elsewhere.await.unwrap();
    let server = ChatId::parse("s.whatsapp.net").unwrap();
    let told = town.until_notice(&server, |notice| {
        matches!(notice, RemoteNotice::Blocked { .. })
    });
    let expected = RemoteNotice::Blocked {
        user: user.clone(),
        blocked: true,
    };
    assert_eq!(told.await, expected);
    assert_eq!(gatekeeper.blocked(login).await.unwrap(), [user]);
    town.end().await;
}
