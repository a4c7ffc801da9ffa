//! The files of the console, embedded in the binary. Each is compressed once, when a browser first asks for it. A debug
//! build serves the files of the tree instead, so that a change needs no build.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Where the files are in the tree.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

/// A path below `/console/` and the text of the file.
macro_rules! embedded {
    ($($path:literal)*) => {
        [$(($path, include_str!(concat!("../assets/", $path)))),*]
    };
}

/// By path below `/console/`.
pub(crate) struct Assets(HashMap<&'static str, Arc<Asset>>);

pub(crate) struct Asset {
    content_type: &'static str,
    text: Cow<'static, str>,
    gzip: OnceLock<Bytes>,
    etag: String,
}

impl Assets {
    pub(crate) fn embedded() -> Assets {
        let ours = embedded![
            "api.js"
            "audit.js"
            "bans.js"
            "base.css"
            "broadcast-figures.js"
            "broadcast-lists.js"
            "broadcast.js"
            "broadcasts.css"
            "broadcasts.js"
            "buckets.js"
            "card.js"
            "chart.js"
            "clock-controls.js"
            "clock.js"
            "comparison-chart.js"
            "comparison-form.js"
            "comparison.js"
            "confirm.js"
            "decision-text.js"
            "dom.js"
            "emotes.js"
            "en-live.js"
            "en.js"
            "exports.js"
            "format.js"
            "frame.js"
            "hold-queue.js"
            "home.js"
            "i18n.js"
            "icon.svg"
            "in-turn.js"
            "index.html"
            "ko-live.js"
            "ko.js"
            "layout.css"
            "live-room.js"
            "live-sweeps.js"
            "live.js"
            "main.js"
            "message-card.js"
            "message-list.js"
            "message-row.js"
            "messages.css"
            "moderation.js"
            "moderators.js"
            "notice-form.js"
            "operator.js"
            "outcome.js"
            "pages.js"
            "pin-bar.js"
            "plot.js"
            "progress.js"
            "recording-time.js"
            "replay-view.js"
            "replay.js"
            "reports.js"
            "routes.js"
            "search.js"
            "session.js"
            "setting-text.js"
            "settings-panel.js"
            "sign-in.js"
            "similarity.js"
            "sweep-bar.js"
            "sweep-catch-up.js"
            "sweep-marks.js"
            "sweep-panel.js"
            "sweep-rule.js"
            "sweeps.css"
            "table.js"
            "user-card.js"
            "user-notes.js"
            "user-warning.js"
            "views.css"
        ];
        let shared = [
            // The reader that delivery serves to every page; here it comes from the page's own origin.
            ("reader.js", include_str!("../../delivery/js/reader.js")),
            // The package has its small file as a script only. As a module it needs one line more.
            (
                "vendor/uplot.js",
                concat!(include_str!("../assets/vendor/uPlot.iife.min.js"), "\nexport default uPlot;\n"),
            ),
            ("vendor/uplot.css", include_str!("../assets/vendor/uPlot.min.css")),
        ];
        let asset = |(path, text): (_, &'static str)| (path, Arc::new(Asset::new(path, text.into())));
        Assets(ours.into_iter().chain(shared).map(asset).collect())
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<Asset>> {
        let embedded = self.0.get(path)?;
        // The binary may have been moved to a machine without the tree.
        match cfg!(debug_assertions).then(|| std::fs::read_to_string(Path::new(TREE).join(path))) {
            Some(Ok(text)) => Some(Arc::new(Asset::new(path, text.into()))),
            _ => Some(embedded.clone()),
        }
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Asset)> {
        self.0.iter().map(|(path, asset)| (*path, &**asset))
    }
}

impl Asset {
    fn new(path: &str, text: Cow<'static, str>) -> Asset {
        let content_type = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Asset { content_type, text, gzip: OnceLock::new(), etag }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    pub(crate) fn etag(&self) -> &str {
        &self.etag
    }

    pub(crate) fn plain(&self) -> &str {
        &self.text
    }

    pub(crate) fn gzip(&self) -> Bytes {
        let compress = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder
                .write_all(self.text.as_bytes())
                .and_then(|()| encoder.finish())
                .expect("a Vec takes every byte")
                .into()
        };
        self.gzip.get_or_init(compress).clone()
    }
}

/// Whether an `Accept-Encoding` admits gzip: named, and not with the weight 0.
pub(crate) fn accepts_gzip(value: &HeaderValue) -> bool {
    let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
    value.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(0.0);
        name.trim() == "gzip" && weight > 0.0
    })
}
