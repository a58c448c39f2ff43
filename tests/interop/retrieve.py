"""C-GET and C-MOVE through pynetdicom. Arguments: port, folder for what C-GET brings; orders come as JSON on standard input:
  service       "get" or "move"
  root          "study" (absent: that) or "patient"
  keys          the identifier by keyword
  destination   of a C-MOVE
  contexts      of a C-GET: [SOP class, transfer syntax] of each presentation context
  no_roles      true: a C-GET does not propose to be SCP
  statuses      what a C-GET answers by SOP Instance UID, instead of success
  tls           certificate, key and CA of its TLS; without it there is none
  cancel_after  so many responses, and it is cancelled
Each data set is kept as it came in a file named after its SOP Instance UID. Prints the responses as JSON, the final one last.
"""
import json
import pathlib
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from secure import calling

MODELS = {
    ("study", "get"): StudyRootQueryRetrieveInformationModelGet,
    ("study", "move"): StudyRootQueryRetrieveInformationModelMove,
    ("patient", "get"): PatientRootQueryRetrieveInformationModelGet,
    ("patient", "move"): PatientRootQueryRetrieveInformationModelMove,
}
port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
orders = json.load(sys.stdin)
model = MODELS[orders.get("root", "study"), orders["service"]]


def stored(event):
    uid = str(event.request.AffectedSOPInstanceUID)
    status = orders.get("statuses", {}).get(uid, 0x0000)
    if status == 0x0000:
        (folder / uid).write_bytes(event.request.DataSet.getvalue())
    return status


contexts = orders.get("contexts", [])
# A context of its own for each pair: the library would join those of a SOP class.
proposed = [build_context(model)] + [build_context(sop_class, syntax) for sop_class, syntax in contexts]
classes = sorted({sop_class for sop_class, _ in contexts})
roles = [] if orders.get("no_roles") else [build_role(sop_class, scp_role=True) for sop_class in classes]
association = AE("PYNETDICOM").associate(
    "127.0.0.1",
    port,
    contexts=proposed,
    ext_neg=roles,
    ae_title="GANTRY",
    evt_handlers=[(evt.EVT_C_STORE, stored)],
    tls_args=(calling(*orders["tls"]), "localhost") if "tls" in orders else None,
)
assert association.is_established, "not established"
query = Dataset()
for keyword, value in orders["keys"].items():
    setattr(query, keyword, value)
if orders["service"] == "get":
    answers = association.send_c_get(query, model, msg_id=7)
else:
    answers = association.send_c_move(query, orders["destination"], model, msg_id=7)
responses = []
for number, (status, identifier) in enumerate(answers, 1):
    response = {"status": status.Status}
    for name, keyword in (
        ("remaining", "NumberOfRemainingSuboperations"),
        ("completed", "NumberOfCompletedSuboperations"),
        ("failed", "NumberOfFailedSuboperations"),
        ("warning", "NumberOfWarningSuboperations"),
        ("comment", "ErrorComment"),
    ):
        if keyword in status:
            response[name] = getattr(status, keyword)
    if identifier is not None and "FailedSOPInstanceUIDList" in identifier:
        listed = identifier.FailedSOPInstanceUIDList
        response["failed_uids"] = [listed] if isinstance(listed, str) else list(listed)
    responses.append(response)
    if number == orders.get("cancel_after"):
        association.send_c_cancel(7, query_model=model)
association.release()
print(json.dumps(responses))
