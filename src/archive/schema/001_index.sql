-- Text columns are never NULL: '' says that no instance gave a value yet. Attribute columns are listed in attribute.rs.

-- (Patient ID, Issuer of Patient ID) is a patient; without a Patient ID each study has a patient of its own.
CREATE TABLE patient (
    patient_pk INTEGER PRIMARY KEY,
    patient_name TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    patient_birth_time TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    ethnic_group TEXT NOT NULL,
    patient_comments TEXT NOT NULL,
    number_of_studies INTEGER NOT NULL DEFAULT 0,
    number_of_series INTEGER NOT NULL DEFAULT 0,
    number_of_instances INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX patient_by_id ON patient (patient_id, issuer_of_patient_id) WHERE patient_id <> '';
CREATE INDEX patient_by_birth_date ON patient (patient_birth_date);

-- A study keeps what its own instances say about the patient: Patient IDs of different hospitals collide.
CREATE TABLE study (
    study_pk INTEGER PRIMARY KEY,
    patient_pk INTEGER NOT NULL REFERENCES patient (patient_pk),
    study_instance_uid TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    patient_birth_time TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    ethnic_group TEXT NOT NULL,
    patient_comments TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    study_id TEXT NOT NULL,
    study_description TEXT NOT NULL,
    referring_physician_name TEXT NOT NULL,
    name_of_physicians_reading_study TEXT NOT NULL,
    admitting_diagnoses_description TEXT NOT NULL,
    patient_age TEXT NOT NULL,
    patient_size TEXT NOT NULL,
    patient_weight TEXT NOT NULL,
    occupation TEXT NOT NULL,
    additional_patient_history TEXT NOT NULL,
    timezone_offset_from_utc TEXT NOT NULL,
    number_of_series INTEGER NOT NULL DEFAULT 0,
    number_of_instances INTEGER NOT NULL DEFAULT 0,
    disagreements INTEGER NOT NULL DEFAULT 0, -- instances that said something else than the columns of study, patient and series
    received INTEGER NOT NULL DEFAULT 0       -- of the latest instance, microseconds since 1970 UTC
) STRICT;
CREATE UNIQUE INDEX study_by_uid ON study (study_instance_uid);
CREATE INDEX study_by_patient ON study (patient_pk);
CREATE INDEX study_by_date ON study (study_date);
CREATE INDEX study_by_patient_id ON study (patient_id, study_date);
CREATE INDEX study_by_accession_number ON study (accession_number, study_date);
CREATE INDEX study_by_study_id ON study (study_id, study_date);
CREATE INDEX study_by_birth_date ON study (patient_birth_date, study_date);

CREATE TABLE series (
    series_pk INTEGER PRIMARY KEY,
    study_pk INTEGER NOT NULL REFERENCES study (study_pk),
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    series_number TEXT NOT NULL,
    series_description TEXT NOT NULL,
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    body_part_examined TEXT NOT NULL,
    laterality TEXT NOT NULL,
    patient_position TEXT NOT NULL,
    protocol_name TEXT NOT NULL,
    performing_physician_name TEXT NOT NULL,
    operators_name TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    manufacturer_model_name TEXT NOT NULL,
    station_name TEXT NOT NULL,
    institution_name TEXT NOT NULL,
    institutional_department_name TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    performed_procedure_step_start_date TEXT NOT NULL,
    performed_procedure_step_start_time TEXT NOT NULL,
    performed_procedure_step_id TEXT NOT NULL,
    performed_procedure_step_description TEXT NOT NULL,
    number_of_instances INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX series_by_uid ON series (series_instance_uid, study_pk);
CREATE INDEX series_by_study ON series (study_pk);
CREATE INDEX series_by_modality ON series (modality);

-- `file` says when the file was begun, in nanoseconds since 1970 UTC; its path follows from that.
CREATE TABLE instance (
    instance_pk INTEGER PRIMARY KEY,
    series_pk INTEGER NOT NULL REFERENCES series (series_pk),
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    file INTEGER NOT NULL,
    data_offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    sha256 BLOB NOT NULL, -- of the data set bytes as received
    received INTEGER NOT NULL,
    door TEXT NOT NULL,
    calling_aet TEXT NOT NULL,
    address TEXT NOT NULL,
    instance_number TEXT NOT NULL,
    content_date TEXT NOT NULL,
    content_time TEXT NOT NULL,
    acquisition_number TEXT NOT NULL,
    image_type TEXT NOT NULL,
    pixel_rows TEXT NOT NULL,
    pixel_columns TEXT NOT NULL,
    bits_allocated TEXT NOT NULL,
    number_of_frames TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX instance_by_uid ON instance (sop_instance_uid);
CREATE INDEX instance_by_series ON instance (series_pk);
CREATE UNIQUE INDEX instance_by_file ON instance (file);

-- The DICOM JSON of an instance, zstd; `dictionary` 1: compressed with the dictionary of its series.
CREATE TABLE metadata (
    instance_pk INTEGER PRIMARY KEY REFERENCES instance (instance_pk),
    dictionary INTEGER NOT NULL,
    json BLOB NOT NULL
) STRICT;

-- The beginning of the JSON of the first instance of a series, itself plain zstd. Never changes: rows of metadata need it.
CREATE TABLE dictionary (
    series_pk INTEGER PRIMARY KEY REFERENCES series (series_pk),
    json BLOB NOT NULL
) STRICT;

-- Content that came under the SOP Instance UID of another content. Not served; `instance_pk` is version 1.
CREATE TABLE conflict (
    conflict_pk INTEGER PRIMARY KEY,
    instance_pk INTEGER NOT NULL REFERENCES instance (instance_pk),
    version INTEGER NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    file INTEGER NOT NULL,
    data_offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    received INTEGER NOT NULL,
    door TEXT NOT NULL,
    calling_aet TEXT NOT NULL,
    address TEXT NOT NULL,
    dictionary INTEGER REFERENCES dictionary (series_pk), -- NULL: plain zstd
    json BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX conflict_by_version ON conflict (instance_pk, version);
CREATE UNIQUE INDEX conflict_by_file ON conflict (file);

-- Values that are searched but are not one column of their owner: folded person names, and what a study has several of.
-- `kind` is attribute::Terms; it says what `owner` is the key of.
CREATE TABLE term (
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (kind, value, owner)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX term_by_owner ON term (kind, owner, value);

-- UIDs that PS3.5 §9.1 forbids, by the name they have in paths and URLs.
CREATE TABLE odd_uid (
    component TEXT PRIMARY KEY,
    uid TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Totals over everything, so that an overview need not count rows; and how often the archive was opened.
CREATE TABLE total (
    patients INTEGER NOT NULL,
    studies INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    disagreements INTEGER NOT NULL,
    starts INTEGER NOT NULL
) STRICT;
INSERT INTO total VALUES (0, 0, 0, 0, 0, 0, 0, 0);

-- Hours (since 1970 UTC) whose folder may hold files that no row speaks of: written before the first file of the hour, removed
-- when folder and rows are known to agree.
CREATE TABLE open_hour (
    hour INTEGER PRIMARY KEY
) STRICT;

-- Files that a row speaks of and that were missing or short when it was looked.
CREATE TABLE damaged_file (
    file INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;
