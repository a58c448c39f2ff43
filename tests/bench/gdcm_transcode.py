"""Writes the DICOM file ARGV[1] to ARGV[2] in the transfer syntax ARGV[3] by GDCM, and prints the seconds that it took."""

import sys
import time

import gdcm

SYNTAXES = {
    "1.2.840.10008.1.2.1": gdcm.TransferSyntax.ExplicitVRLittleEndian,
    "1.2.840.10008.1.2.5": gdcm.TransferSyntax.RLELossless,
    "1.2.840.10008.1.2.4.80": gdcm.TransferSyntax.JPEGLSLossless,
    "1.2.840.10008.1.2.4.90": gdcm.TransferSyntax.JPEG2000Lossless,
}

source, target, syntax = sys.argv[1:]
began = time.monotonic()
reader = gdcm.ImageReader()
reader.SetFileName(source)
assert reader.Read(), "GDCM cannot read it"
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[syntax]))
change.SetInput(reader.GetImage())
assert change.Change(), "GDCM cannot transcode it"
writer = gdcm.ImageWriter()
writer.SetFileName(target)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write(), "GDCM cannot write it"
print(time.monotonic() - began)
