"""An archive that takes instances and is asked to commit to them. Arguments: port, folder.

`script.json` in the folder is read again for each event; every key may be absent:
  store      the status it answers to C-STORE
  action     the status it answers to N-ACTION
  hold       seconds before it answers N-ACTION
  offers     false: it does not offer storage commitment (read at the start only)
  commit     how it reports: "same" over the association that it was asked on, "new" over one of its own, "later" over one of its own
             once there is a file `go` in the folder, "never", "early" over the same association before it answers N-ACTION
  to         the port that it reports to over associations of its own
  as         the AE title that it reports as, ARCHIVE where there is none
  roles      false: it says nothing of its role on associations of its own
  failed     failure reasons by SOP Instance UID
  once       true: it aborts an association on which it is asked a second time
  untold     SOP Instance UIDs that it says nothing about
`log` has a line of JSON for each event: store, action, report with the status that it was answered.
"""
import threading
import time

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from told import folder, log, port, script

INSTANCE = "1.2.840.10008.1.20.1.1"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def stored(event):
    status = script().get("store", 0x0000)
    log(event="store", uid=str(event.request.AffectedSOPInstanceUID), status=status)
    return status


def report(orders, transaction, references):
    """The event type and information of a report."""
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence, information.FailedSOPSequence = [], []
    for sop_class, instance in references:
        if instance in orders.get("untold", []):
            continue
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = instance
        reason = orders.get("failed", {}).get(instance)
        if reason is None:
            information.ReferencedSOPSequence.append(item)
        else:
            item.FailureReason = reason
            information.FailedSOPSequence.append(item)
    if not information.FailedSOPSequence:
        del information.FailedSOPSequence
        return 1, information
    return 2, information


def send(association, told, over):
    kind, information = told
    status, _ = association.send_n_event_report(information, kind, StorageCommitmentPushModel, INSTANCE)
    log(event="report", over=over, status=status.get("Status"), transaction=str(information.TransactionUID))


def over_own_association(orders, told):
    ae = AE(orders.get("as", "ARCHIVE"))
    ae.add_requested_context(StorageCommitmentPushModel, SYNTAXES)
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)] if orders.get("roles", True) else None
    association = ae.associate("127.0.0.1", orders["to"], ae_title="GANTRY", ext_neg=roles)
    if not association.is_established:
        log(event="report", over="new", status=None, transaction=str(told[1].TransactionUID))
        return
    if not orders.get("roles", True):
        # pynetdicom itself keeps to the roles that were negotiated.
        for context in association.accepted_contexts:
            context._as_scp = True
    send(association, told, "new")
    association.release()


def asked(event):
    orders = script()
    if orders.get("once") and getattr(event.assoc, "was_asked", False):
        event.assoc.abort()
        return 0x0110, None
    event.assoc.was_asked = True
    information = event.action_information
    transaction = str(information.TransactionUID)
    references = [
        (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in information.ReferencedSOPSequence
    ]
    status, how = orders.get("action", 0x0000), orders.get("commit", "same")
    log(event="action", transaction=transaction, instances=[uid for _, uid in references], status=status)
    time.sleep(orders.get("hold", 0))
    if status != 0x0000:
        return status, None
    told = report(orders, transaction, references)
    association = event.assoc

    def later():
        if how == "later":
            while not (folder / "go").exists():
                time.sleep(0.01)
        if how == "same":
            # N-ACTION-RSP goes first.
            time.sleep(0.1)
            send(association, told, "same")
        else:
            over_own_association(orders, told)

    if how == "early":
        send(association, told, "early")
    elif how != "never":
        threading.Thread(target=later, daemon=True).start()
    return status, None


ae = AE("ARCHIVE")
ae.maximum_associations = 100
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, SYNTAXES)
if script().get("offers", True):
    ae.add_supported_context(StorageCommitmentPushModel, SYNTAXES)
handlers = [(evt.EVT_C_STORE, stored), (evt.EVT_N_ACTION, asked)]
ae.start_server(("127.0.0.1", port), block=True, evt_handlers=handlers)
