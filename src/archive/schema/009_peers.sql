-- What other application entities said when we called them, and as what they called us. `peer` is the name of the configuration; for a
-- caller that has none there AE title and address. Times are 0 where there was none yet.
CREATE TABLE peer_called (
    peer TEXT PRIMARY KEY,
    -- How it was called: what it said holds for that only.
    aet TEXT NOT NULL,
    address TEXT NOT NULL,
    calling TEXT NOT NULL,
    shows_user INTEGER NOT NULL,
    -- What it said when it last accepted an association.
    accepted INTEGER NOT NULL,
    tls TEXT,
    implementation_class_uid TEXT,
    implementation_version_name TEXT,
    max_pdu_bytes INTEGER NOT NULL,
    operations INTEGER NOT NULL,
    knows_user INTEGER NOT NULL,
    -- Why there was none when there was none: its rejection, and whatever it was.
    rejected INTEGER NOT NULL,
    rejection TEXT NOT NULL,
    failed INTEGER NOT NULL,
    failure TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What it said to one SOP class in one transfer syntax; `refusal` is NULL where it took that.
CREATE TABLE peer_context (
    peer TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    refusal TEXT,
    learned INTEGER NOT NULL,
    PRIMARY KEY (peer, sop_class_uid, transfer_syntax_uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE peer_caller (
    peer TEXT PRIMARY KEY,
    aet TEXT NOT NULL,
    address TEXT NOT NULL,
    called INTEGER NOT NULL,
    implementation_class_uid TEXT,
    implementation_version_name TEXT,
    proposed INTEGER NOT NULL,
    accepted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX peer_caller_by_time ON peer_caller (called);

-- Peers that a command has forgotten, until a running server has too.
CREATE TABLE peer_forgotten (
    peer TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
