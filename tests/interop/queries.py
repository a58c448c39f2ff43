"""Queries by pynetdicom, with and without extended negotiation (PS3.4 Annex C.5). Arguments: port.

Stores made-up studies first, encoded by pydicom. Each row of CASES is one association with one query, each of RETURNED one query
and what its only answer must hold.
"""
import sys

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind as PATIENT_ROOT,
    StudyRootQueryRetrieveInformationModelFind as STUDY_ROOT,
)

port = int(sys.argv[1])

# The fields of the sub-item, in their order: relational, combined date-time, fuzzy names, time zone, view, empty, multiple.
RELATIONAL, COMBINED, FUZZY, ZONE, VIEW, EMPTY, MULTIPLE = range(7)
OFFERED = {RELATIONAL, COMBINED, FUZZY, ZONE, EMPTY, MULTIPLE}


def study(number, **attributes):
    instance = Dataset()
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.SOPClassUID = CTImageStorage
    instance.SOPInstanceUID = f"2.25.{number}.1.1"
    instance.SeriesInstanceUID = f"2.25.{number}.1"
    instance.StudyInstanceUID = f"2.25.{number}"
    instance.PatientID = f"P{number}"
    instance.Modality = "CT"
    instance.InstanceNumber = "1"
    for keyword, value in attributes.items():
        setattr(instance, keyword, value)
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return instance


