-- In which transfer syntaxes there are instances of each SOP class, so that presentation contexts can be accepted that fit what is
-- stored. At most limits::KINDS_OF_A_CLASS of each class, limits::STORED_KINDS in all.
CREATE TABLE kind (
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    PRIMARY KEY (sop_class_uid, transfer_syntax_uid)
) STRICT, WITHOUT ROWID;
