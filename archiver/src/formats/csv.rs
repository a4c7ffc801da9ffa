//! Comma-separated values (RFC 4180, UTF-8) for spreadsheets. A spreadsheet takes a cell that begins with `=` and the like
//! for a formula, and chat is written by strangers: such a cell gets an apostrophe before it, which shows it as text.

use ::csv::{Terminator, WriterBuilder};

/// The byte order mark, by which some spreadsheets know UTF-8.
pub(crate) const BOM: &str = "\u{feff}";

/// The rows as text.
pub(crate) fn rows<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> Vec<u8> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows of one length are written to memory");
    }
    writer.into_inner().expect("memory is flushed")
}

/// A cell of what somebody wrote.
pub(crate) fn cell(text: &str) -> String {
    // The wide forms too: some spreadsheets fold them.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: [&str; 2]) -> String {
        String::from_utf8(rows([cells.map(cell)])).unwrap()
    }

    #[test]
    fn what_would_be_a_formula_is_text() {
        assert_eq!(line(["=1+1", "@SUM(A1)"]), "'=1+1,'@SUM(A1)\r\n");
        assert_eq!(line(["+82 10", "-1"]), "'+82 10,'-1\r\n");
        assert_eq!(line(["\t=1", "＝1"]), "'\t=1,'＝1\r\n");
        assert_eq!(
            line(["=HYPERLINK(\"http://a\",\"b\")", "a=b"]),
            "\"'=HYPERLINK(\"\"http://a\"\",\"\"b\"\")\",a=b\r\n"
        );
    }

    #[test]
    fn separators_quotes_and_line_breaks_stay_within_their_cell() {
        assert_eq!(line(["a,b", "say \"hi\""]), "\"a,b\",\"say \"\"hi\"\"\"\r\n");
        assert_eq!(line(["안녕 👋", "two\nlines"]), "안녕 👋,\"two\nlines\"\r\n");
    }
}
