//! The sub-expressions of a rule, each with its value, and the values of what it refers to beside or below it.

use rules::Step;

use super::super::format::{clean, wrap};
use super::text::{Page, Tone};

/// The steps as lines that begin with a line end each, at this indent.
pub(super) fn steps(page: Page, steps: &[Step], indent: usize) -> String {
    let whole = steps.first().filter(|first| is_composite(first, steps.get(1)));
    let column = column(page, steps, indent);
    let mut text = String::new();
    if let Some(whole) = whole {
        let when = format!("when {}", plain(&whole.text));
        text += &format!("\n{}", page.tone(&wrap(&when, indent, indent + 5), Tone::Quiet));
    }
    // What the rule as a whole came to is its verdict.
    let rest = steps.get(usize::from(whole.is_some())..).unwrap_or_default();
    let base = usize::from(whole.is_some());
    for (at, step) in rest.iter().enumerate() {
        let deeper = indent + 2 * step.depth.saturating_sub(base);
        text += &line(page, step, is_composite(step, rest.get(at + 1)), deeper, column);
    }
    text
}

fn line(page: Page, step: &Step, is_composite: bool, indent: usize, column: usize) -> String {
    let (word, tone) = match step.value {
        Some(true) => ("true", Tone::Good),
        Some(false) => ("false", Tone::Bad),
        None => ("-", Tone::Quiet),
    };
    let start = indent + VALUE;
    let said = wrap(&plain(&step.text), start, start + 2);
    let said = said.trim_start().to_owned();
    let mut text = format!("\n{}{}{said}", " ".repeat(indent), page.tone(&format!("{word:VALUE$}"), tone));
    if is_composite {
        return text;
    }
    let references: Vec<String> =
        step.references.iter().map(|(name, value)| format!("{} = {}", plain(name), clean(value))).collect();
    let beside = references.join(", ");
    let used = start + said.chars().count();
    if !said.contains('\n') && used <= column && column + 2 + beside.chars().count() <= page.width {
        if !beside.is_empty() {
            text += &format!("{}  {beside}", " ".repeat(column - used));
        }
        return text;
    }
    for reference in references {
        text += &format!("\n{}", wrap(&reference, start + 2, start + 4));
    }
    text
}

/// Where the values stand: behind the longest sub-expression that leaves them half of the page.
fn column(page: Page, steps: &[Step], indent: usize) -> usize {
    let ends = steps
        .iter()
        .map(|step| indent + 2 * step.depth.saturating_sub(1) + VALUE + plain(&step.text).chars().count());
    ends.filter(|end| *end <= page.width * 3 / 5).max().unwrap_or(0)
}

/// Whether its operands follow, which say all that it refers to.
fn is_composite(step: &Step, next: Option<&Step>) -> bool {
    next.is_some_and(|next| next.depth > step.depth)
}

/// On one line.
fn plain(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Columns of `true`, `false` and the space behind.
const VALUE: usize = 7;
