//! SOP Class Extended Negotiation of the query and retrieve SOP classes: the bytes of PS3.4 Tables C.5-1 to C.5-4.

use model::query::Mechanisms;

/// What a requestor asks for. Bytes that are missing ask for nothing.
///
/// PS3.4 Table C.5-1.
pub fn asked(information: &[u8]) -> Mechanisms {
    let is_asked = |at: usize| information.get(at) == Some(&1);
    Mechanisms {
        relational: is_asked(RELATIONAL),
        combined_datetime: is_asked(COMBINED_DATETIME),
        fuzzy_names: is_asked(FUZZY_NAMES),
        timezone: is_asked(TIMEZONE),
        empty_values: is_asked(EMPTY_VALUES),
        multiple_values: is_asked(MULTIPLE_VALUES),
    }
}

/// The question that asks for these, as short as it can be; for none of them it is empty.
///
/// PS3.4 Table C.5-1; its first byte is also that of C-MOVE and C-GET, Tables C.5-3 and C.5-4.
pub fn question(wanted: Mechanisms) -> Vec<u8> {
    let mut bytes = answer(&[1; FIELDS], wanted);
    bytes.truncate(bytes.iter().rposition(|byte| *byte == 1).map_or(0, |last| last + 1));
    bytes
}

/// What was asked for and is not granted, in the words of the standard.
pub fn refused(wanted: Mechanisms, granted: Mechanisms) -> impl Iterator<Item = &'static str> {
    [
        ("relational queries or retrieval", wanted.relational, granted.relational),
        ("combined date-time matching", wanted.combined_datetime, granted.combined_datetime),
        ("fuzzy semantic matching of person names", wanted.fuzzy_names, granted.fuzzy_names),
        ("timezone query adjustment", wanted.timezone, granted.timezone),
        ("empty value matching", wanted.empty_values, granted.empty_values),
        ("multiple value matching", wanted.multiple_values, granted.multiple_values),
    ]
    .into_iter()
    .filter(|(_, is_wanted, is_granted)| *is_wanted && !is_granted)
    .map(|(words, ..)| words)
}

/// The answer to what was asked for: as many bytes as were sent, at most those of the standard, with 1 for what is granted.
///
/// Query/Retrieve View (byte 5) is never granted. PS3.4 §C.5.1.1.2, Table C.5-2.
pub fn answer(information: &[u8], granted: Mechanisms) -> Vec<u8> {
    let granted = granted.and(asked(information));
    let mut bytes = [0; FIELDS];
    for (at, is_granted) in [
        (RELATIONAL, granted.relational),
        (COMBINED_DATETIME, granted.combined_datetime),
        (FUZZY_NAMES, granted.fuzzy_names),
        (TIMEZONE, granted.timezone),
        (EMPTY_VALUES, granted.empty_values),
        (MULTIPLE_VALUES, granted.multiple_values),
    ] {
        if let Some(byte) = bytes.get_mut(at) {
            *byte = u8::from(is_granted);
        }
    }
    bytes.into_iter().take(information.len()).collect()
}

/// The answer to what was asked for about C-MOVE or C-GET: relational retrieval is granted, Query/Retrieve View (byte 2) is not.
///
/// PS3.4 §C.5.2.1.2, §C.5.3.1.2.
pub fn answer_of_retrieve(information: &[u8]) -> Vec<u8> {
    let relational = u8::from(information.first() == Some(&1));
    [relational, 0].into_iter().take(information.len()).collect()
}

/// Answers anything: as long as what was asked at most, and nothing that was not asked for.
///
/// # Panics
/// When an answer is another.
pub fn fuzz_mechanisms(data: &[u8]) {
    let all = Mechanisms::ALL;
    let granted = answer(data, all);
    assert!(granted.len() <= data.len().min(FIELDS), "an answer is no longer than the question");
    assert_eq!(asked(&granted), asked(data), "what is asked for is granted");
    assert!(asked(&answer(data, Mechanisms::default())) == Mechanisms::default(), "nothing else is");
    assert!(answer_of_retrieve(data).len() <= data.len().min(2), "an answer is no longer than the question");
}

