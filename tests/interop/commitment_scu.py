"""A modality that asks for storage commitment.

  commitment_scu.py ask PORT CALLING TRANSACTION WAIT CLASS INSTANCE [CLASS INSTANCE …]
      Asks GANTRY at PORT. With WAIT "yes" it stays on the association until the report has come over it; with "no" it releases at once.
  commitment_scu.py listen PORT FOLDER [CERTIFICATE KEY CA]
      Takes reports over associations that others request, by TLS where there are files for it. `status` in FOLDER is what it answers, 0
      where there is none.

Prints a line of JSON for each thing that happened; `listen` appends them to `log` in FOLDER instead.
"""
import json
import pathlib
import sys
import threading

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from secure import accepting

INSTANCE = "1.2.840.10008.1.20.1.1"


def told(event):
    """What a report says."""
    information = event.event_information
    pair = lambda item: str(item.ReferencedSOPInstanceUID)
    requestor = event.assoc.requestor
    return {
        "event": "report",
        "type": event.event_type,
        "transaction": str(information.TransactionUID),
        "retrieve": str(information.get("RetrieveAETitle", "")),
        "committed": [pair(item) for item in information.get("ReferencedSOPSequence", [])],
        "failed": {pair(item): item.FailureReason for item in information.get("FailedSOPSequence", [])},
        "over": f"association of {requestor.ae_title.strip()}",
        "roles": [
            [str(item.sop_class_uid), item.scu_role, item.scp_role]
            for item in requestor.role_selection.values()
        ],
    }


def ask(port, calling, transaction, wait, *references):
    came = threading.Event()

    def reported(event):
        print(json.dumps(told(event)), flush=True)
        came.set()
        return 0x0000, None

    ae = AE(calling)
    ae.add_requested_context(StorageCommitmentPushModel, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    association = ae.associate("127.0.0.1", int(port), ae_title="GANTRY", evt_handlers=handlers)
    assert association.is_established, "not established"
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for sop_class, instance in zip(references[::2], references[1::2]):
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = instance
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, INSTANCE)
    print(json.dumps({"event": "answer", "status": status.Status}), flush=True)
    if wait == "yes":
        assert came.wait(30), "no report came"
        # The answer to it is to go out before the release.
        threading.Event().wait(0.2)
    association.release()


def listen(port, folder, *tls):
    folder = pathlib.Path(folder)

    def reported(event):
        with open(folder / "log", "a", encoding="utf-8") as file:
            file.write(json.dumps(told(event)) + "\n")
        answer = folder / "status"
        return (int(answer.read_text()) if answer.exists() else 0x0000), None

    ae = AE("MODALITY")
    ae.add_supported_context(Verification)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    context = accepting(*tls) if tls else None
    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    ae.start_server(("127.0.0.1", int(port)), block=True, evt_handlers=handlers, ssl_context=context)


{"ask": ask, "listen": listen}[sys.argv[1]](*sys.argv[2:])
