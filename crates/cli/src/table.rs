//! Tables of text in the style of `kubectl get`: upper-case headings, columns three spaces apart, no
//! frames. Refuses to know what stands in them.

/// A table of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows.
    #[must_use]
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self::with_headings(headings.map(str::to_owned).to_vec())
    }

    /// A table whose number of columns is known only when the program runs.
    #[must_use]
    pub fn with_headings(headings: Vec<String>) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row. Cells beyond the headings are dropped, missing ones stay empty.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.headings.len(), String::new());
        self.rows.push(row.iter().map(|cell| one_line(cell)).collect());
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, without spaces at their ends; the first holds the headings.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        std::iter::once(&self.headings).chain(&self.rows).map(|row| line(row, &widths)).collect()
    }

    /// The lines without the headings, aligned as if they were there.
    #[must_use]
    pub fn body(&self) -> Vec<String> {
        self.lines().split_off(1)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| width(heading)).collect();
        for row in &self.rows {
            for (cell, widest) in row.iter().zip(&mut widths) {
                *widest = (*widest).max(width(cell));
            }
        }
        widths
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Control characters would break the alignment, or steer the terminal.
fn one_line(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, widest) in row.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', widest - width(cell) + 3));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_gone() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.push(vec!["counter".into(), "RUN\u{1b}NING".into()]);
        table.push(vec!["é".into()]);
        assert_eq!(table.lines(), ["NAME      STATE", "counter   RUN NING", "é"]);
        assert_eq!(table.body().len(), 2);
    }
}
