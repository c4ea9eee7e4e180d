//! What a group is called, said and shown with: name, topic and picture of its room.

use futures_util::TryStreamExt as _;
use serde_json::json;

use super::{Wish, taken_back};
use crate::{
    bridge::{
        context::{Bridge, BridgeError},
        outgoing::{Trouble, blocking, trouble_of},
    },
    domain::{GroupChange, GroupFacts, LoginId},
    imaging,
    store::Lane,
    translate::{clean_name, clean_text},
};

/// The largest picture that is taken, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;
/// The longest side of a picture, in pixels.
const SIDE: u32 = 640;

impl Bridge {
    /// Takes a new name of the room.
    pub(super) async fn take_name(&self, wish: &Wish<'_>, name: &str) -> Result<(), BridgeError> {
        if self.is_over(wish, "m.room.name", "name", name).await? {
            return Ok(());
        }
        let truth = self.truth(wish.route).await?;
        let known = truth.group.map(|group| group.facts.subject);
        let name = clean_name(name);
        if known.as_ref() == Some(&name) {
            return self
                .change_facts(wish, move |facts| facts.subject.clone_from(&name))
                .await;
        }
        if name.is_empty() {
            let done = self.name_again(wish, known).await?;
            let why = "a group cannot be without a name";
            return self.explain(wish, why, taken_back(done)).await;
        }
        match self
            .ask_fact(wish, &GroupChange::Subject(name.clone()))
            .await?
        {
            Ok(()) => {
                self.change_facts(wish, move |facts| facts.subject.clone_from(&name))
                    .await
            }
            Err(why) => {
                let done = self.name_again(wish, known).await?;
                self.explain(wish, &why, taken_back(done)).await
            }
        }
    }

    async fn name_again(&self, wish: &Wish<'_>, name: Option<String>) -> Result<bool, BridgeError> {
        match name {
            None => Ok(false),
            Some(name) => {
                let content = json!({ "name": name });
                self.put_back(wish.room_id, "m.room.name", &content).await
            }
        }
    }

    /// Takes a new topic of the room.
    pub(super) async fn take_topic(&self, wish: &Wish<'_>, topic: &str) -> Result<(), BridgeError> {
        if self.is_over(wish, "m.room.topic", "topic", topic).await? {
            return Ok(());
        }
        let truth = self.truth(wish.route).await?;
        let known = truth.group.map(|group| group.facts.description);
        let topic = Some(clean_text(topic)).filter(|topic| !topic.is_empty());
        let refused = if known.as_ref() == Some(&topic) {
            Ok(())
        } else {
            let change = GroupChange::Description(topic.clone());
            self.ask_fact(wish, &change).await?
        };
        match refused {
            Ok(()) => {
                self.change_facts(wish, move |facts| facts.description.clone_from(&topic))
                    .await
            }
            Err(why) => {
                let done = match known {
                    None => false,
                    Some(known) => {
                        let content = json!({ "topic": known.unwrap_or_default() });
                        self.put_back(wish.room_id, "m.room.topic", &content)
                            .await?
                    }
                };
                self.explain(wish, &why, taken_back(done)).await
            }
        }
    }

    /// Takes a new picture of the room.
    pub(super) async fn take_avatar(
        &self,
        wish: &Wish<'_>,
        uri: Option<&str>,
    ) -> Result<(), BridgeError> {
        let said = uri.unwrap_or_default();
        if self.is_over(wish, "m.room.avatar", "url", said).await? {
            return Ok(());
        }
        let truth = self.truth(wish.route).await?;
        let shown = truth.group.and_then(|group| group.shown.avatar);
        if shown.as_deref() == uri {
            return Ok(());
        }
        let why = match self.asking_as(wish, false) {
            Err(why) => why,
            Ok(login) => match self.set_group_picture(wish, login, uri).await? {
                Ok(picture) => return self.store_picture(wish, picture, uri).await,
                Err(why) => why,
            },
        };
        let content = match shown {
            Some(uri) => json!({ "url": uri }),
            None => json!({}),
        };
        let done = self
            .put_back(wish.room_id, "m.room.avatar", &content)
            .await?;
        self.explain(wish, &why, taken_back(done)).await
    }

