-- How many instances there are of each kind: a requestor that leaves the transfer syntax to us gets what suits most of them. Steps 5 and 6 of
-- refill::Step count them, and look through structured reports, which step 1 did.
ALTER TABLE kind ADD COLUMN instances INTEGER NOT NULL DEFAULT 0;
INSERT INTO refill VALUES (5, 0), (6, 0);