def item(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


REQUEST = Dataset()
REQUEST.ScheduledProcedureStepID = "SPS1"
REQUEST.RequestedProcedureID = "RP1"
REQUEST.ScheduledProcedureStepDescription = "Schädel"

STUDIES = [
    study(
        1,
        PatientName="Müller^Jürgen",
        StudyDate="20260101",
        StudyTime="1015",
        AccessionNumber="A1",
        PhysiciansOfRecord="Österreicher^A",
        PatientSpeciesDescription="Homo sapiens",
        DeviceSerialNumber="SN-1",
        SliceThickness="2.50",
        ImagePositionPatient=["-1.5", "0", "3.25"],
        PixelPaddingValue=0,
        RequestAttributesSequence=[REQUEST],
        ProcedureCodeSequence=[
            item(CodeValue="C1", CodingSchemeDesignator="DCM", CodeMeaning="Schädel"),
            item(CodeValue="C2", CodingSchemeDesignator="99X", CodeMeaning="two"),
        ],
    ),
    study(
        2,
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        StudyDate="20260102",
        StudyTime="2330",
        TimezoneOffsetFromUTC="+0900",
        RequestAttributesSequence=[item(ScheduledProcedureStepID="SPS1", RequestedProcedureID="RP2")],
        ReferencedStudySequence=[item(ReferencedSOPInstanceUID="2.25.99")],
    ),
    study(3, PatientName="", StudyDate="", AccessionNumber="A3", Modality="MR"),
]

# What is asked: fields, level, keys, and the numbers of the studies found or the status of the refusal.
CASES = [
    (set(), "STUDY", {"AccessionNumber": ""}, {1, 2, 3}),
    (set(), "STUDY", {"AccessionNumber": '""'}, set()),
    ({EMPTY}, "STUDY", {"AccessionNumber": '""'}, {2}),
    ({EMPTY}, "STUDY", {"PatientName": '""'}, {3}),
    ({EMPTY}, "STUDY", {"StudyDate": '""'}, {3}),
    (set(), "STUDY", {"AccessionNumber": ["A1", "A3"]}, 0xA900),
    ({MULTIPLE}, "STUDY", {"AccessionNumber": ["A1", "A3"]}, {1, 3}),
    ({MULTIPLE}, "STUDY", {"PatientName": ["mull*", "=山田*"]}, {1, 2}),
    ({MULTIPLE, EMPTY}, "STUDY", {"PatientName": ['""', "yamada*"]}, {2, 3}),
    ({MULTIPLE}, "STUDY", {"AccessionNumber": ["a*"] * 65}, 0xC000),
    ({RELATIONAL}, "SERIES", {"PatientID": "P2", "SeriesInstanceUID": ""}, {2}),
    ({RELATIONAL}, "IMAGE", {"PatientName": "*tarou", "Modality": "CT", "SOPInstanceUID": ""}, {2}),
    (set(), "STUDY", {"PatientName": "=山田^太郎"}, {2}),
    (set(), "STUDY", {"PatientName": "=yamada*"}, set()),
    # Without the agreement, the time is that of every day.
    (set(), "STUDY", {"StudyDate": "20260101-20260103", "StudyTime": "1200-2359"}, {2}),
    (set(), "STUDY", {"StudyDate": "20260101-20260103", "StudyTime": "1000-1200"}, {1}),
    ({COMBINED}, "STUDY", {"StudyDate": "20260101-20260103", "StudyTime": "1000-1200"}, {1, 2}),
    ({COMBINED}, "STUDY", {"StudyDate": "20260101-20260102", "StudyTime": "1016-2329"}, set()),
    ({COMBINED}, "SERIES", {"StudyDate": "20260101-", "StudyTime": "1016-", "SeriesInstanceUID": ""}, {2}),
    ({COMBINED}, "STUDY", {"StudyDate": "-20260102", "StudyTime": "-2330"}, {1, 2}),
    (set(), "SERIES", {"RequestAttributesSequence": [item(ScheduledProcedureStepID="SPS1")]}, {1, 2}),
    (set(), "SERIES", {"RequestAttributesSequence": [item(ScheduledProcedureStepID="SPS1", RequestedProcedureID="RP2")]}, {2}),
    (set(), "SERIES", {"RequestAttributesSequence": [item(RequestedProcedureID="RP?", ScheduledProcedureStepDescription="sch*")]}, set()),
    (set(), "SERIES", {"RequestAttributesSequence": [item(RequestedProcedureID="RP?", ScheduledProcedureStepDescription="Schä*")]}, {1}),
    (set(), "STUDY", {"ProcedureCodeSequence": [item(CodeValue="C1", CodingSchemeDesignator="99X")]}, set()),
    (set(), "STUDY", {"ProcedureCodeSequence": [item(CodeValue="C2", CodingSchemeDesignator="99X")]}, {1}),
    (set(), "STUDY", {"ProcedureCodeSequence": [item(CodeValue="C1"), item(CodeValue="C2")]}, 0xA900),
    (set(), "STUDY", {"ReferencedStudySequence": [item(ReferencedSOPInstanceUID="2.25.99")]}, {2}),
    ({EMPTY}, "STUDY", {"ProcedureCodeSequence": [item(CodeValue='""')]}, {2, 3}),
    (set(), "STUDY", {"PatientName": "Miller^Jurgen"}, set()),
    ({FUZZY}, "STUDY", {"PatientName": "Miller^Jurgen"}, {1}),
    ({FUZZY}, "STUDY", {"PatientName": "JURGEN MUELLER"}, {1}),
    ({FUZZY}, "STUDY", {"PatientName": "山田"}, {2}),
    ({FUZZY}, "STUDY", {"PatientName": "Miller^Anna"}, set()),
    ({FUZZY, MULTIPLE}, "IMAGE", {"PatientName": ["miler", "taro"], "SOPInstanceUID": ""}, {1, 2}),
    # The second study is of 14:30 UTC.
    (set(), "STUDY", {"StudyTime": "1430", "TimezoneOffsetFromUTC": "+0000"}, set()),
    ({ZONE}, "STUDY", {"StudyTime": "1430", "TimezoneOffsetFromUTC": "+0000"}, {2}),
    ({ZONE}, "STUDY", {"StudyDate": "20260103", "TimezoneOffsetFromUTC": "+1000"}, {2}),
    ({ZONE}, "STUDY", {"StudyDate": "20260102", "TimezoneOffsetFromUTC": "+1000"}, set()),
    ({ZONE, COMBINED}, "STUDY", {"StudyDate": "20260101-20260102", "StudyTime": "1015-1430", "TimezoneOffsetFromUTC": "+0000"}, {1, 2}),
    ({ZONE}, "STUDY", {"StudyDate": "20260102", "TimezoneOffsetFromUTC": "JST"}, 0xA900),
]


STEP = Dataset()
STEP.RequestedProcedureID = ""

# Level, and what study 1 returns for a key without a value (or with that of a second element).
RETURNED = [
    ("PATIENT", {"PatientSpeciesDescription": "Homo sapiens", "RetrieveAETitle": "GANTRY"}),
    ("STUDY", {"PhysiciansOfRecord": "Österreicher^A", "PatientSpeciesDescription": "Homo sapiens"}),
    ("STUDY", {"InstanceAvailability": "ONLINE", "NumberOfPatientRelatedInstances": 1, "ModalitiesInStudy": "CT"}),
    ("STUDY", {"SOPClassesInStudy": CTImageStorage, "NumberOfStudyRelatedSeries": 1, "SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Jürgen"}),
    ("SERIES", {"DeviceSerialNumber": "SN-1", "NumberOfSeriesRelatedInstances": 1, "NumberOfStudyRelatedInstances": 1}),
    ("SERIES", {"RequestAttributesSequence": [REQUEST]}),
    ("IMAGE", {"SliceThickness": 2.5, "ImagePositionPatient": [-1.5, 0, 3.25], "PhysiciansOfRecord": "Österreicher^A"}),
    ("IMAGE", {"RequestAttributesSequence": [REQUEST], "ContentDate": "", "WindowCenter": None}),
]


def associate(model, fields):
    entity = AE("PYNETDICOM")
    entity.add_requested_context(model)
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = model
    item.service_class_application_information = bytes(int(field in fields) for field in range(7))
    association = entity.associate("127.0.0.1", port, ae_title="GANTRY", ext_neg=[item] if fields else [])
    assert association.is_established
    answered = association.acceptor.sop_class_extended
    if fields:
        expected = bytes(int(field in fields & OFFERED) for field in range(7))
        assert answered == {model: expected}, (fields, answered)
    else:
        assert answered == {}, answered
    return association


def identifier(level, keys):
    query = Dataset()
    query.SpecificCharacterSet = "ISO_IR 192"
    query.QueryRetrieveLevel = level
    query.StudyInstanceUID = ""
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def store(instances):
    entity = AE("PYNETDICOM")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    # Each is synced, which takes its time on a busy disk.
    entity.dimse_timeout = 120
    association = entity.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    for instance in instances:
        assert association.send_c_store(instance).Status == 0x0000
    association.release()


def ask(model, fields, level, keys):
    association = associate(model, fields)
    answers = list(association.send_c_find(identifier(level, keys), model))
    association.release()
    last, rows = answers[-1][0].Status, [row for _, row in answers[:-1]]
    if last != 0x0000:
        assert not rows
        return last
    return {int(row.StudyInstanceUID.split(".")[2]) for row in rows}


def returned(association, level, expected):
    query = identifier(level, dict.fromkeys(expected, ""))
    query.PatientID = "P1"
    if level == "PATIENT":
        del query.StudyInstanceUID
    if "RequestAttributesSequence" in expected:
        query.RequestAttributesSequence = []
    query.SpecificCharacterSet = "ISO_IR 192"
    model = PATIENT_ROOT if level == "PATIENT" else STUDY_ROOT
    (status, row), (last, nothing) = association.send_c_find(query, model)
    assert (status.Status, last.Status, nothing) == (0xFF00, 0x0000, None), (level, status, last)
    for keyword, value in expected.items():
        found = row[keyword].value
        assert found == value, (level, keyword, found, value)
    return row


# A study of several series: series, instance, what they have.
BELOW = [
    study(number, **attributes, SeriesInstanceUID=f"2.25.{number}.{series}", SOPInstanceUID=f"2.25.{number}.{series}.{instance}")
    for number, series, instance, attributes in [
        (11, 1, 1, {"Modality": "CT", "SeriesDescription": "Thorax", "SeriesDate": "20260101", "InstanceNumber": "1"}),
        (11, 1, 2, {"Modality": "CT", "SeriesDescription": "Thorax", "SeriesDate": "20260101", "InstanceNumber": "2"}),
        (11, 2, 1, {"Modality": "MR", "SeriesDescription": "Head", "SeriesDate": "20260102", "InstanceNumber": "3"}),
        (12, 1, 1, {"Modality": "MR", "SeriesDescription": "Thorax", "SeriesDate": "20260103", "InstanceNumber": "1", "OperatorsName": "Meyer^A"}),
        (13, 1, 1, {"Modality": "US", "SeriesDescription": "Knee", "InstanceNumber": "2", "RequestAttributesSequence": [REQUEST]}),
    ]
]

# Mechanisms beside relational queries, level, keys with what each instance must meet for them.
RELATED = [
    (set(), "STUDY", [("Modality", "MR", lambda i: i.Modality == "MR")]),
    (set(), "STUDY", [("Modality", "CT", lambda i: i.Modality == "CT"), ("SeriesDescription", "Head", lambda i: i.SeriesDescription == "Head")]),
    (set(), "STUDY", [("Modality", "MR", lambda i: i.Modality == "MR"), ("SeriesDescription", "T*", lambda i: i.SeriesDescription[0] == "T")]),
    (set(), "STUDY", [("SOPInstanceUID", ["2.25.11.1.2", "2.25.13.1.1"], lambda i: i.SOPInstanceUID in ("2.25.11.1.2", "2.25.13.1.1"))]),
    (set(), "STUDY", [("SeriesInstanceUID", "2.25.11.2", lambda i: i.SeriesInstanceUID == "2.25.11.2"), ("InstanceNumber", "3", lambda i: i.InstanceNumber == 3)]),
    (set(), "STUDY", [("SeriesInstanceUID", "2.25.11.2", lambda i: i.SeriesInstanceUID == "2.25.11.2"), ("InstanceNumber", "1", lambda i: i.InstanceNumber == 1)]),
    (set(), "STUDY", [("SeriesDate", "20260102-", lambda i: i.get("SeriesDate", "") >= "20260102")]),
    (set(), "STUDY", [("RequestAttributesSequence", [item(ScheduledProcedureStepID="SPS1")], lambda i: "RequestAttributesSequence" in i)]),
    ({FUZZY}, "STUDY", [("OperatorsName", "Maier", lambda i: "OperatorsName" in i)]),
    ({MULTIPLE}, "STUDY", [("SeriesDescription", ["He*", "Knee"], lambda i: i.SeriesDescription in ("Head", "Knee"))]),
    (set(), "SERIES", [("InstanceNumber", "2", lambda i: i.InstanceNumber == 2)]),
    (set(), "PATIENT", [("Modality", "MR", lambda i: i.Modality == "MR"), ("SeriesDescription", "Thorax", lambda i: i.SeriesDescription == "Thorax")]),
]
UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}


