-- Files that were missing or damaged and were replaced when the same content came again.
ALTER TABLE total ADD COLUMN repairs INTEGER NOT NULL DEFAULT 0;
