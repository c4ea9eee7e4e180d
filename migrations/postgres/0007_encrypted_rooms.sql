-- What homeservers send to the bridge's device, in order, until the crypto machine has taken it.
CREATE TABLE device_traffic (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, json TEXT NOT NULL, received_at BIGINT NOT NULL
);

-- Events whose key is missing (state 3): which key, since when, and how much of that their room was told.
ALTER TABLE matrix_events ADD COLUMN key_id TEXT;
ALTER TABLE matrix_events ADD COLUMN locked_at BIGINT;
ALTER TABLE matrix_events ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
CREATE INDEX matrix_events_locked ON matrix_events (room_id, key_id) WHERE state = 3;
