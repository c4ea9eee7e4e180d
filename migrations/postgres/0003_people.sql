-- People, groups, and rooms that are linked to several chats.

-- A room can be linked to several chats, so its id is not unique any more.
ALTER TABLE portals DROP CONSTRAINT portals_room_id_key;
-- The login that speaks for those who have none, and whether somebody linked a room of their own.
ALTER TABLE portals ADD COLUMN relay BIGINT;
ALTER TABLE portals ADD COLUMN linked BOOLEAN NOT NULL DEFAULT FALSE;
-- The order in which the chats came into the room.
ALTER TABLE portals ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
CREATE INDEX portals_in ON portals (room_id);

-- Which login wrote a message of our own; 0 for what others wrote and for what is older than this column.
ALTER TABLE links ADD COLUMN login BIGINT NOT NULL DEFAULT 0;

-- Groups as the gatekeeper tells of them, and what their rooms show of it.
CREATE TABLE remote_groups (
    gatekeeper TEXT NOT NULL, chat TEXT NOT NULL,
    -- The group's properties, and those the room shows, as JSON.
    facts TEXT NOT NULL, shown TEXT NOT NULL,
    PRIMARY KEY (gatekeeper, chat)
);
-- role: what the member may do, NULL once gone; shown: the role the room shows, NULL while it does not show the member.
CREATE TABLE group_members (
    gatekeeper TEXT NOT NULL, chat TEXT NOT NULL, remote_id TEXT NOT NULL, role TEXT, shown TEXT,
    PRIMARY KEY (gatekeeper, chat, remote_id)
);
CREATE INDEX group_members_of ON group_members (gatekeeper, remote_id);

-- Sender keys: one's own in a group (sender is the login's own address) and the others'.
CREATE TABLE sender_keys (
    login BIGINT NOT NULL, chat TEXT NOT NULL, sender TEXT NOT NULL, record BYTEA NOT NULL, PRIMARY KEY (login, chat, sender)
);
-- Who has the login's current sender key.
CREATE TABLE sender_key_shares (
    login BIGINT NOT NULL, chat TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (login, chat, address)
);
-- How far messages to groups are with each member: 1 delivered, 2 read.
CREATE TABLE group_receipts (
    login BIGINT NOT NULL, stanza_id TEXT NOT NULL, member TEXT NOT NULL, stage BIGINT NOT NULL,
    PRIMARY KEY (login, stanza_id, member)
);

-- Where a ghost's name comes from (0 its address, 1 its profile, 2 the user's address book), and its picture.
ALTER TABLE ghosts ADD COLUMN name_source BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ghosts ADD COLUMN picture TEXT;
ALTER TABLE ghosts ADD COLUMN avatar TEXT;

-- Matrix users as whom the bridge may act.
CREATE TABLE puppets (mxid TEXT PRIMARY KEY NOT NULL, token BYTEA NOT NULL);
-- Accounts at a gatekeeper that belong to a Matrix user.
CREATE TABLE own_accounts (
    gatekeeper TEXT NOT NULL, remote_id TEXT NOT NULL, mxid TEXT NOT NULL, PRIMARY KEY (gatekeeper, remote_id)
);
CREATE INDEX own_accounts_of ON own_accounts (mxid);
CREATE TABLE blocked (login BIGINT NOT NULL, remote_id TEXT NOT NULL, PRIMARY KEY (login, remote_id));
-- Whom a login has asked to take messages of other apps, and what they said.
CREATE TABLE reachability (
    login BIGINT NOT NULL, remote_id TEXT NOT NULL, state TEXT NOT NULL, asked_at BIGINT NOT NULL, PRIMARY KEY (login, remote_id)
);
