//! The login's keys at the gatekeeper: uploaded at the first login, refilled when few are left, rotated when old.

use crate::{
    domain::LoginId,
    network::interop::{
        context::Context,
        prekeys::{self, BatchSizes},
        session::{RequestError, iq},
        wire::Node,
    },
    signal::FIRST_KEY_ID,
    store::{Lane, StoreError},
};

/// One thing to do about the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chore {
    /// Upload what the gatekeeper has not confirmed, or the very first keys.
    Upload,
    /// Ask how many one-time prekeys the gatekeeper holds.
    Count,
    /// Upload new one-time prekeys.
    Refill,
    /// Give the gatekeeper a new signed prekey if the current one is old.
    Rotate,
    /// Waiting for the confirmation of an upload of these.
    Uploading(Vec<u32>),
    /// Waiting for the confirmation of the signed prekey of this id.
    Rotating(u32),
}

impl Chore {
    /// What is to be done after each login.
    pub(super) fn at_login() -> Vec<Self> {
        vec![Self::Upload, Self::Rotate]
    }
}

/// The chores of one connection.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    uploading: bool,
    counted: bool,
}

impl Upkeep {
    /// Begins a chore: the request that does it and the chore that waits for the answer, or nothing if there is nothing to do.
    pub(super) async fn begin(
        &mut self,
        context: &Context,
        login: LoginId,
        chore: Chore,
    ) -> Result<Option<(Chore, Node)>, StoreError> {
        match chore {
            Chore::Upload => {
                if owes_upload(context, login).await? {
                    return self.upload(context, login).await;
                }
                Ok(self.count(context))
            }
            Chore::Count => Ok(self.count(context)),
            Chore::Refill => self.upload(context, login).await,
            Chore::Rotate => rotate(context, login).await,
            Chore::Uploading(_) | Chore::Rotating(_) => Ok(None),
        }
    }

    fn count(&mut self, context: &Context) -> Option<(Chore, Node)> {
        (!std::mem::replace(&mut self.counted, true))
            .then(|| (Chore::Count, iq::prekey_count(&context.server())))
    }

    async fn upload(
        &mut self,
        context: &Context,
        login: LoginId,
    ) -> Result<Option<(Chore, Node)>, StoreError> {
        if self.uploading {
            return Ok(None);
        }
        let limits = &context.profile.limits;
        let sizes = BatchSizes {
            first: limits.prekeys_first,
            refill: limits.prekeys_batch,
        };
        let (server, now) = (context.server(), context.now());
        let upload = context
            .db
            .step(Lane::login(login), move |txn| {
                let server = server.clone();
                Box::pin(async move { prekeys::upload(txn, login, &server, sizes, now).await })
            })
            .await?;
        self.uploading = upload.is_some();
        Ok(upload.map(|upload| (Chore::Uploading(upload.ids), upload.iq)))
    }

    /// Takes the answer to a chore's request; what is to be done next.
    pub(super) async fn answered(
        &mut self,
        context: &Context,
        login: LoginId,
        chore: Chore,
        outcome: Result<Node, RequestError>,
    ) -> Result<Vec<Chore>, StoreError> {
        if let Chore::Uploading(_) = chore {
            self.uploading = false;
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                // It is done again at the next login; meanwhile sessions can be made without one-time prekeys.
                tracing::warn!(%login, ?chore, %error, "the keys could not be looked after");
                return Ok(Vec::new());
            }
        };
        match chore {
            Chore::Uploading(ids) => {
                context
                    .db
                    .step(Lane::login(login), move |txn| {
                        let ids = ids.clone();
                        Box::pin(async move { prekeys::confirm(txn, login, &ids).await })
                    })
                    .await?;
                Ok(vec![Chore::Count])
            }
            Chore::Rotating(id) => {
                context
                    .db
                    .step(Lane::login(login), move |txn| {
                        Box::pin(async move { prekeys::confirm_rotation(txn, login, id).await })
                    })
                    .await?;
                Ok(Vec::new())
            }
            Chore::Count => match iq::count(&answer) {
                Some(count) if count < context.prekeys_low() => Ok(vec![Chore::Refill]),
                _ => Ok(Vec::new()),
            },
            Chore::Upload | Chore::Refill | Chore::Rotate => Ok(Vec::new()),
        }
    }
}

/// Whether the gatekeeper has never had keys, or has not confirmed some.
async fn owes_upload(context: &Context, login: LoginId) -> Result<bool, StoreError> {
    context
        .db
        .read(move |txn| {
            Box::pin(async move {
                let first = txn
                    .login(login)
                    .await?
                    .is_some_and(|row| row.next_prekey_id == FIRST_KEY_ID);
                Ok(first || !txn.unconfirmed_prekeys(login).await?.is_empty())
            })
        })
        .await
}

async fn rotate(context: &Context, login: LoginId) -> Result<Option<(Chore, Node)>, StoreError> {
    let (server, now) = (context.server(), context.now());
    let rotation = context
        .db
        .step(Lane::login(login), move |txn| {
            let server = server.clone();
            Box::pin(async move { prekeys::rotation(txn, login, &server, now).await })
        })
        .await?;
    Ok(rotation.map(|rotation| (Chore::Rotating(rotation.id), rotation.iq)))
}
