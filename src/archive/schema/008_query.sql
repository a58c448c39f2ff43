-- Attributes inside the items of sequences that are searched. `kind` is the code in items::ITEM_ATTRIBUTES; it says what `owner` is
-- the key of. `number` is that of the item, so that all keys of a query can be asked of one item.
CREATE TABLE item (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    owner INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (kind, value, owner, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX item_by_owner ON item (kind, owner, number, value);

ALTER TABLE patient ADD COLUMN other_patient_ids TEXT NOT NULL DEFAULT '';
ALTER TABLE patient ADD COLUMN other_patient_names TEXT NOT NULL DEFAULT '';
ALTER TABLE study ADD COLUMN other_patient_ids TEXT NOT NULL DEFAULT '';
ALTER TABLE study ADD COLUMN other_patient_names TEXT NOT NULL DEFAULT '';
ALTER TABLE study ADD COLUMN other_study_numbers TEXT NOT NULL DEFAULT '';

-- Terms of studies in the order in which studies are answered: those of one value come by date, whatever their number. Terms of a kind
-- from 100 on are the sounds of the words in names of kind - 100, see attribute::Terms.
CREATE TABLE term_by_date (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    study_date TEXT NOT NULL, -- '' where the owner is no study
    owner INTEGER NOT NULL,
    PRIMARY KEY (kind, value, study_date, owner)
) STRICT, WITHOUT ROWID;
-- The kinds so far whose owners are studies: attribute::Terms::OF_STUDIES.
INSERT INTO term_by_date
    SELECT kind, value, CASE WHEN kind IN (2, 3, 4, 5, 6) THEN coalesce(study.study_date, '') ELSE '' END, owner
    FROM term LEFT JOIN study ON study.study_pk = term.owner;
DROP TABLE term;
ALTER TABLE term_by_date RENAME TO term;
CREATE UNIQUE INDEX term_by_owner ON term (kind, owner, value);

-- The first one, two and three characters of the folded component groups of names, in the same order. `kind` is that of the names.
CREATE TABLE beginning (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    study_date TEXT NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (kind, value, study_date, owner)
) STRICT, WITHOUT ROWID;

-- What the index has yet to learn of what it has: each step of refill::Step that is not done, and the key that it has come to. Several
-- transactions do that, at the start and with the schema of the version that runs, whichever migration asks for it.
CREATE TABLE refill (
    step INTEGER PRIMARY KEY,
    after INTEGER NOT NULL
) STRICT;
INSERT INTO refill VALUES (1, 0), (2, 0), (3, 0), (4, 0);
