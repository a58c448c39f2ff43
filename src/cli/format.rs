//! Times, numbers and texts as the commands print them.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A number with its noun.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// For a program.
pub(super) fn rfc3339(at: OffsetDateTime) -> String {
    at.replace_nanosecond(at.microsecond() * 1_000).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// For a reader: `2026-11-24 04:40:12 UTC`.
pub(super) fn moment(at: OffsetDateTime) -> String {
    let shape = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.to_offset(time::UtcOffset::UTC).format(shape).unwrap_or_default()
}

/// How long ago, without the word.
pub(super) fn ago(at: OffsetDateTime, now: OffsetDateTime) -> String {
    span((now - at).whole_milliseconds())
}

/// `in 8 s`, or `now` when that is past.
pub(super) fn until(at: OffsetDateTime, now: OffsetDateTime) -> String {
    match (at - now).whole_milliseconds() {
        ..=0 => "now".to_owned(),
        left => format!("in {}", span(left)),
    }
}

/// A time in its two largest units, in milliseconds below ten seconds.
pub(super) fn span(milliseconds: i128) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, 0) => format!("{milliseconds} ms"),
        (0, 0, 0, seconds @ ..10) => format!("{seconds}.{} s", milliseconds % 1_000 / 100),
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

/// Text of others without what would move a terminal's cursor or split a line.
pub(super) fn clean(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_odd(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// Breaks a text between words where a line of the terminal ends, the first line indented by `first` and the others by `rest`. What is
/// no terminal gets whole lines, to search in.
pub(super) fn wrap(text: &str, first: usize, rest: usize) -> String {
    wrap_at(text, first, rest, width().unwrap_or(usize::MAX))
}

fn wrap_at(text: &str, first: usize, rest: usize, width: usize) -> String {
    let mut lines = vec![" ".repeat(first)];
    let mut used = first;
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if !is_fresh && used + 1 + long > width {
            lines.push(" ".repeat(rest));
            (used, is_fresh) = (rest, true);
        }
        if let Some(line) = lines.last_mut() {
            if !is_fresh {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
        }
        used += long;
        is_fresh = false;
    }
    lines.join("\n")
}

/// Columns of the terminal, within what can be read well.
pub(super) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0).map(|columns| columns.clamp(60, 120))
}

/// A table: the first column to the left, the others to the right, with notes between the lines.
pub(super) struct Grid {
    lines: Vec<Line>,
}

enum Line {
    Cells(Vec<String>),
    Note(String),
}

impl Grid {
    pub(super) fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Self {
        Self { lines: vec![Line::Cells(head.into_iter().map(str::to_owned).collect())] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.lines.push(Line::Cells(cells.into_iter().collect()));
    }

    /// What stands as it is below the last row.
    pub(super) fn note(&mut self, text: String) {
        self.lines.push(Line::Note(text));
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        for line in &self.lines {
            let Line::Cells(cells) = line else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (number, line) in self.lines.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            let cells = match line {
                Line::Cells(cells) => cells,
                Line::Note(text) => {
                    f.write_str(text)?;
                    continue;
                }
            };
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "{cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        for (milliseconds, expected) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (3_700_000, "1 h 1 min"),
            (200_000_000, "2 d 7 h"),
        ] {
            assert_eq!(span(milliseconds), expected);
        }
    }

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d");
        assert_eq!(clean("Müller^Zoë"), "Müller^Zoë");
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(wrap_at("one two three", 2, 4, 10), "  one two\n    three");
        assert_eq!(wrap_at("averylongwordindeed b", 0, 1, 10), "averylongwordindeed\n b");
        assert_eq!(wrap_at("", 2, 4, 10), "  ");
    }

    #[test]
    fn numbers_stand_below_each_other() {
        let mut grid = Grid::new(["name", "n"]);
        grid.row(["a".to_owned(), "10".to_owned()]);
        grid.note("  note".to_owned());
        grid.row(["longer".to_owned(), "7".to_owned()]);
        assert_eq!(grid.to_string(), "name     n\na       10\n  note\nlonger   7");
    }
}
