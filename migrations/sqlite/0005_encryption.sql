-- End-to-end encryption: what the crypto machines remember, each its own. A machine is one device of one Matrix user.

-- Everything that is only ever looked up by its place: the account, sessions, devices, identities, settings and so on.
CREATE TABLE machine_records (
    machine TEXT NOT NULL, kind TEXT NOT NULL,
    -- What the record is about (a room, a user, a sender's key) and which of it; empty where the kind needs none.
    scope TEXT NOT NULL, name TEXT NOT NULL,
    record BLOB NOT NULL, stored_at BIGINT NOT NULL,
    PRIMARY KEY (machine, kind, scope, name)
);

-- The keys with which messages in rooms are read.
CREATE TABLE room_keys (
    machine TEXT NOT NULL, room_id TEXT NOT NULL, session_id TEXT NOT NULL,
    -- The device whose messages it reads, and how much is known of that device.
    sender_key TEXT NOT NULL, sender_kind BIGINT NOT NULL,
    -- The version of the backup it is in.
    backed_up_in TEXT,
    -- When it first came.
    stored_at BIGINT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (machine, room_id, session_id)
);
CREATE INDEX room_keys_from ON room_keys (machine, sender_key, sender_kind, session_id);
CREATE INDEX room_keys_backed_up ON room_keys (machine, backed_up_in);

-- Keys and secrets that were asked of other devices.
CREATE TABLE key_requests (
    machine TEXT NOT NULL, request_id TEXT NOT NULL, info TEXT NOT NULL, sent BOOLEAN NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (machine, request_id)
);
CREATE INDEX key_requests_about ON key_requests (machine, info);

-- Who may use a machine for a while; the generation changes with the holder.
CREATE TABLE machine_leases (
    machine TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, expires_at BIGINT NOT NULL, generation BIGINT NOT NULL,
    PRIMARY KEY (machine, name)
);
