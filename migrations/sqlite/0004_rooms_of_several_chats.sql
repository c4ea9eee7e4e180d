-- Rooms that mirror several chats, and chats that several logins are in.

-- Events on their way to one chat of a room each: what holds up one chat holds up no other. The event itself is handled.
CREATE TABLE matrix_deliveries (
    -- The event's place in the order of arrival, and the chat's portal.
    seq BIGINT NOT NULL, portal BIGINT NOT NULL, event_id TEXT NOT NULL, room_id TEXT NOT NULL, json TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    -- The portal of the chat it shows; NULL for what somebody wrote in the room.
    source BIGINT,
    PRIMARY KEY (portal, seq)
);

-- Up to which link the senders in a portal were told that a login's user has read.
CREATE TABLE read_marks (
    portal BIGINT NOT NULL, login BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (portal, login)
);
INSERT INTO read_marks (portal, login, seq)
    SELECT portals.id, portals.login, MAX(links.seq) FROM links JOIN portals ON portals.id = links.portal
    WHERE links.read_sent AND portals.login <> -1 GROUP BY portals.id, portals.login;
INSERT INTO read_marks (portal, login, seq)
    SELECT portals.id, logins.id, MAX(links.seq) FROM links JOIN portals ON portals.id = links.portal
    JOIN group_members ON group_members.gatekeeper = portals.gatekeeper AND group_members.chat = portals.chat
    JOIN logins ON logins.gatekeeper = portals.gatekeeper AND logins.remote_login = group_members.remote_id
    WHERE links.read_sent AND portals.login = -1 GROUP BY portals.id, logins.id;
DROP INDEX links_unread;
ALTER TABLE links DROP COLUMN read_sent;
