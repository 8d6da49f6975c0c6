//! The pages: files of the front end, which is built beforehand and lies in the binary. Refuses to know what they show.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::answer::{Kind, Refusal};
use crate::server::Shared;

#[derive(RustEmbed)]
#[folder = "../../ui/dist/"]
struct Files;

const PAGE: &str = "index.html";
/// What the front end leaves open for the path that it is served below.
const BASE: &str = "<base href=\"/\">";

/// A file, or the page itself for every address of the front end.
pub(super) async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    match Files::get(path).filter(|_| path != PAGE) {
        Some(file) => asset(path, file),
        None if path.starts_with("assets/") => {
            Refusal::new(Kind::NotFound, "there is no such file").into_response()
        }
        None => index(&shared),
    }
}

fn asset(path: &str, file: rust_embed::EmbeddedFile) -> Response {
    // Names of files below `assets` change with what is in them.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let kind = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static(keep))];
    (headers, file.data.into_owned()).into_response()
}

fn index(shared: &Shared) -> Response {
    let Some(page) = Files::get(PAGE) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the binary holds no page").into_response();
    };
    let page = String::from_utf8_lossy(&page.data).replacen(
        BASE,
        &format!("<base href=\"{}\">", shared.base_path),
        1,
    );
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, page).into_response()
}
