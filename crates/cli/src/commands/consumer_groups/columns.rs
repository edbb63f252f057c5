//! Columns as Kafka's tool prints them: a blank between, each as wide as its widest cell, but at least of a width of its own.

use std::io::{self, Write};

/// A column: its heading, and how wide it is at least. 0 for the last one leaves it ragged.
pub(super) type Column = (&'static str, usize);

pub(super) fn write_columns(out: &mut impl Write, columns: &[Column], rows: &[Vec<String>]) -> io::Result<()> {
    let last = columns.len() - 1;
    let width = |(index, &(_, width_min)): (usize, &Column)| {
        if index == last {
            return width_min;
        }
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.max().unwrap_or(0).max(width_min)
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(width).collect();
    let headings: Vec<String> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    for row in [&headings].into_iter().chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join(" "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_grow_and_the_last_one_may_be_ragged() {
        let mut out = Vec::new();
        let rows = [vec!["longer".into(), "1".into(), "x".into()]];
        write_columns(&mut out, &[("A", 3), ("B", 3), ("C", 0)], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A      B   C\nlonger 1   x\n");
    }
}
