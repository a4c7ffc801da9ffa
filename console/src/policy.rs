//! The Content Security Policy of the pages. Scripts and styles are files of ours, never inline; requests go to our
//! roles alone; and no text can become markup, whatever a user typed.

use crate::Config;

pub(crate) fn content_security_policy(config: &Config) -> String {
    let mut connect = "'self'".to_owned();
    for url in [&config.ingest_url, &config.delivery_url].into_iter().flatten() {
        connect.push(' ');
        connect.push_str(&url.origin());
    }
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        &format!("connect-src {connect}"),
        // A recording: a file of the user's, or an address that they enter.
        "media-src 'self' blob: https: http:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    .join("; ")
}
