"""Which abstract syntaxes a server accepts, and which transfer syntaxes of storage. Argument: port; abstract syntaxes on stdin.

Beside those of stdin all SOP classes that pydicom knows are proposed. Prints `class UID` for each accepted one, `known UID` for each
that was proposed, and so `proposed UID` and `syntax UID` for the transfer syntaxes of CT Image Storage.
"""
import sys

from pydicom.uid import AllTransferSyntaxes, UID_dictionary
from pynetdicom import AE

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
CONTEXTS = 128


def accepted(port, contexts):
    """The (abstract syntax, transfer syntax) pairs of contexts that are accepted."""
    taken = []
    for first in range(0, len(contexts), CONTEXTS):
        ae = AE("PYNETDICOM")
        for abstract, transfer in contexts[first : first + CONTEXTS]:
            ae.add_requested_context(abstract, transfer)
        association = ae.associate("127.0.0.1", port, ae_title="GANTRY")
        assert association.is_established, "not established"
        for context in association.accepted_contexts:
            taken.append((context.abstract_syntax, context.transfer_syntax[0]))
        association.release()
    return taken


port = int(sys.argv[1])
classes = {uid for uid, entry in UID_dictionary.items() if entry[1] in ("SOP Class", "Meta SOP Class")}
classes |= set(sys.stdin.read().split())
for uid in sorted(classes):
    print("known", uid)
for uid, _ in accepted(port, [(uid, IMPLICIT) for uid in sorted(classes)]):
    print("class", uid)
for uid in sorted({str(uid) for uid in AllTransferSyntaxes}):
    print("proposed", uid)
    for _, transfer in accepted(port, [(CT, uid)]):
        print("syntax", transfer)
