"""The main path through dicomweb-client: store, search, metadata, retrieve, frames, bulk data. Arguments: base URL, file.

Prints as JSON how much it searched, and got: rows, metadata, instances, frames, bulk data, all with the values of the file.
"""
import json
import sys

from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

base, path = sys.argv[1], sys.argv[2]
client = DICOMwebClient(base)
sent = dcmread(path)
answer = client.store_instances([sent])
assert len(answer.ReferencedSOPSequence) == 1 and "FailedSOPSequence" not in answer, answer

study, series, instance = sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID
studies = client.search_for_studies(search_filters={"PatientID": sent.PatientID})
assert [row["0020000D"]["Value"][0] for row in studies] == [study], studies
assert len(client.search_for_series(study)) == 1
assert len(client.search_for_instances(study, series)) == 1
assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []

metadata = client.retrieve_instance_metadata(study, series, instance)
told = sent.to_json_dict(bulk_data_threshold=10**9)
del told["7FE00010"]
assert {tag: metadata.get(tag) for tag in told} == told, metadata
assert len(client.retrieve_series_metadata(study, series)) == 1
bulk = metadata["7FE00010"]["BulkDataURI"]
absolute = bulk if bulk.startswith("http") else base.removesuffix("/dicom-web") + bulk
assert b"".join(client.retrieve_bulkdata(absolute)) == sent.PixelData

back = client.retrieve_instance(study, series, instance)
assert back.PixelData == sent.PixelData and back.PatientName == sent.PatientName
assert len(list(client.retrieve_study(study))) == 1
assert len(list(client.retrieve_series(study, series))) == 1
frames = client.retrieve_instance_frames(study, series, instance, [1])
assert frames[0] == sent.PixelData
print(json.dumps([3, 2, 3, 1, 1]))
