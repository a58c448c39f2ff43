"""Prints how pydicom decodes the PN, LO and SH values of DICOM files that state a Specific Character Set.

Usage: charsets.py [FOLDER…]   (without a folder: the character set files that pydicom brings along)

One JSON object a line: file, path (tags and item numbers from 1), vr, values; or file and error where pydicom cannot read it.
"""

import json
import pathlib
import sys
import warnings

import pydicom
import pydicom.data
from pydicom.multival import MultiValue

SPECIFIC_CHARACTER_SET = 0x00080005
AFFECTED = ("PN", "LO", "SH")


def main():
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for path in files(sys.argv[1:]):
        try:
            dataset = pydicom.dcmread(path, force=True)
            lines = list(walk(dataset, ""))
            stated = SPECIFIC_CHARACTER_SET in dataset or any(line is None for line in lines)
        except Exception as error:  # whatever a damaged file provokes
            show({"file": str(path), "error": type(error).__name__})
            continue
        if stated:
            for line in lines:
                if line is not None:
                    show({"file": str(path), **line})


def files(folders):
    if not folders:
        return sorted(pydicom.data.get_charset_files("*.dcm"))
    return sorted(path for folder in folders for path in pathlib.Path(folder).rglob("*") if path.is_file())


def walk(dataset, prefix):
    """The values of a data set and its items; None for a Specific Character Set that an item states.

    Private attributes whose VR the file does not tell are left out: pydicom guesses it from lists of its own.
    """
    for tag in sorted(dataset.keys()):
        if tag.group == 0xFFFE:  # stray delimiters, which pydicom takes for elements and then stumbles over
            continue
        told = getattr(dataset.get_item(tag), "VR", None)
        if tag.is_private and not tag.is_private_creator and told in (None, "UN"):
            continue
        element = dataset[tag]
        path = f"{prefix}{tag:08X}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value, 1):
                if SPECIFIC_CHARACTER_SET in item:
                    yield None
                yield from walk(item, f"{path}/{number}/")
        elif element.VR in AFFECTED:
            yield {"path": path, "vr": element.VR, "values": values(element.value)}


def values(value):
    if value is None:
        return []
    many = value if isinstance(value, (MultiValue, list)) else [value]
    return [str(one) for one in many]


def show(line):
    json.dump(line, sys.stdout)
    sys.stdout.write("\n")


main()
