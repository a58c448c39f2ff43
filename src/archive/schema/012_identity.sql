-- The user identity that a peer is shown, in words without secrets; NULL: none. What it said hangs on which one that is, and of what was
-- remembered before only that there was one is known: that is learned again.
ALTER TABLE peer_called ADD COLUMN identity TEXT;
UPDATE peer_called SET identity = '' WHERE shows_user;
ALTER TABLE peer_called DROP COLUMN shows_user;
