-- What a conversation carries besides its messages.

-- What is decided for this room alone, as JSON.
ALTER TABLE portals ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- The state of which its sender was told last. Of what happened before there was such a thing nobody is told any more.
ALTER TABLE outbox ADD COLUMN reported BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET reported = state;
CREATE INDEX outbox_unreported ON outbox (login, chat, seq)
    WHERE portal IS NOT NULL AND event_id IS NOT NULL AND state <> 0 AND state <> reported;
-- The parts of an event are told of together.
CREATE INDEX outbox_event ON outbox (portal, event_id);

-- The newest message of a room.
CREATE INDEX links_newest ON links (portal, seq);

-- Reactions, one a person and message.
CREATE TABLE reactions (
    portal BIGINT NOT NULL, stanza_id TEXT NOT NULL,
    -- Who wrote the message, and who reacted; empty when it was the login.
    sender TEXT NOT NULL, reactor TEXT NOT NULL,
    event_id TEXT NOT NULL, emoji BLOB NOT NULL,
    PRIMARY KEY (portal, stanza_id, sender, reactor)
);
CREATE INDEX reactions_event ON reactions (portal, event_id);
CREATE TABLE polls (
    portal BIGINT NOT NULL, stanza_id TEXT NOT NULL,
    -- Empty when the login made it.
    sender TEXT NOT NULL,
    event_id TEXT NOT NULL, secret BLOB,
    -- The question and the options, as JSON.
    content BLOB NOT NULL, selectable BIGINT NOT NULL,
    PRIMARY KEY (portal, stanza_id, sender)
);
CREATE INDEX polls_event ON polls (portal, event_id);

-- Files on their way to the homeserver: an address is asked for first, then filled.
CREATE TABLE uploads (
    key TEXT PRIMARY KEY NOT NULL, uri TEXT NOT NULL, done BOOLEAN NOT NULL, created_at BIGINT NOT NULL
);
-- Notices of the bridge itself that are edited when what they are about changes.
CREATE TABLE notices (
    portal BIGINT NOT NULL, about TEXT NOT NULL, event_id TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (portal, about)
);
-- Events that disappear.
CREATE TABLE expiries (
    portal BIGINT NOT NULL, event_id TEXT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (portal, event_id)
);
CREATE INDEX expiries_next ON expiries (expires_at);
