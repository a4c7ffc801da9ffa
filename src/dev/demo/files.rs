//! The files of the page, embedded in the binary. A debug build reads them from the source tree while that exists, so
//! that a changed page needs no build.

use std::borrow::Cow;
use std::path::Path;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// Names and contents.
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("page/", $name)))),*];
    };
}

files!(
    "index.html",
    "icon.svg",
    "demo.css",
    "overview.css",
    "columns.css",
    "demo.js",
    "archive.js",
    "columns.js",
    "control.js",
    "ledger.js",
    "overview.js",
    "post.js",
    "room.js",
    "texts.js",
    "try-it.js",
);

/// Where the page is in the source tree that this binary was built from.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dev/demo/page");

/// The file, or 404.
pub(super) fn file(name: &str) -> Response {
    let Some((name, embedded)) = FILES.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "There is no such file.\n").into_response();
    };
    ([(CONTENT_TYPE, content_type(name))], contents(Path::new(TREE), name, embedded)).into_response()
}

fn contents(tree: &Path, name: &str, embedded: &'static [u8]) -> Cow<'static, [u8]> {
    // The binary may have been moved to a machine without the tree.
    match cfg!(debug_assertions).then(|| std::fs::read(tree.join(name))) {
        Some(Ok(contents)) => Cow::Owned(contents),
        _ => Cow::Borrowed(embedded),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded_and_a_moved_binary_serves_it() {
        let mut there: Vec<String> = std::fs::read_dir(TREE)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        let mut known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        there.sort_unstable();
        known.sort_unstable();
        assert_eq!(there, known);
        for (name, embedded) in FILES {
            assert_eq!(contents(Path::new("/nowhere"), name, embedded), *embedded, "{name}");
        }
    }

    #[test]
    fn no_script_and_no_style_is_inline() {
        let page = std::fs::read_to_string(Path::new(TREE).join("index.html")).unwrap();
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
        for forbidden in ["<style", "style=", "onclick=", "onload=", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
