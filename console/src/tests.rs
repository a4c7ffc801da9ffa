//! The router by itself: which file is answered how.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT_ENCODING, LOCATION};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

/// 150 KB: all files together.
const BUDGET: usize = 150_000;

/// 100 KB: what a phone has to load before it shows a room.
const FIRST_LOAD: usize = 100_000;

fn config(ingest: &str) -> Config {
    let text = format!(r#"{{"enabled":true,"ingest_url":"{ingest}","delivery_url":"https://events.example/chat/"}}"#);
    serde_json::from_str(&text).unwrap()
}

async fn get_with(path: &str, header: Option<(HeaderName, &str)>) -> Response {
    let request = header.into_iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
    router(&config("https://chat.example:8443/")).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn every_file_is_served_under_the_policy_and_known_again() {
    for (path, asset) in Assets::embedded().all() {
        let path = format!("/console/{path}");
        let response = get_with(&path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert_eq!(headers[CONTENT_TYPE], asset.content_type(), "{path}");
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("connect-src 'self' https://chat.example:8443 https://events.example; "), "{policy}");
        assert_eq!(text(response).await, asset.plain(), "{path}");
        let again = get_with(&path, Some((IF_NONE_MATCH, headers[ETAG].to_str().unwrap()))).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn compressed_assets_are_unchanged_and_small() {
    use std::io::Read as _;
    let mut all = 0;
    for (path, asset) in Assets::embedded().all() {
        let response = get_with(&format!("/console/{path}"), Some((ACCEPT_ENCODING, "br, gzip;q=0.8"))).await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip", "{path}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        all += bytes.len();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, asset.plain(), "{path}");
    }
    assert!(all < BUDGET, "{all} bytes");
    for refusal in ["identity", "gzip;q=0", "br"] {
        let response = get_with("/console/", Some((ACCEPT_ENCODING, refusal))).await;
        assert!(!response.headers().contains_key(CONTENT_ENCODING), "{refusal}");
    }
}

/// What a file names behind that text.
fn named(text: &str, before: &str) -> Vec<String> {
    text.split(before).skip(1).filter_map(|rest| rest.split(['\'', '"']).next()).map(str::to_owned).collect()
}

#[test]
fn the_first_load_of_a_room_is_small() {
    let assets = Assets::embedded();
    // Other views are loaded when they are opened. The module of this one is named by the address.
    let mut loaded = vec!["index.html".to_owned(), "live.js".to_owned()];
    let mut at = 0;
    while let Some(path) = loaded.get(at) {
        let asset = assets.get(path).unwrap();
        for before in ["from './", "src=\"", "href=\""] {
            for name in named(asset.plain(), before) {
                if !loaded.contains(&name) && !name.ends_with(".d.ts") {
                    loaded.push(name);
                }
            }
        }
        at += 1;
    }
    let bytes: usize = loaded.iter().map(|path| assets.get(path).unwrap().gzip().len()).sum();
    assert!(loaded.contains(&"main.js".to_owned()) && loaded.contains(&"reader.js".to_owned()), "{loaded:?}");
    assert!(!loaded.contains(&"vendor/uplot.js".to_owned()), "{loaded:?}");
    assert!(bytes < FIRST_LOAD, "{bytes} bytes");
}

#[tokio::test]
async fn every_module_and_style_that_a_file_names_exists() {
    let assets = Assets::embedded();
    for (path, asset) in assets.all() {
        for before in ["from './", "import('./", "src=\"", "href=\""] {
            for name in named(asset.plain(), before).iter().filter(|name| !name.ends_with(".d.ts")) {
                assert!(assets.get(name).is_some(), "{path} names {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_learns_where_the_roles_are() {
    let response = get_with("/console/config.json", None).await;
    let expected = r#"{"deliveryUrl":"https://events.example/chat","ingestUrl":"https://chat.example:8443"}"#;
    assert_eq!(text(response).await, expected);
    assert_eq!(get_with("/console", None).await.headers()[LOCATION], "console/");
}

#[tokio::test]
async fn other_paths_are_not_found_and_none_leads_out() {
    for path in ["/console/nothing.js", "/console/../Cargo.toml", "/console/%2e%2e/Cargo.toml", "/console/vendor/"] {
        assert_eq!(get_with(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_console_that_is_off_has_no_page() {
    let off = Config { enabled: false, ..config("") };
    let request = Request::get("/console/").body(Body::empty()).unwrap();
    assert_eq!(router(&off).oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[test]
fn an_address_with_a_secret_is_refused() {
    for text in
        ["ftp://chat.example", "chat.example", "https://a:b@chat.example", "https://chat.example/?a", "https://c/#a"]
    {
        assert_eq!(text.parse::<PublicUrl>(), Err(InvalidUrl), "{text}");
    }
}
