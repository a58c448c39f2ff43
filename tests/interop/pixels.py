"""Compares the pixels of objects with those of their transcoded copies, decoded by libraries that are not Gantry's.

Reads a line for each pair: original, tab, copy. Writes the original and a verdict: `equal`, `within N` (the largest difference), `unlike`
or `not decoded`, and the decoder of the original. Copies are read by pydicom, which decodes compressed ones by pylibjpeg and CharLS.
"""

import subprocess
import sys
import tempfile
import warnings
import zlib

import imagecodecs
import numpy
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

ENCAPSULATED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
JPEG_XL = ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112")


def main():
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        original, copy = line.rstrip("\n").split("\t")
        print(original, verdict(original, copy), sep="\t", flush=True)


def verdict(original, copy):
    for name, decode in (("pydicom", by_pydicom), ("DCMTK", by_dcmtk), ("imagecodecs", by_frame)):
        try:
            expected = decode(original)
            break
        except Exception:
            continue
    else:
        return "not decoded"
    try:
        found = by_pydicom(copy)
    except Exception as error:
        return f"unlike: {type(error).__name__} in the copy"
    if expected.shape != found.shape:
        return f"unlike: {expected.shape} and {found.shape}"
    if numpy.array_equal(expected, found, equal_nan=expected.dtype.kind == "f"):
        return f"equal ({name})"
    return f"within {numpy.abs(expected.astype('int64') - found.astype('int64')).max()} ({name})"


def by_pydicom(path):
    dataset = pydicom.dcmread(path, force=True)
    return stored_bits(dataset, pixel_array(dataset))


def by_dcmtk(path):
    with tempfile.TemporaryDirectory() as folder:
        decompressed = f"{folder}/decompressed"
        subprocess.run(["dcmdjpeg", path, decompressed], check=True, capture_output=True)
        return by_pydicom(decompressed)


def by_frame(path):
    dataset = pydicom.dcmread(path, force=True)
    syntax = dataset.file_meta.TransferSyntaxUID
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    if syntax in JPEG_XL:
        return numpy.squeeze(numpy.stack([imagecodecs.jpegxl_decode(frame) for frame in frames]))
    if syntax == ENCAPSULATED:
        bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
        native = b"".join(frame[: (bits + 7) // 8] for frame in frames)
    elif syntax == DEFLATED_FRAMES:
        native = b"".join(zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame) for frame in frames)
    else:
        raise ValueError(syntax)
    dataset.PixelData = native + b"\0" * (len(native) % 2)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return stored_bits(dataset, pixel_array(dataset))


def stored_bits(dataset, array):
    """The bits that are stored, less what overlays or padding leave above them."""
    array = array.astype(array.dtype.newbyteorder("="))
    unused = dataset.get("BitsAllocated", 0) - dataset.get("BitsStored", 0)
    if array.dtype.kind not in "ui" or dataset.BitsAllocated < 8 or unused <= 0:
        return array
    width = array.dtype.itemsize
    high = (array.view(f"u{width}") << unused).astype(f"u{width}")
    return (high.view(f"i{width}") if dataset.PixelRepresentation else high) >> unused


main()
