use std::io::IsTerminal;

use model::header::Header;

use super::super::format::clean;
use super::super::say;
use super::columns::{Column, cell};

/// A table whose columns are as wide as what the first rows need; those behind are printed as they come.
pub(super) struct Table {
    columns: Vec<Column>,
    /// Rows that are not printed yet; `None` once the widths are settled.
    waiting: Option<Vec<Vec<String>>>,
    widths: Vec<usize>,
    /// Longest cell.
    most: usize,
}

impl Table {
    /// A table with these columns. Cells are cut on a terminal, and whole elsewhere.
    pub(super) fn new(columns: Vec<Column>) -> Self {
        let most = if std::io::stdout().is_terminal() { MOST_ON_A_TERMINAL } else { usize::MAX };
        Self { columns, waiting: Some(Vec::new()), widths: Vec::new(), most }
    }

    pub(super) fn row(&mut self, row: &Header) {
        let cells = self.columns.iter().map(|column| cut(&clean(&cell(row, column)), self.most)).collect();
        match &mut self.waiting {
            Some(waiting) => {
                waiting.push(cells);
                if waiting.len() >= MEASURED {
                    self.settle();
                }
            }
            None => say(&line(&cells, &self.widths)),
        }
    }

    /// Prints what waits. Of nothing there is no table.
    pub(super) fn finish(mut self) {
        self.settle();
    }

    fn settle(&mut self) {
        let Some(waiting) = self.waiting.take().filter(|waiting| !waiting.is_empty()) else { return };
        let head: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        self.widths = widths(&head, &waiting);
        for cells in std::iter::once(&head).chain(&waiting) {
            say(&line(cells, &self.widths));
        }
    }
}

fn widths(head: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = head.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Rows that are looked at for the widths, and so held.
const MEASURED: usize = 200;
const MOST_ON_A_TERMINAL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let texts = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let (head, row) = (texts(["ID", "Name", "UID"]), texts(["P1", "Müller^Jürgen", ""]));
        let widths = widths(&head, std::slice::from_ref(&row));
        assert_eq!(line(&head, &widths), "ID  Name           UID");
        assert_eq!(line(&row, &widths), "P1  Müller^Jürgen");
        assert_eq!((cut("Müller", 6), cut("Müller", 4)), ("Müller".to_owned(), "Mül…".to_owned()));
    }
}
