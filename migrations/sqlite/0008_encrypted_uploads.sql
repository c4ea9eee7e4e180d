-- What a file of an encrypted room is encrypted with, sealed, and the hash of its ciphertext once all of that is at the homeserver.
ALTER TABLE uploads ADD COLUMN secret BLOB;
ALTER TABLE uploads ADD COLUMN sha256 BLOB;
