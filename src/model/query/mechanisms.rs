/// The extended matching mechanisms: what the two sides of a query agree upon beyond the matching of PS3.4 §C.2.2.2.
///
/// C-FIND negotiates them for each SOP class (PS3.4 §C.5.1.1, in this order), QIDO-RS asks for them by parameters (PS3.18
/// §8.3.4). Not negotiated, none is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mechanisms {
    /// Keys of all levels, without the unique keys of the levels above (PS3.4 §C.4.1.2.2): those below match, too.
    pub relational: bool,
    /// A date and its time with ranges of the same form are one range of moments (PS3.4 §C.2.2.2.5).
    pub combined_datetime: bool,
    /// Person names match by sound (PS3.4 §C.2.2.2.1).
    pub fuzzy_names: bool,
    /// Dates and times are those of the time zone that the query states (PS3.4 §C.2.2.2.5).
    pub timezone: bool,
    /// Two quotation marks ask for what has no value (PS3.4 §C.2.2.2.7).
    pub empty_values: bool,
    /// Any one of several values may match (PS3.4 §C.2.2.2.8).
    pub multiple_values: bool,
}

impl Mechanisms {
    /// Every one.
    pub const ALL: Self = Self {
        relational: true,
        combined_datetime: true,
        fuzzy_names: true,
        timezone: true,
        empty_values: true,
        multiple_values: true,
    };

    /// Those of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            relational: self.relational && other.relational,
            combined_datetime: self.combined_datetime && other.combined_datetime,
            fuzzy_names: self.fuzzy_names && other.fuzzy_names,
            timezone: self.timezone && other.timezone,
            empty_values: self.empty_values && other.empty_values,
            multiple_values: self.multiple_values && other.multiple_values,
        }
    }
}
