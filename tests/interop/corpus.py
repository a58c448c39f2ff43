"""What pydicom and pynetdicom make of public files. Arguments: what to do, and for `store` and `find` the port.
  names  reads paths from standard input, one a line; prints [path, StudyInstanceUID, PatientName] of each,
         both empty where it cannot be read
  store  the same paths; stores them over as few associations as their presentation contexts need; prints the statuses by path
  alike  lines of a name, a path and a path; prints [name, whether each element has the same value in both files],
         which is false where one cannot be read
  find   every study; prints [StudyInstanceUID, PatientName] of each
A name is what pydicom decodes it to, less its padding.
"""
import json
import sys
import time

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context
from pynetdicom.dsutils import split_dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND

# What is in a file goes out as it is.
_config.STORE_SEND_CHUNKED_DATASET = True
# The contexts of one association.
MOST = 128


def name(dataset):
    value = dataset.get("PatientName")
    return "" if value is None else str(value).rstrip("=").strip()


def names():
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            dataset = dcmread(path, force=True, stop_before_pixels=True)
        except OSError:
            dataset = Dataset()
        print(json.dumps([path, str(dataset.get("StudyInstanceUID", "")), name(dataset)]))


def meta(path):
    found, _ = split_dataset(path)
    return str(found.MediaStorageSOPClassUID), str(found.TransferSyntaxUID)


def store(port):
    paths = [line.rstrip("\n") for line in sys.stdin]
    kinds = {path: meta(path) for path in paths}
    every = sorted(set(kinds.values()))
    for start in range(0, len(every), MOST):
        some = every[start : start + MOST]
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in some]
        association = AE("PYNETDICOM").associate("127.0.0.1", port, contexts=contexts, ae_title="GANTRY")
        assert association.is_established, "not established"
        for path in paths:
            if kinds[path] in some:
                print(json.dumps([path, association.send_c_store(path).Status]))
                # Its thread, where it has not gone on since the last answer, would take the next one for itself.
                while association._is_paused:
                    time.sleep(0.001)
        association.release()


def values(path):
    dataset = dcmread(path, force=True)
    return {element.tag: element.value for element in dataset if element.tag.element != 0}


def alike():
    for line in sys.stdin:
        uid, one, other = line.rstrip("\n").split("\t")
        try:
            is_alike = values(one) == values(other)
        except Exception:
            is_alike = False
        print(json.dumps([uid, is_alike]))


def find(port):
    association = AE("PYNETDICOM").associate("127.0.0.1", port, contexts=[build_context(FIND)], ae_title="GANTRY")
    assert association.is_established, "not established"
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.PatientName = "STUDY", "", ""
    for status, row in association.send_c_find(query, FIND):
        if row is not None:
            print(json.dumps([str(row.StudyInstanceUID), name(row)]))
    assert status.Status == 0x0000, status
    association.release()


{"names": names, "alike": alike, "store": store, "find": find}[sys.argv[1]](*map(int, sys.argv[2:]))
