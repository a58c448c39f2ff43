-- How often it was tried whether a transaction can be made durable: a value that each try changes.
ALTER TABLE total ADD COLUMN probes INTEGER NOT NULL DEFAULT 0;

-- A version is found by its content however many versions there are.
CREATE INDEX conflict_by_content ON conflict (instance_pk, sha256, transfer_syntax_uid);
