/// A table in Markdown.
pub(super) struct Table {
    text: String,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        let rule = "|---".repeat(columns.len());
        Self { text: format!("| {} |\n{rule}|\n", columns.join(" | ")) }
    }

    pub(super) fn row(&mut self, cells: &[&str]) {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        self.text += &format!("| {} |\n", cells.join(" | "));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A table of rows that are at hand.
pub(super) fn table<const N: usize>(columns: [&str; N], rows: &[[&str; N]]) -> String {
    let mut table = Table::new(&columns);
    for row in rows {
        table.row(row);
    }
    table.finish()
}
