//! CSV for spreadsheets, separated by commas (RFC 4180, UTF-8) or by semicolons. Spreadsheets take a cell that begins
//! with `=` and the like for a formula, and strangers write the chat. The separator that a spreadsheet expects depends
//! on its region, so it may split a line within one of our cells. An apostrophe, which marks text, therefore goes
//! before anything that could begin a formula after any separator.

use ::csv::{Terminator, WriterBuilder};

/// The byte order mark, by which some spreadsheets detect UTF-8.
pub(crate) const BOM: &str = "\u{feff}";

/// The rows as text, with that separator.
pub(crate) fn rows<const N: usize>(separator: u8, rows: impl IntoIterator<Item = [String; N]>) -> Vec<u8> {
    let mut writer = WriterBuilder::new();
    let mut writer = writer.terminator(Terminator::CRLF).delimiter(separator).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows of one length are written to memory");
    }
    writer.into_inner().expect("memory is flushed")
}

/// A cell with text from outside.
pub(crate) fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 1);
    let mut is_start = true;
    for char in text.chars() {
        if is_start && begins_formula(char) {
            cell.push('\'');
        }
        cell.push(char);
        is_start = separates(char) || is_start && is_skipped(char);
    }
    cell
}

/// The full-width forms too: some spreadsheets fold them.
fn begins_formula(char: char) -> bool {
    matches!(char, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

/// The list separators of all regions, common substitutes, and anything that a program may take for a line break.
fn separates(char: char) -> bool {
    matches!(char, ',' | ';' | '|' | '，' | '；' | '｜' | '،' | '؛' | '、' | '\u{2028}' | '\u{2029}')
        || char.is_control()
}

/// Characters that a program may skip at the start of a cell: spaces, quotes, and invisible characters.
fn is_skipped(char: char) -> bool {
    char.is_whitespace() || matches!(char, '"' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use ::csv::ReaderBuilder;
    use proptest::prelude::*;

    use super::*;

    const SEPARATORS: [u8; 2] = [b',', b';'];

    fn line(cells: [&str; 2]) -> String {
        String::from_utf8(rows(b',', [cells.map(cell)])).unwrap()
    }

    /// The cells as a program reads them that splits at that byte, with or without support for quotes.
    fn read(file: &[u8], delimiter: u8, quoting: bool) -> Vec<Vec<String>> {
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting);
        let records = reader.from_reader(file).into_records();
        records.map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_cell_that_looks_like_a_formula_is_text() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+82 10", "'+82 10"),
            ("-1", "'-1"),
            ("\t=1", "\t'=1"),
            ("＝1", "'＝1"),
            ("x;=cmd|' /C calc'!A0;y", "x;'=cmd|' /C calc'!A0;y"),
            ("x; =1", "x; '=1"),
            ("x;\"=1", "x;\"'=1"),
            ("x,-1|+1\t@a\n=2", "x,'-1|'+1\t'@a\n'=2"),
            ("x；=1؛=2", "x；'=1؛'=2"),
            ("\u{feff}=1", "\u{feff}'=1"),
            ("a=b - c; d=e", "a=b - c; d=e"),
            (":-) 1-0", ":-) 1-0"),
            ("'=quoted already", "'=quoted already"),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn separators_quotes_and_line_breaks_stay_within_their_cell() {
        assert_eq!(line(["a,b", "say \"hi\""]), "\"a,b\",\"say \"\"hi\"\"\"\r\n");
        assert_eq!(line(["안녕 👋", "two\nlines"]), "안녕 👋,\"two\nlines\"\r\n");
    }

    /// Any text, biased to text that means something to a spreadsheet.
    fn anything() -> impl Strategy<Value = String> {
        let meaningful = [
            "=",
            "+",
            "-",
            "@",
            "＝",
            "＋",
            "－",
            "＠",
            ",",
            ";",
            "|",
            "\t",
            "\n",
            "\r",
            "\"",
            "\"\"",
            "'",
            " ",
            "\u{a0}",
            "\u{feff}",
            "cmd|' /C calc'!A0",
        ];
        let piece = prop_oneof![
            4 => prop::sample::select(meaningful.to_vec()).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_program_that_knows_the_separator_finds_every_cell(
            written in prop::collection::vec([anything(), anything(), anything()], 1..4),
        ) {
            for separator in SEPARATORS {
                // Below a header, as always: programs take a byte order mark at the very start for their own.
                let head = ["a", "b", "c"].map(str::to_owned);
                let file = rows(separator, [std::slice::from_ref(&head), written.as_slice()].concat());
                let mut expected = vec![head.to_vec()];
                expected.extend(written.iter().map(|row| row.to_vec()));
                prop_assert_eq!(read(&file, separator, true), expected);
            }
        }

        #[test]
        fn no_program_finds_a_formula_wherever_it_splits(
            written in prop::collection::vec([anything(), anything(), anything()], 1..4),
        ) {
            for separator in SEPARATORS {
                let file = rows(separator, written.iter().map(|row| row.each_ref().map(|text| cell(text))));
                for (delimiter, quoting) in [b',', b';', b'|', b'\t'].into_iter().flat_map(|at| [(at, true), (at, false)]) {
                    for found in read(&file, delimiter, quoting).into_iter().flatten() {
                        let start = found.trim_start_matches(is_skipped);
                        prop_assert!(!start.starts_with(begins_formula), "{found:?} at {delimiter}, quotes {quoting}");
                    }
                }
            }
        }
    }
}