// Places of the fields, from 0; 4 is Query/Retrieve View.
const RELATIONAL: usize = 0;
const COMBINED_DATETIME: usize = 1;
const FUZZY_NAMES: usize = 2;
const TIMEZONE: usize = 3;
const EMPTY_VALUES: usize = 5;
const MULTIPLE_VALUES: usize = 6;
const FIELDS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Mechanisms = Mechanisms::ALL;

    #[test]
    fn an_answer_is_as_long_as_what_was_asked_and_grants_nothing_else() {
        let some = Mechanisms { fuzzy_names: false, empty_values: false, ..ALL };
        for (information, of_all, of_some) in [
            (&[][..], &[][..], &[][..]),
            (&[1], &[1], &[1]),
            (&[0], &[0], &[0]),
            (&[2], &[0], &[0]),
            (&[1, 1, 1], &[1, 1, 1], &[1, 1, 0]),
            (&[0, 1, 0, 1, 1], &[0, 1, 0, 1, 0], &[0, 1, 0, 1, 0]),
            (&[1, 1, 1, 1, 1, 1, 1, 1, 1], &[1, 1, 1, 1, 0, 1, 1], &[1, 1, 0, 1, 0, 0, 1]),
        ] {
            assert_eq!(answer(information, ALL), of_all, "{information:?}");
            assert_eq!(answer(information, some), of_some, "{information:?}");
            assert_eq!(answer(information, Mechanisms::default()), vec![0; of_all.len()], "{information:?}");
        }
    }

    #[test]
    fn a_question_is_as_short_as_it_can_be_and_what_is_refused_is_told() {
        let none = Mechanisms::default();
        let fuzzy = Mechanisms { fuzzy_names: true, ..none };
        for (wanted, expected) in [
            (none, &[][..]),
            (Mechanisms { relational: true, ..none }, &[1]),
            (fuzzy, &[0, 0, 1]),
            (Mechanisms { empty_values: true, ..fuzzy }, &[0, 0, 1, 0, 0, 1]),
            (ALL, &[1, 1, 1, 1, 0, 1, 1]),
        ] {
            assert_eq!(question(wanted), expected, "{wanted:?}");
            assert_eq!(refused(wanted, asked(&question(wanted))).count(), 0);
        }
        let told: Vec<_> = refused(fuzzy, Mechanisms { relational: true, ..none }).collect();
        assert_eq!(told, ["fuzzy semantic matching of person names"]);
    }

    #[test]
    fn relational_retrieval_is_granted() {
        for (information, expected) in
            [(&[][..], &[][..]), (&[1], &[1]), (&[0], &[0]), (&[1, 1], &[1, 0]), (&[1, 1, 1], &[1, 0])]
        {
            assert_eq!(answer_of_retrieve(information), expected, "{information:?}");
        }
    }

    #[test]
    fn each_byte_is_the_mechanism_of_the_standard() {
        let none = Mechanisms::default();
        for (bytes, expected) in [
            (&[1][..], Mechanisms { relational: true, ..none }),
            (&[0, 1], Mechanisms { combined_datetime: true, ..none }),
            (&[0, 0, 1], Mechanisms { fuzzy_names: true, ..none }),
            (&[0, 0, 0, 1], Mechanisms { timezone: true, ..none }),
            (&[0, 0, 0, 0, 1], none),
            (&[0, 0, 0, 0, 0, 1], Mechanisms { empty_values: true, ..none }),
            (&[0, 0, 0, 0, 0, 0, 1], Mechanisms { multiple_values: true, ..none }),
            (&[1, 1, 1, 1, 1, 1, 1, 1], ALL),
        ] {
            assert_eq!(asked(bytes), expected, "{bytes:?}");
        }
    }
}
