"""Writes objects in transfer syntaxes that few public files have into a folder, encoded by imagecodecs."""

import sys

import imagecodecs
import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, SecondaryCaptureImageStorage

JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL = "1.2.840.10008.1.2.4.112"
HTJ2K = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K_LOSSY = "1.2.840.10008.1.2.4.203"
ENCODERS = {
    JPEG_XL_LOSSLESS: lambda frame: imagecodecs.jpegxl_encode(frame, lossless=True, usecontainer=False),
    JPEG_XL: lambda frame: imagecodecs.jpegxl_encode(frame, distance=1.0, usecontainer=False),
    HTJ2K: lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
    HTJ2K_RPCL: lambda frame: rpcl(imagecodecs.htj2k_encode(frame, reversible=True)),
    HTJ2K_LOSSY: lambda frame: imagecodecs.htj2k_encode(frame, reversible=False),
}


def main():
    folder = sys.argv[1]
    for syntax, encode in ENCODERS.items():
        for name, frames in pictures():
            frames = list(frames)
            write(described(frames, [encode(frame) for frame in frames], syntax), f"{folder}/{syntax}-{name}")


def write(dataset, path):
    """Part by part: pydicom does not write transfer syntaxes that it does not know."""
    body = DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = True, False
    write_dataset(body, dataset)
    with open(path, "wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, dataset.file_meta)
        file.write(body.getvalue())


def pictures():
    """Frames with edges, slopes and noise, of odd sizes."""
    noise = numpy.random.default_rng(1)
    y, x = numpy.mgrid[0:61, 0:83]
    slope = (x * 29 + y * 17 + (x // 9 + y // 7) % 2 * 900) % 4096
    yield "8", [(slope >> 4).astype("u1")]
    yield "12", [(slope + noise.integers(0, 9, slope.shape)).astype("u2") & 0xFFF for _ in range(3)]
    yield "16", [(slope * 15 + noise.integers(0, 999, slope.shape)).astype("u2")]
    yield "colour", [numpy.stack([slope >> 4, slope[::-1] >> 4, slope[:, ::-1] >> 4], axis=-1).astype("u1")]


def rpcl(codestream):
    """Holds the codestream to its progression order, resolution before all (COD, ISO/IEC 15444-1 Table A.16)."""
    assert codestream[codestream.index(b"\xff\x52") + 5] == 2
    return codestream


def described(frames, encoded, syntax):
    frame = frames[0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.2", "2.25.3"
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.NumberOfFrames = len(frames)
    dataset.SamplesPerPixel = 3 if frame.ndim == 3 else 1
    dataset.PhotometricInterpretation = colours(frame, syntax)
    if frame.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = frame.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def colours(frame, syntax):
    if frame.ndim != 3:
        return "MONOCHROME2"
    return {JPEG_XL_LOSSLESS: "RGB", JPEG_XL: "XYB", HTJ2K_LOSSY: "YBR_ICT"}.get(syntax, "YBR_RCT")


main()
