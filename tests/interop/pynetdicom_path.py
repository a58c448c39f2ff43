"""The main path through pynetdicom: echo, store, find. Arguments: port, file, study UID, patient name."""
import sys

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind as PatientRootFind,
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
    Verification,
)

port, path, study, name = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
instance = dcmread(path)
ae = AE("PYNETDICOM")
ae.add_requested_context(Verification)
ae.add_requested_context(PatientRootFind)
ae.add_requested_context(StudyRootFind)
ae.add_requested_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
association = ae.associate("127.0.0.1", port, ae_title="GANTRY")
assert association.is_established, "not established"
assert association.send_c_echo().Status == 0x0000
assert association.send_c_store(instance).Status == 0x0000

for model, level in ((StudyRootFind, "STUDY"), (PatientRootFind, "PATIENT")):
    query = Dataset()
    query.QueryRetrieveLevel = level
    query.PatientName = name.lower()
    query.PatientID = ""
    if level == "STUDY":
        query.StudyInstanceUID = study
        query.NumberOfStudyRelatedInstances = ""
    answers = list(association.send_c_find(query, model))
    statuses = [status.Status for status, _ in answers]
    assert statuses == [0xFF00, 0x0000], statuses
    row = answers[0][1]
    assert row.PatientName == name, row.PatientName
    if level == "STUDY":
        assert row.NumberOfStudyRelatedInstances == 1
association.release()
assert association.is_released
print("ok")
