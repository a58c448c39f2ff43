use super::sets::{G0, G1, HALFWIDTH};
use super::{Charset, Coding};

impl Charset {
    /// UTF-8, as ISO_IR 192.
    pub(crate) fn utf8() -> Self {
        Self { coding: Coding::Utf8, term: Some("ISO_IR 192") }
    }

    /// How an answer in this set names it in (0008,0005); `None` where there is nothing to name or the set takes code
    /// extensions to write, so that an answer beyond ASCII has to use another.
    pub(crate) fn term(&self) -> Option<&'static str> {
        self.term
    }

    /// The text in this set, without escape sequences; `None` when it does not fit.
    pub(crate) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match self.coding {
            Coding::Utf8 => Some(text.as_bytes().to_vec()),
            Coding::Gb18030 => {
                // GBK has no four-byte forms; a text that needs them goes out as UTF-8.
                let encoding = if self.term == Some("GBK") { encoding_rs::GBK } else { encoding_rs::GB18030 };
                let (bytes, _, unmappable) = encoding.encode(text);
                // Characters of private use are written as those that replaced them.
                let fits = !unmappable && encoding.decode_without_bom_handling(&bytes).0 == text;
                fits.then(|| bytes.into_owned())
            }
            Coding::Iso2022(g0, g1) => text.chars().map(|character| byte_of(g0, g1, character)).collect(),
        }
    }
}

fn byte_of(g0: G0, g1: G1, character: char) -> Option<u8> {
    if character.is_ascii() {
        let differs = g0 == G0::JisRoman && matches!(character, '\\' | '~');
        return (!differs && character != '\x1B').then_some(character as u8); // ASCII is a byte
    }
    let byte = match g1 {
        G1::Latin1 => u8::try_from(u32::from(character)).ok()?,
        G1::Single(encoding) => {
            let mut utf8 = [0; 4];
            let (bytes, _, unmappable) = encoding.encode(character.encode_utf8(&mut utf8));
            match *bytes {
                [byte] if !unmappable => byte,
                _ => return None,
            }
        }
        G1::Katakana if !('\u{FF61}'..='\u{FF9F}').contains(&character) => return None,
        G1::Katakana => u8::try_from(u32::from(character) - HALFWIDTH).ok()?,
        G1::KsX1001 | G1::Gb2312 => return None,
    };
    // What the encodings of our dependency have below A0H is not in the ISO sets.
    (byte >= 0xA0).then_some(byte)
}
