-- Keys that their owners were asked for, until the request is taken back because they came.
CREATE TABLE asked_keys (
    room_id TEXT NOT NULL, key_id TEXT NOT NULL, sender TEXT NOT NULL, asked_at BIGINT NOT NULL, came BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (room_id, key_id, sender)
);

-- What rooms were told of keys that are missing.
CREATE TABLE key_notices (
    room_id TEXT NOT NULL, key_id TEXT NOT NULL, event_id TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (room_id, key_id)
);
