//! Tables as Kafka's tools print them: columns as wide as their widest cell, a tab behind each.

use std::io::{self, Write};

pub(crate) fn write_table(out: &mut impl Write, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([headers[column].len()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            write!(out, "{cell:<width$}\t")?;
        }
        writeln!(out)
    };
    line(&mut headers.iter().copied())?;
    rows.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_and_end_in_a_tab() {
        let mut out = Vec::new();
        write_table(&mut out, &["NodeId", "Lag"], &[vec!["1".into(), "10000".into()]]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NodeId\tLag  \t\n1     \t10000\t\n");
    }
}