    /// Gives the group a picture, or none: its id, or why not.
    async fn set_group_picture(
        &self,
        wish: &Wish<'_>,
        login: LoginId,
        uri: Option<&str>,
    ) -> Result<Result<Option<String>, String>, BridgeError> {
        let key = &wish.route.portal.key;
        let network = self.network(&key.gatekeeper)?;
        if !network.capabilities().pictures {
            return Ok(Err("groups have no pictures there".to_owned()));
        }
        let jpeg = match uri {
            None => None,
            Some(uri) => match self.picture_at(uri).await {
                Ok(jpeg) => Some(jpeg),
                Err(Trouble::Passing(why)) if self.is_worth_waiting(wish.event_id) => {
                    return Err(BridgeError::Media(why));
                }
                Err(Trouble::Passing(why) | Trouble::Lasting(why)) => {
                    self.end_trouble(wish.event_id);
                    return Ok(Err(format!("the picture could not be carried, {why}")));
                }
            },
        };
        match network.set_picture(login, Some(&key.chat), jpeg).await {
            Err(error) if error.is_transient() && self.is_worth_waiting(wish.event_id) => {
                Err(error.into())
            }
            outcome => {
                self.end_trouble(wish.event_id);
                Ok(outcome.map_err(|error| error.to_string()))
            }
        }
    }

    /// A picture of the homeserver's as a JPEG of moderate size.
    async fn picture_at(&self, uri: &str) -> Result<Vec<u8>, Trouble> {
        let limit = LARGEST.min(self.settings.conversation.max_media_bytes);
        let patience = self.settings.conversation.patience;
        let download = self.client.download(uri, limit, patience).await?;
        let whole = download
            .bytes
            .try_fold(Vec::new(), async |mut whole, part| {
                whole.extend_from_slice(&part);
                Ok(whole)
            })
            .await
            .map_err(|error| trouble_of(&error))?;
        let small = blocking(move || imaging::thumbnail(&whole, SIDE)).await;
        let small = small.flatten().ok_or_else(|| {
            Trouble::Lasting("it is no picture of a kind that can be read".to_owned())
        })?;
        Ok(small.jpeg)
    }

    /// Asks for a change of what the group is; why not, if not.
    async fn ask_fact(
        &self,
        wish: &Wish<'_>,
        change: &GroupChange,
    ) -> Result<Result<(), String>, BridgeError> {
        match self.asking_as(wish, false) {
            Err(why) => Ok(Err(why)),
            Ok(login) => Ok(self.ask(wish, login, change).await?.map(drop)),
        }
    }

    /// Changes what is true of the group and what its room shows, which are the same in this.
    pub(super) async fn change_facts(
        &self,
        wish: &Wish<'_>,
        change: impl Fn(&mut GroupFacts) + Clone + Send + Sync + 'static,
    ) -> Result<(), BridgeError> {
        let key = wish.route.portal.key.clone();
        self.db
            .step(Lane::room(wish.room_id.as_str()), move |txn| {
                let (key, change) = (key.clone(), change.clone());
                Box::pin(async move {
                    let Some(mut group) = txn.group(&key.gatekeeper, &key.chat).await? else {
                        return Ok(());
                    };
                    change(&mut group.facts);
                    if let Some(shown) = &mut group.shown.facts {
                        change(shown);
                    }
                    txn.put_group(&group).await?;
                    txn.set_group_shown(&key.gatekeeper, &key.chat, &group.shown)
                        .await
                })
            })
            .await?;
        Ok(())
    }

    async fn store_picture(
        &self,
        wish: &Wish<'_>,
        picture: Option<String>,
        uri: Option<&str>,
    ) -> Result<(), BridgeError> {
        let (key, uri) = (wish.route.portal.key.clone(), uri.map(str::to_owned));
        self.db
            .step(Lane::room(wish.room_id.as_str()), move |txn| {
                let (key, uri, picture) = (key.clone(), uri.clone(), picture.clone());
                Box::pin(async move {
                    let Some(mut group) = txn.group(&key.gatekeeper, &key.chat).await? else {
                        return Ok(());
                    };
                    group.facts.picture.clone_from(&picture);
                    group.shown.avatar = uri;
                    if let Some(shown) = &mut group.shown.facts {
                        shown.picture = picture;
                    }
                    txn.put_group(&group).await?;
                    txn.set_group_shown(&key.gatekeeper, &key.chat, &group.shown)
                        .await
                })
            })
            .await?;
        Ok(())
    }
}
