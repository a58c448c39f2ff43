"""A store SCP that does as it is told. Arguments: port, folder.

`script.json` in the folder is read again for each event; every key may be absent:
  title      the called AE title it wants; others are rejected (PS3.8 §9.3.4: called AE title not recognized)
  syntaxes   the transfer syntaxes it takes (read at the start only), of all storage classes
  status     the status it answers to C-STORE, or "abort"
  statuses   status by SOP Instance UID
  tls        certificate, key and CA of its TLS (read at the start only), which demands a certificate of the caller
  user       the user identity that it wants: type, primary and secondary field; it answers to it where asked
  comment    an Error Comment to go with a status
  matches    it answers every C-FIND with so many studies, until that is cancelled (whether it has C-FIND is read at the start only)
  hang_after so many instances are answered, and those that follow never
Each data set that it answered with success or a warning is kept as it came in a file 1, 2, …; `log` has a line of JSON for each event.
"""
import os
import time

from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from secure import accepting
from told import folder, lock, log, port, script

kept = 0
answered = 0


def keep(data):
    global kept
    with lock:
        kept += 1
        number = kept
    aside = folder / f".{number}"
    aside.write_bytes(data)
    os.rename(aside, folder / str(number))


def requested(event):
    primitive = event.assoc.requestor.primitive
    log(
        event="association",
        calling=primitive.calling_ae_title.strip(),
        called=primitive.called_ae_title.strip(),
        contexts=len(primitive.presentation_context_definition_list),
        max_pdu=primitive.maximum_length_received,
    )
    title = script().get("title")
    if title is not None and primitive.called_ae_title.strip() != title:
        event.assoc.acse.send_reject(0x01, 0x01, 0x07)
        event.assoc.kill()


def identified(event):
    primary, secondary = event.primary_field.decode(), (event.secondary_field or b"").decode()
    log(event="user", kind=event.user_id_type, primary=primary)
    # For user names and passcodes pynetdicom has no response.
    return script().get("user") == [event.user_id_type, primary, secondary], b"welcome"


def stored(event):
    orders = script()
    uid = str(event.request.AffectedSOPInstanceUID)
    status = orders.get("statuses", {}).get(uid, orders.get("status", 0x0000))
    hang_after = orders.get("hang_after")
    if hang_after is not None:
        global answered
        with lock:
            answered += 1
            hangs = answered > hang_after
        if hangs:
            log(event="hang", uid=uid)
            while event.assoc.is_established and event.assoc.dul.is_alive():
                time.sleep(0.05)
    log(event="store", uid=uid, status=status, syntax=str(event.context.transfer_syntax))
    if status == "abort":
        event.assoc.abort()
        return 0x0110
    if status in (0x0000, 0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF:
        keep(event.request.DataSet.getvalue())
    answer = Dataset()
    answer.Status = status
    if "comment" in orders:
        answer.ErrorComment = orders["comment"]
    return answer


def found(event):
    for number in range(script().get("matches", 0)):
        if event.is_cancelled:
            log(event="cancelled", after=number)
            yield 0xFE00, None
            return
        match = Dataset()
        match.QueryRetrieveLevel = "STUDY"
        match.StudyInstanceUID = f"2.25.{number + 1}"
        yield 0xFF00, match


def tls():
    files = script().get("tls")
    return None if files is None else accepting(*files)


ae = AE("SINK")
ae.maximum_associations = 100
ae.add_supported_context(Verification)
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, script().get("syntaxes", AllTransferSyntaxes))
if "matches" in script():
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
handlers = [(evt.EVT_REQUESTED, requested), (evt.EVT_C_STORE, stored), (evt.EVT_C_FIND, found)]
if "user" in script():
    handlers.append((evt.EVT_USER_ID, identified))
ae.start_server(("127.0.0.1", port), block=True, evt_handlers=handlers, ssl_context=tls())