def check_relational():
    """Keys of the levels below, against a walk through all instances; and the same without the agreement."""
    store(BELOW)
    for fields, level, keys in RELATED:
        model = PATIENT_ROOT if level == "PATIENT" else STUDY_ROOT
        unique = UNIQUE[level]
        patients = {"PatientID": ["P11", "P12", "P13"]}
        asked = {unique: ""} | {keyword: value for keyword, value, _ in keys}
        expected = {i.get(unique) for i in BELOW if all(is_met(i) for _, _, is_met in keys)}
        for agreed in (True, False):
            association = associate(model, fields | ({RELATIONAL, MULTIPLE} if agreed else {MULTIPLE}))
            query = identifier(level, asked | patients)
            if level == "PATIENT":
                del query.StudyInstanceUID
            answers = list(association.send_c_find(query, model))
            association.release()
            rows = [row for _, row in answers[:-1]]
            found, statuses = {row.get(unique) for row in rows}, {status.Status for status, _ in answers[:-1]}
            every = {i.get(unique) for i in BELOW}
            told = (level, list(asked), agreed, found, statuses)
            assert answers[-1][0].Status == 0x0000 and len(rows) == len(found), told
            assert found == (expected if agreed else every), (told, expected)
            assert statuses <= {0xFF00 if agreed else 0xFF01}, told
            for row, (keyword, _, _) in ((row, key) for row in rows for key in keys):
                assert (keyword in row and not row[keyword].value) == agreed, (told, keyword)
    # Without a value it is no matching key.
    association = associate(STUDY_ROOT, {RELATIONAL})
    answers = association.send_c_find(identifier("STUDY", {"PatientID": "P11", "SeriesDescription": ""}), STUDY_ROOT)
    assert [status.Status for status, _ in answers] == [0xFF01, 0x0000]
    association.release()


