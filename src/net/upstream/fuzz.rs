use model::query::{Mechanisms, Query, Root, Selection};
use model::scan::scan;
use model::syntax::{Encoding, Form};
use model::{QueryRetrieveLevel, limits};
use pipeline::fuzz_row;

use super::find::row;
use crate::scu::fuzz_failures;

/// Reads anything as what an upstream archive answers, both to a query and to a retrieve: as a row, and as a list of what failed.
///
/// The first byte chooses the encoding (0 implicit, 1 explicit, 2 big endian) and, from 4 on, Study Root; the second says how many
/// times four bytes are the identifier of what is asked, and the rest is the answer. For fuzzing and for tests.
///
/// # Panics
/// When what is made of the answer breaks a contract.
pub fn fuzz_upstream(data: &[u8]) {
    let [choice, length, rest @ ..] = data else { return };
    let encoding = match choice & 3 {
        0 => Encoding::ImplicitLittle,
        1 => Encoding::ExplicitLittle,
        _ => Encoding::ExplicitBig,
    };
    let (form, root) =
        (Form { encoding, deflated: false }, if *choice < 4 { Root::Patient } else { Root::Study });
    let (asked, answer) = rest.split_at((usize::from(*length) * 4).min(rest.len()));
    let Some(answer) = fuzz_failures(form, answer) else { return };
    let Some((attributes, bytes)) = row(&answer) else { return };
    assert!(bytes as u64 <= limits::UPSTREAM_ROW_BYTES);
    let asked = scan(form, asked).ok();
    let query =
        asked.as_ref().map(|asked| Query::from_identifier(asked, root, Mechanisms::ALL).map_err(|_| ()));
    let selection = asked.as_ref().and_then(|asked| Selection::from_identifier(asked, root).ok());
    match query {
        Some(Ok(query)) => fuzz_row(&query, selection.as_ref(), &attributes),
        Some(Err(())) | None => {
            fuzz_row(&Query::new(QueryRetrieveLevel::Image), selection.as_ref(), &attributes)
        }
    }
}

#[cfg(test)]
mod tests {
    use model::element::put;
    use model::{Tag, Vr, vr};

    use super::*;

    const VALUES: [(Tag, &str); 12] = [
        (Tag(0x0008, 0x0005), "ISO_IR 100"),
        (Tag(0x0008, 0x0018), "1.2.3.4.5"),
        (Tag(0x0008, 0x0020), "20260102"),
        (Tag(0x0008, 0x0058), "1.2.3\\1.2.4\\x"),
        (Tag(0x0008, 0x0061), "CT\\SEG"),
        (Tag(0x0010, 0x0010), "Doe^J"),
        (Tag(0x0010, 0x0020), "P1"),
        (Tag(0x0010, 0x0021), "A"),
        (Tag(0x0020, 0x000D), "1.2.3"),
        (Tag(0x0020, 0x000E), "1.2.3.4"),
        (Tag(0x0020, 0x1208), "2"),
        (Tag(0x0020, 0x1209), "2"),
    ];

    /// What is asked at a level, and a row that meets it, from the first byte to the last.
    fn good(choice: u8, level: &str) -> Vec<u8> {
        let encoding = [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig]
            [usize::from(choice & 3)];
        let below = match level {
            "PATIENT" => Tag(0x0010, 0x0021),
            "STUDY" => Tag(0x0020, 0x000D),
            "SERIES" => Tag(0x0020, 0x000E),
            _ => Tag(0x0020, 0x0013),
        };
        let (mut asked, mut row) = (Vec::new(), Vec::new());
        put(&mut asked, encoding, Tag(0x0008, 0x0052), Vr::CS, level.as_bytes());
        let is_image = level == "IMAGE";
        for (tag, value) in VALUES {
            put(&mut row, encoding, tag, vr::of_tag(tag, false), value.as_bytes());
            let is_instance = tag == Tag(0x0008, 0x0018);
            let is_key = tag.0 > 0x0008 && tag <= below && tag.1 < 0x1000;
            if if is_instance { is_image } else { is_key && tag != Tag(0x0010, 0x0010) } {
                put(&mut asked, encoding, tag, vr::of_tag(tag, false), value.as_bytes());
            }
        }
        // A key of four bytes, so that what is asked has a multiple of four.
        while !asked.len().is_multiple_of(4) {
            put(&mut asked, encoding, Tag(0x0020, 0x4000), Vr::LT, b"ab");
        }
        [&[choice, (asked.len() / 4) as u8][..], &asked, &row].concat()
    }

    #[test]
    fn damaged_answers_are_read_without_panic() {
        let mut random = 7_u32;
        for choice in [0, 1, 2, 4, 5] {
            for level in ["PATIENT", "STUDY", "SERIES", "IMAGE"] {
                let good = good(choice, level);
                fuzz_upstream(&good);
                for _ in 0..1_000 {
                    let mut data = good.clone();
                    for _ in 0..3 {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let at = (random >> 8) as usize % data.len();
                        data[at] = random.to_le_bytes()[3];
                    }
                    fuzz_upstream(&data);
                    data.truncate((random >> 8) as usize % data.len());
                    fuzz_upstream(&data);
                }
            }
        }
    }
}
