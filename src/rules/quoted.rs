use std::ops::Range;

/// A text as TOML has it, with the way back from each of its bytes to its place in the file.
pub(crate) struct Quoted {
    /// The text without quotes and escapes.
    pub(crate) text: String,
    /// The value in the file, quotes included.
    pub(crate) at: Range<usize>,
    places: Places,
}

enum Places {
    /// The text begins there, and stands in the file as it is.
    Same(usize),
    /// Where each escape ends: in the text, and in the file. What follows stands as it is up to the next.
    Escapes(Vec<(usize, usize)>),
}

impl Quoted {
    /// `at` is where the value stands in `file`, quotes included; `text` is what TOML makes of it.
    pub(crate) fn new(file: &str, at: Range<usize>, text: &str) -> Self {
        let places = places(file, &at, text);
        Self { text: text.to_owned(), at, places }
    }

    /// Where a range of bytes of the text stands in the file.
    pub(crate) fn place(&self, range: &Range<usize>) -> Range<usize> {
        let place = |byte: usize| match &self.places {
            Places::Same(begin) => begin + byte,
            Places::Escapes(ends) => {
                let behind = ends.partition_point(|(in_text, _)| *in_text <= byte);
                match ends.get(behind.saturating_sub(1)) {
                    Some((in_text, in_file)) => in_file + byte.saturating_sub(*in_text),
                    None => self.at.start,
                }
            }
        };
        place(range.start)..place(range.end.max(range.start))
    }
}

fn places(file: &str, at: &Range<usize>, text: &str) -> Places {
    let raw = file.get(at.clone()).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| raw.starts_with(quotes));
    let mut begin = quotes.map_or(0, str::len);
    if begin == 3 {
        let inside = raw.get(begin..).unwrap_or_default();
        begin += ["\r\n", "\n"].into_iter().find(|newline| inside.starts_with(newline)).map_or(0, str::len);
    }
    let inside = raw.get(begin..).unwrap_or_default();
    if inside.starts_with(text) {
        return Places::Same(at.start + begin);
    }
    let mut ends = vec![(0, at.start + begin)];
    let (mut in_text, mut in_raw) = (0, 0);
    while let Some(escape) = inside.get(in_raw..).and_then(|rest| rest.find('\\')) {
        let (made, taken) = escape_lengths(inside.get(in_raw + escape + 1..).unwrap_or_default());
        in_text += escape + made;
        in_raw += escape + 1 + taken;
        ends.push((in_text, at.start + begin + in_raw));
    }
    Places::Escapes(ends)
}

/// Bytes that an escape makes, and bytes that it takes behind its backslash.
fn escape_lengths(behind: &str) -> (usize, usize) {
    let digits = match behind.chars().next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        // At the end of a line: white space up to the next line that has more.
        Some(c) if c.is_whitespace() => return (0, behind.len() - behind.trim_start().len()),
        _ => return (1, 1),
    };
    let number = behind.get(1..=digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    (number.and_then(char::from_u32).map_or(1, char::len_utf8), 1 + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of `word` in the value is that of its first letter in the file.
    fn check(file: &str, word: &str) {
        let table = toml::de::DeTable::parse(file).unwrap();
        let (_, value) = table.get_ref().iter().next().unwrap();
        let quoted = Quoted::new(file, value.span(), value.get_ref().as_str().unwrap());
        let in_text = quoted.text.find(word).unwrap();
        let expected = file.find(word).unwrap();
        assert_eq!(quoted.place(&(in_text..in_text + word.len())), expected..expected + word.len(), "{file}");
    }

    #[test]
    fn every_kind_of_quotes_leads_back_to_the_file() {
        check("a = 'x && WORD'", "WORD");
        check("a = '''x && WORD'''", "WORD");
        check("a = '''\nx &&\r\n  WORD'''", "WORD");
        check("a = '''\r\nx && WORD''' # ", "WORD");
        check(r#"a = "x && WORD""#, "WORD");
        check(r#"a = "x == \"y\" && WORD == \"z\"""#, "WORD");
        check(r#"a = "\u00EB \U0001F600 \x41 \t\\ WORD""#, "WORD");
        check("a = \"\"\"\nx \\\n   WORD\"\"\"", "WORD");
        check("a = \"\"\"x \\  \r\n\r\n \\\"WORD\"\"\"", "WORD");
    }
}
