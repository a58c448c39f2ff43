"""Makes testdata/study: a small CT study of an invented patient, the same bytes at each run.

    .peers/venv/bin/python testdata/make_study.py
"""

from pathlib import Path

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

STUDY = "2.25.7412960331"
SIDE = 64
SERIES = [(1, "Scout", 1), (2, "Axial 5 mm", 3)]


def pixels(height: float) -> bytes:
    """A slice through a ball of water with a bony core, in air."""
    axis = numpy.linspace(-1, 1, SIDE)
    distance = numpy.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2 + height**2)
    values = numpy.where(distance < 0.3, 700, numpy.where(distance < 0.8, 0, -1000))
    return (values + 1024).astype("<u2").tobytes()


def instance(series: int, description: str, number: int, height: float) -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"{STUDY}.{series}.{number}"
    data.StudyDate = data.SeriesDate = data.ContentDate = "20260314"
    data.StudyTime = data.SeriesTime = data.ContentTime = "0926"
    data.AccessionNumber = "A-1001"
    data.Modality = "CT"
    data.ReferringPhysicianName = "Example^Erika"
    data.StudyDescription = "Phantom"
    data.SeriesDescription = description
    data.PatientName = "Muster^Zoë"
    data.PatientID = "GANTRY-1"
    data.PatientBirthDate = "19700101"
    data.PatientSex = "F"
    data.SliceThickness = "5"
    data.StudyInstanceUID = STUDY
    data.SeriesInstanceUID = f"{STUDY}.{series}"
    data.StudyID = "1"
    data.SeriesNumber = series
    data.InstanceNumber = number
    data.ImagePositionPatient = [-32, -32, round(height * 32, 3)]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows = data.Columns = SIDE
    data.PixelSpacing = [1, 1]
    data.BitsAllocated = 16
    data.BitsStored = 12
    data.HighBit = 11
    data.PixelRepresentation = 0
    data.WindowCenter = "40"
    data.WindowWidth = "400"
    data.RescaleIntercept = "-1024"
    data.RescaleSlope = "1"
    data.add_new("PixelData", "OW", pixels(height))
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data


def main() -> None:
    for series, description, count in SERIES:
        folder = Path(__file__).parent / "study" / f"series-{series}"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            height = (number - (count + 1) / 2) * 0.3
            path = folder / f"{number}.dcm"
            instance(series, description, number, height).save_as(path, enforce_file_format=True)


main()
