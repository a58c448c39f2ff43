"""Asks for an association and prints what came of it as JSON. Arguments: port, what to ask for as JSON; every key may be absent:
  calling  the calling AE title
  user     user identity: type, primary field, secondary field
  window   asynchronous operations: invoked, performed
  service  the service class that a private SOP class is said to belong to, by common extended negotiation
"""
import json
import sys

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import Verification

PRIVATE = "1.3.12.2.1107.5.9.1"
port, asked = int(sys.argv[1]), json.loads(sys.argv[2])
items = []
if "user" in asked:
    user = UserIdentityNegotiation()
    user.user_identity_type, primary, secondary = asked["user"]
    user.primary_field = primary.encode()
    user.secondary_field = secondary.encode()
    user.positive_response_requested = True
    items.append(user)
if "window" in asked:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = asked["window"]
    items.append(window)
if "service" in asked:
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = PRIVATE
    common.service_class_uid = asked["service"]
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.7"]
    items.append(common)
ae = AE(asked.get("calling", "PYNETDICOM"))
ae.add_requested_context(Verification)
ae.add_requested_context(PRIVATE)
told = {}


def received(event):
    # What came, and not `is_rejected`, which pynetdicom sometimes leaves unset when the rejection comes at once.
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        told["rejected"] = [event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic]


handlers = [(evt.EVT_PDU_RECV, received)]
association = ae.associate("127.0.0.1", port, ae_title="GANTRY", ext_neg=items, evt_handlers=handlers)
answer = association.acceptor.primitive
told["established"] = association.is_established
if association.is_established:
    told["echo"] = association.send_c_echo().Status
    told["accepted"] = [str(context.abstract_syntax) for context in association.accepted_contexts]
    for item in answer.user_information:
        if isinstance(item, UserIdentityNegotiation):
            told["response"] = (item.server_response or b"").decode()
        if isinstance(item, AsynchronousOperationsWindowNegotiation):
            told["window"] = [item.maximum_number_operations_invoked, item.maximum_number_operations_performed]
    association.release()
print(json.dumps(told))
