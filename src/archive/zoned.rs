//! Dates and times of the index as they are in the time zone of a query. Pure.

use model::query::{Matching, Zone};
use model::{QueryRetrieveLevel, Tag};

use crate::attribute::{Attribute, Kind, find};
use crate::condition::{Condition, on_column, on_moments};
use crate::start::table;

/// A date and its time, each as SQL.
///
/// What is stored without a time, or by an instance that does not say its offset from UTC, is taken as it stands.
// deviation: PS3.3 §C.12.1.1.8: an offset is that of its SOP Instance; the index has that of the study's first instance which states one.
pub(crate) struct Zoned {
    date: String,
    time: String,
}

impl Zoned {
    /// The pair that an attribute is of; `None` for one that no zone changes, such as a date of birth.
    pub(crate) fn of(attribute: &Attribute, level: QueryRetrieveLevel, zone: Zone) -> Option<Self> {
        let (date, time) = PAIRS.into_iter().find(|(date, time)| [*date, *time].contains(&attribute.tag))?;
        let column = |tag: Tag| {
            let attribute = find(level, tag)?;
            Some(format!("{}.{}", table(attribute, level), attribute.column))
        };
        let arguments = format!(
            "{}, {}, study.timezone_offset_from_utc, {}",
            column(date)?,
            column(time)?,
            zone.minutes()
        );
        Some(Self { date: format!("date_in_zone({arguments})"), time: format!("time_in_zone({arguments})") })
    }

    /// What a key on the attribute asks of the pair.
    pub(crate) fn condition(&self, attribute: &Attribute, key: &Matching) -> Condition {
        let column = if attribute.kind == Kind::Time { &self.time } else { &self.date };
        match key {
            Matching::Moments { from, to, .. } => {
                on_moments(&self.date, &self.time, from.as_ref(), to.as_ref())
            }
            key => on_column(attribute, column, key),
        }
    }
}

/// Dates and times that Timezone Offset From UTC (0008,0201) is about.
const PAIRS: [(Tag, Tag); 4] = [
    (Tag(0x0008, 0x0020), Tag(0x0008, 0x0030)), // Study
    (Tag(0x0008, 0x0021), Tag(0x0008, 0x0031)), // Series
    (Tag(0x0008, 0x0023), Tag(0x0008, 0x0033)), // Content
    (Tag(0x0040, 0x0244), Tag(0x0040, 0x0245)), // Performed Procedure Step Start
];

#[cfg(test)]
mod tests {
    use model::QueryRetrieveLevel::{Image, Series, Study};
    use model::Vr;

    use super::*;

    #[test]
    fn every_pair_is_a_date_and_a_time_of_one_table() {
        let zone = Zone::from_minutes(60).unwrap();
        for (date, time) in PAIRS {
            let level =
                [Study, Series, Image].into_iter().find(|&level| find(level, date).is_some()).unwrap();
            let (date, time) = (find(level, date).unwrap(), find(level, time).unwrap());
            assert_eq!((date.vr, time.vr, date.level), (Vr::DA, Vr::TM, time.level));
            let zoned = Zoned::of(date, level, zone).unwrap();
            assert!(zoned.date.contains(date.column) && zoned.time.contains(time.column));
        }
        let birth = find(Study, Tag(0x0010, 0x0030)).unwrap();
        assert!(Zoned::of(birth, Study, zone).is_none());
    }
}
