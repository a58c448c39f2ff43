-- What peers asked us to commit to, and the reports that we owe for it (PS3.4 Annex J). `state` is commitment::CommitmentState.
-- `due` is when a waiting report is tried next; the largest number: it is to go over the association that it was asked on.
CREATE TABLE commitment (
    commitment_pk INTEGER PRIMARY KEY,
    aet TEXT NOT NULL,               -- who asked, '' when it gave no AE title
    transaction_uid TEXT NOT NULL,
    peer TEXT NOT NULL,              -- '': none of the configured
    address TEXT NOT NULL,
    requested INTEGER NOT NULL,      -- microseconds since 1970 UTC
    state INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0, -- when the last attempt ended
    status TEXT NOT NULL DEFAULT '', -- how it ended, in words
    instances INTEGER NOT NULL,
    failed INTEGER NOT NULL DEFAULT 0, -- of those, not committed to when it was last looked
    refs BLOB NOT NULL               -- a JSON array of [SOP Class UID, SOP Instance UID], zstd
) STRICT;
CREATE UNIQUE INDEX commitment_by_transaction ON commitment (aet, transaction_uid);
CREATE INDEX commitment_waiting ON commitment (due) WHERE state = 0;
CREATE INDEX commitment_ended ON commitment (state, done) WHERE state > 0;
