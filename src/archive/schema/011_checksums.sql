-- By which a file is compared with what was received whenever it is sent: CRC-64/NVME of the data set bytes, as a signed number. NULL for
-- what came before there was this column, where it is compared by SHA-256.
ALTER TABLE instance ADD COLUMN crc64 INTEGER;
ALTER TABLE conflict ADD COLUMN crc64 INTEGER;
