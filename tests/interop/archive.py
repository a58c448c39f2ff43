"""An archive that is asked by C-FIND, C-MOVE and C-GET. Arguments: port, folder of DICOM files, port of the move destination VIEWER,
and ways in which it is odd:

  pending    a retrieve is pending for ever, and nothing comes
  partial    rows have UIDs only, and the status FF01H
  coarse     a query for instances fails
  endless    a query for studies has matches of 50 KiB without end

It matches UIDs only, and no lists of them; tells no SOP classes in a study, and counts in Pending responses as pynetdicom does.
"""
import pathlib
import sys
import time

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_GET
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

port, folder, viewer, ways = int(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
instances = [dcmread(path) for path in sorted(folder.iterdir())]
UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def matching(identifier):
    keys = [key for key in UNIQUE.values() if identifier.get(key)]
    return [one for one in instances if all(one.get(key) == identifier.get(key) for key in keys)]


def find(event):
    identifier = event.identifier
    unique = UNIQUE[identifier.QueryRetrieveLevel]
    if "coarse" in ways and unique == "SOPInstanceUID":
        yield 0xC000, None
        return
    if "endless" in ways and unique == "StudyInstanceUID" and not identifier.StudyInstanceUID:
        yield from studies(event)
        return
    seen = set()
    for one in matching(identifier):
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if one.get(unique) in seen:
            continue
        seen.add(one.get(unique))
        row = Dataset()
        row.QueryRetrieveLevel = identifier.QueryRetrieveLevel
        for element in identifier:
            if element.keyword in ("QueryRetrieveLevel", "SOPClassesInStudy", "SpecificCharacterSet"):
                continue
            if "partial" in ways and element.VR != "UI":
                continue
            row.add_new(element.tag, element.VR, one.get(element.keyword, ""))
        yield 0xFF01 if "partial" in ways else 0xFF00, row


def studies(event):
    for number in range(1_000_000):
        if event.is_cancelled:
            yield 0xFE00, None
            return
        row = Dataset()
        row.QueryRetrieveLevel = "STUDY"
        row.StudyInstanceUID = f"2.25.9.{number}"
        row.PatientComments = "x" * (50 << 10)
        yield 0xFF00, row


def wait(event):
    response = C_GET()
    response.MessageIDBeingRespondedTo = event.request.MessageID
    response.AffectedSOPClassUID = event.request.AffectedSOPClassUID
    response.Status = 0xFF00
    response.NumberOfRemainingSuboperations = 3
    while event.assoc.is_established:
        event.assoc.dimse.send_msg(response, event.context.context_id)
        time.sleep(0.1)


def send(event):
    if "pending" in ways:
        wait(event)
    found = matching(event.identifier)
    yield len(found)
    for one in found:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        yield 0xFF00, one


def move(event):
    if event.move_destination != "VIEWER":
        yield None, None
        return
    yield "127.0.0.1", viewer
    yield from send(event)


ae = AE("ARCHIVE")
for model in (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
):
    ae.add_supported_context(model)
for context in AllStoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
ae.requested_contexts = [context for context in AllStoragePresentationContexts if "CT Image" in context.abstract_syntax.name]
handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_MOVE, move), (evt.EVT_C_GET, send)]
ae.start_server(("127.0.0.1", port), evt_handlers=handlers)
