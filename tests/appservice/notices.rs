//! What the gatekeeper itself has to say.

use drawbridge::{
    domain::{ChatId, RemoteUserId, StanzaId, Timestamp},
    network::NetworkSink as _,
    store::{Lane, NewRemoteMessage, RemoteNotice},
};

use super::town::{ALICE, Town, rooms};

#[tokio::test]
async fn more_than_a_batch_of_notices_is_told_at_one_call() {
    let town = Town::new(rooms()).await;
    let server = RemoteUserId::parse("s.whatsapp.net").unwrap();
    let chat = ChatId::direct(&server);
    let of = (chat.clone(), server);
    let put = town.db.step(Lane::login(ALICE.1), move |txn| {
        let (chat, server) = of.clone();
        Box::pin(async move {
            for number in 0..70 {
                let notice = NewRemoteMessage {
                    login: ALICE.1,
                    chat: chat.clone(),
                    sender: server.clone(),
                    stanza_id: StanzaId::parse(format!("N{number}")).expect("an id"),
                    ciphertext_hash: vec![number; 32],
                    plaintext: None,
                    notice: Some(RemoteNotice::Gatekeeper {
                        text: format!("notice {number}"),
                    }),
                    sent_at: Timestamp(1),
                    display_name: None,
                    received_at: Timestamp(1),
                };
                txn.put_remote_message(&notice).await?;
            }
            Ok(())
        })
    });
    put.await.unwrap();
    town.bridge.waiting(ALICE.1, &chat);
    town.all_taken(ALICE.1, &chat).await;
}
