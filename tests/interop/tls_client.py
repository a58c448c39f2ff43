"""Echo and store by TLS through pynetdicom. Arguments: port, file, CA, certificate, key."""
import sys

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from secure import calling

port, path, ca, certificate, key = int(sys.argv[1]), *sys.argv[2:6]
instance = dcmread(path)
ae = AE("CT1")
ae.add_requested_context(Verification)
ae.add_requested_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
association = ae.associate("127.0.0.1", port, ae_title="GANTRY", tls_args=(calling(certificate, key, ca), "localhost"))
assert association.is_established, "not established"
assert association.send_c_echo().Status == 0x0000
assert association.send_c_store(instance).Status == 0x0000
association.release()
assert association.is_released
print("ok")
