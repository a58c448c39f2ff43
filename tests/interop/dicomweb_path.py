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
rows = [*studies, *client.search_for_series(study), *client.search_for_instances(study, series)]
assert rows[1]["0020000E"]["Value"] == [series] and rows[2]["00080018"]["Value"] == [instance], rows
assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []

metadata = client.retrieve_instance_metadata(study, series, instance)
told = sent.to_json_dict(bulk_data_threshold=10**9)
del told["7FE00010"]
assert {tag: metadata.get(tag) for tag in told} == told, metadata
told_of_series = client.retrieve_series_metadata(study, series)
assert [{tag: one.get(tag) for tag in told} for one in told_of_series] == [told], told_of_series
bulk = metadata["7FE00010"]["BulkDataURI"]
absolute = bulk if bulk.startswith("http") else base.removesuffix("/dicom-web") + bulk
assert b"".join(client.retrieve_bulkdata(absolute)) == sent.PixelData

back = [client.retrieve_instance(study, series, instance), *client.retrieve_study(study), *client.retrieve_series(study, series)]
assert len(back) == 3 and all(one == sent for one in back), back
frames = client.retrieve_instance_frames(study, series, instance, [1])
assert frames[0] == sent.PixelData
print(json.dumps([len(rows), 1 + len(told_of_series), len(back), len(frames), 1]))