store(STUDIES)
for fields, level, keys, expected in CASES:
    for model in (STUDY_ROOT, PATIENT_ROOT):
        found = ask(model, fields, level, keys)
        assert found == expected, (fields, level, list(keys), found, expected)
every = associate(STUDY_ROOT, set(range(7)))
every.release()

entity = AE("PYNETDICOM")
entity.add_requested_context(STUDY_ROOT)
entity.add_requested_context(PATIENT_ROOT)
association = entity.associate("127.0.0.1", port, ae_title="GANTRY")
for level, expected in RETURNED:
    returned(association, level, expected)
query = identifier("SERIES", {"PatientID": "P1", "RequestAttributesSequence": [STEP]})
rows = [row for _, row in association.send_c_find(query, STUDY_ROOT) if row]
assert [[element.keyword for element in item] for item in rows[0].RequestAttributesSequence] == [["RequestedProcedureID"]], rows
query = identifier("STUDY", {"PatientID": "P1", "SliceThickness": "", "SeriesInstanceUID": ""})
statuses = [(status.Status, row and "SliceThickness" in row) for status, row in association.send_c_find(query, STUDY_ROOT)]
assert statuses == [(0xFF01, False), (0x0000, None)], statuses
query = identifier("STUDY", {"PatientID": ["P1", "P2"], "TimezoneOffsetFromUTC": "+0100"})
association.release()
association = associate(STUDY_ROOT, {ZONE, MULTIPLE})
rows = [row for _, row in association.send_c_find(query, STUDY_ROOT) if row]
assert [row.get("TimezoneOffsetFromUTC") for row in rows] == ["+0900", None], rows
association.release()
check_relational()
print("ok")
