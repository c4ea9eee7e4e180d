//! Everything the bridge remembers, in SQLite or Postgres.
//!
//! Owns the SQL (nothing else in the crate contains any), the sealing of secrets, and the group commit. What must be true
//! together is written in one [`Database::step`]; a step is durable when its future resolves, and only then may its effect
//! leave the process.

mod commit;
mod error;
mod guard;
mod health;
mod model;
mod open;
mod postgres;
mod repositories;
mod sealing;
mod sqlite;
mod writer;

pub use commit::{Database, Lane, Step};
pub use error::StoreError;
pub use model::{
    Accepted, AskedKey, DeliveryRow, ExpiryRow, GhostRow, GroupMemberRow, GroupRow, GroupShown,
    InboxEvent, Instance, KeyNotice, KeyRequestRow, LockedEvent, LoginRow, LoginSecrets,
    LoginState, MachineId, MachineRecord, MatrixEventRow, MessageLink, NameSource, NewOutboxRow,
    NewRemoteMessage, NoticeRow, OutboxKind, OutboxRow, PollOption, PollRow, PortalRow,
    PortalSettings, PreKeyRow, PuppetRow, QuarantinedEvent, ReachabilityRow, ReactionRow,
    ReceiptStage, RecordKind, RemoteMessageRow, RemoteNotice, Renewal, RoomKeyRow, SendStage,
    SessionRow, SignedPreKeyRow, StatusReport, UploadRow,
};
pub use open::{OpenReport, inspect, migrate, open};
pub use repositories::{
    DeliveryRepository, DeviceTrafficRepository, EncryptionRepository, ExpiryRepository,
    FenceRepository, GhostRepository, GroupRepository, KeyValueRepository, LinkRepository,
    LockedEventRepository, LoginRepository, MatrixInboxRepository, MissingKeyRepository,
    NoticeRepository, OutboxRepository, PeopleRepository, PollRepository, PortalRepository,
    ReactionRepository, RemoteInboxRepository, SenderKeyRepository, SignalRepository, Store,
    StoreTxn, UploadRepository, UserRepository,
};
