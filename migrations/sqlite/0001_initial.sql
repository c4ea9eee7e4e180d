-- Nothing refers to anything by a foreign key: on Postgres each check would lock the parent row for every message, and what is
-- deleted together is deleted by name in one transaction.

-- One row: the database itself and the process that may write.
CREATE TABLE instance (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    -- Random, so that a guard file is known to belong to this database.
    database_id BLOB NOT NULL,
    -- A known text, sealed: opens only with the right key.
    sealing_check BLOB NOT NULL,
    epoch BIGINT NOT NULL, started_at BIGINT NOT NULL,
    -- Why every session has to be made anew: 0 it has not, 1 an old copy was put back, 2 the guard file was gone.
    renewal BIGINT NOT NULL
);
-- How many commits with ratchet steps each writer made; compared with the guard file outside the database.
CREATE TABLE ratchet_commits (lane BIGINT PRIMARY KEY NOT NULL, commits BIGINT NOT NULL);
CREATE TABLE key_values (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);

-- The inbox of Matrix events. state: 0 waiting, 1 handled, 2 quarantined.
CREATE TABLE transactions (
    txn_id TEXT NOT NULL, content_hash BLOB NOT NULL, received_at BIGINT NOT NULL,
    PRIMARY KEY (txn_id, content_hash)
);
CREATE TABLE matrix_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, room_id TEXT NOT NULL, json TEXT NOT NULL,
    state BIGINT NOT NULL, reason TEXT, received_at BIGINT NOT NULL
);
CREATE INDEX matrix_events_waiting ON matrix_events (room_id, seq) WHERE state = 0;
CREATE INDEX matrix_events_quarantine ON matrix_events (seq) WHERE state = 2;

CREATE TABLE logins (
    id BIGINT PRIMARY KEY NOT NULL, gatekeeper TEXT NOT NULL, mxid TEXT NOT NULL, visible_id TEXT NOT NULL,
    remote_login TEXT, state TEXT NOT NULL, secrets BLOB NOT NULL,
    next_prekey_id BIGINT NOT NULL, signed_prekey_id BIGINT NOT NULL, UNIQUE (gatekeeper, visible_id)
);
CREATE INDEX logins_of ON logins (mxid);

CREATE TABLE sessions (
    login BIGINT NOT NULL, address TEXT NOT NULL, record BLOB NOT NULL, PRIMARY KEY (login, address)
);
CREATE TABLE identities (
    login BIGINT NOT NULL, address TEXT NOT NULL, identity BLOB, remade_at BIGINT, PRIMARY KEY (login, address)
);
CREATE TABLE prekeys (
    login BIGINT NOT NULL, id BIGINT NOT NULL, record BLOB NOT NULL, uploaded BOOLEAN NOT NULL, PRIMARY KEY (login, id)
);
CREATE TABLE signed_prekeys (
    login BIGINT NOT NULL, id BIGINT NOT NULL, record BLOB NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (login, id)
);

-- Stanzas to the gatekeeper. state: 0 queued, 1 acknowledged, 2 refused, 3 delivered.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, login BIGINT NOT NULL, stanza_id TEXT NOT NULL, chat TEXT NOT NULL, kind TEXT NOT NULL,
    payload BLOB NOT NULL, plaintext BLOB, portal BIGINT, event_id TEXT, part BIGINT NOT NULL, created_at BIGINT NOT NULL,
    state BIGINT NOT NULL, retries BIGINT NOT NULL, reason TEXT, UNIQUE (login, stanza_id)
);
CREATE INDEX outbox_queued ON outbox (login, seq) WHERE state = 0;

-- Messages from the gatekeeper. state: 0 waiting, 1 handled.
CREATE TABLE remote_messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, login BIGINT NOT NULL, chat TEXT NOT NULL, sender TEXT NOT NULL, stanza_id TEXT NOT NULL,
    ciphertext_hash BLOB NOT NULL, plaintext BLOB, notice TEXT, decrypted BOOLEAN NOT NULL, display_name TEXT,
    sent_at BIGINT NOT NULL, received_at BIGINT NOT NULL, revision BIGINT NOT NULL, retries BIGINT NOT NULL,
    state BIGINT NOT NULL, UNIQUE (login, chat, sender, stanza_id)
);
CREATE INDEX remote_messages_waiting ON remote_messages (login, chat, seq) WHERE state = 0;

CREATE TABLE portals (
    id BIGINT PRIMARY KEY NOT NULL, gatekeeper TEXT NOT NULL, chat TEXT NOT NULL,
    -- The login of a direct chat, -1 for a group.
    login BIGINT NOT NULL, room_id TEXT UNIQUE, ready BOOLEAN NOT NULL,
    UNIQUE (gatekeeper, chat, login)
);
CREATE INDEX portals_of ON portals (login);
-- An event can be several messages (a long text), a message several events (a text and a picture).
CREATE TABLE links (
    -- The order in the room; times are whole seconds.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    portal BIGINT NOT NULL, event_id TEXT NOT NULL, part BIGINT NOT NULL, stanza_id TEXT NOT NULL,
    -- Empty when the login wrote it.
    sender TEXT NOT NULL, sent_at BIGINT NOT NULL,
    -- Whether the sender was told that the message was read.
    read_sent BOOLEAN NOT NULL,
    UNIQUE (portal, event_id, part)
);
CREATE INDEX links_stanza ON links (portal, stanza_id);
CREATE INDEX links_unread ON links (portal, seq) WHERE sender <> '' AND NOT read_sent;
CREATE TABLE ghosts (
    gatekeeper TEXT NOT NULL, remote_id TEXT NOT NULL, mxid TEXT NOT NULL UNIQUE, registered BOOLEAN NOT NULL, name TEXT,
    PRIMARY KEY (gatekeeper, remote_id)
);
CREATE TABLE management_rooms (mxid TEXT PRIMARY KEY NOT NULL, room_id TEXT NOT NULL UNIQUE);
