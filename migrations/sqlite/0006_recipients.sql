-- To whom messages to groups went: each set of members once, however many messages went to it.
CREATE TABLE group_recipients (
    login BIGINT NOT NULL, chat TEXT NOT NULL,
    -- SHA-256 of the members, which are a JSON list of their addresses.
    hash TEXT NOT NULL, members TEXT NOT NULL,
    PRIMARY KEY (login, chat, hash)
);
-- The hash of those it went to; NULL for what did not go to a group and for what is older than this column.
ALTER TABLE outbox ADD COLUMN recipients TEXT;
