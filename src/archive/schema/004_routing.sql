-- Where instances are sent. A name keeps its number for good, also once the configuration has dropped it. The counters
-- say how many deliveries are in which state; they change in the transaction that changes those.
CREATE TABLE destination (
    destination_pk INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    withheld INTEGER NOT NULL DEFAULT 0,
    circuit INTEGER NOT NULL DEFAULT 0, -- 1: open, nothing is sent but a probe at `probe_at`; 0 there: a person asks for one now
    probe_at INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    last_error_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX destination_by_name ON destination (name);

-- All rules as they were loaded together for the first time; `sources` is a JSON array of [name, text], zstd.
CREATE TABLE rule_set (
    rule_set_pk INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    loaded INTEGER NOT NULL,
    sources BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX rule_set_by_version ON rule_set (version);

CREATE TABLE rule (
    rule_pk INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX rule_by_name ON rule (name, version);

ALTER TABLE instance ADD COLUMN called_aet TEXT NOT NULL DEFAULT '';
ALTER TABLE instance ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE instance ADD COLUMN rule_set_pk INTEGER REFERENCES rule_set (rule_set_pk); -- NULL: no rules then
ALTER TABLE conflict ADD COLUMN called_aet TEXT NOT NULL DEFAULT '';
ALTER TABLE conflict ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE conflict ADD COLUMN rule_set_pk INTEGER REFERENCES rule_set (rule_set_pk);

-- One version of an instance on its way to one destination: the queue and the ledger. `state` is delivery::State. `due` is
-- when a ready row was queued, a retrying one is tried again, the lease of a leased one ends, a dead one died.
CREATE TABLE delivery (
    delivery_pk INTEGER PRIMARY KEY,
    destination_pk INTEGER NOT NULL REFERENCES destination (destination_pk),
    instance_pk INTEGER NOT NULL REFERENCES instance (instance_pk),
    version INTEGER NOT NULL,
    rule_pk INTEGER REFERENCES rule (rule_pk), -- NULL: by hand
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL,
    due INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,   -- when the last attempt ended
    status TEXT NOT NULL DEFAULT '',   -- how it ended, in words
    sent BLOB NOT NULL DEFAULT x''     -- SHA-256 of what was delivered last
) STRICT;
CREATE UNIQUE INDEX delivery_by_version ON delivery (instance_pk, version, destination_pk);
CREATE INDEX delivery_open ON delivery (destination_pk, state, due, delivery_pk) WHERE state < 4;
CREATE INDEX delivery_age ON delivery (destination_pk, queued) WHERE state < 3;
