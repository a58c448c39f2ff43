-- Further keys of instances; what the index has of them, and which anatomic regions there are in a study, steps 1 and 7 of refill::Step learn.
ALTER TABLE instance ADD COLUMN related_general_sop_class_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE instance ADD COLUMN container_identifier TEXT NOT NULL DEFAULT '';
INSERT OR REPLACE INTO refill VALUES (1, 0), (7, 0);
