/// The bytes between two parts, or before the first: the delimiter and the fields of the part that follows.
///
/// `fields` are names and values as they are to be sent.
///
/// RFC 2046 §5.1.1; PS3.18 §8.7.1.
pub fn part_head(boundary: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    // A first delimiter needs no line break before it, but may have one: it ends an empty preamble.
    let mut out = format!("\r\n--{boundary}\r\n");
    for (name, value) in fields {
        out.push_str(name);
        out.push_str(": ");
        // A line break in a value would begin another field.
        out.extend(value.chars().filter(|character| !character.is_control()));
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// The bytes after the last part.
pub fn close(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_delimiters_and_fields() {
        let head =
            part_head("b", &[("Content-Type", "application/dicom"), ("Content-Location", "/a\r\nX: y")]);
        assert_eq!(head, b"\r\n--b\r\nContent-Type: application/dicom\r\nContent-Location: /aX: y\r\n\r\n");
        assert_eq!(close("b"), b"\r\n--b--\r\n");
    }
}
