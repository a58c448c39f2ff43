-- Deliveries that a destination has taken and that it has yet to commit to (PS3.4 Annex J) are in state 6; `due` is when it is
-- asked, or asked again.
ALTER TABLE destination ADD COLUMN verifying INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_verifying ON delivery (destination_pk, due, delivery_pk) WHERE state = 6;
CREATE INDEX delivery_verifying_age ON delivery (destination_pk, queued) WHERE state = 6;

-- What we asked destinations to commit to. Which deliveries a request was about is told by their `due`, its `deadline`, as long as
-- they wait for its report. `state`: 0 being asked, 1 asked, 2 its report is late, 3 its report has come.
CREATE TABLE verification (
    verification_pk INTEGER PRIMARY KEY,
    destination_pk INTEGER NOT NULL REFERENCES destination (destination_pk),
    transaction_uid TEXT NOT NULL,
    state INTEGER NOT NULL,
    asked INTEGER NOT NULL,    -- microseconds since 1970 UTC
    deadline INTEGER NOT NULL  -- when it is asked again
) STRICT;
CREATE UNIQUE INDEX verification_by_transaction ON verification (transaction_uid);
CREATE INDEX verification_by_time ON verification (asked);
CREATE INDEX verification_open ON verification (destination_pk, deadline) WHERE state < 2;
