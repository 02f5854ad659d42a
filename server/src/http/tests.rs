use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, sleep};

use super::*;
use crate::real::Real;
use crate::server::service_in_memory;

async fn send(routes: Router, request: Request<Body>) -> Response {
    match TowerToHyperService::new(routes).call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A body of which only the first byte arrives.
fn endless() -> Body {
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("{"))]);
    Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_too_long_is_answered_408_after_10_seconds() {
    let service = service_in_memory(&Real::new().unwrap(), disband::Config::default()).await;
    let token = service.tokens.of(&Name::from(1));
    let request = Request::post("/x/group/create/7")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(endless())
        .unwrap();
    let start = Instant::now();
    let response = send(router(Arc::clone(&service)), request).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(start.elapsed().as_secs(), 10);
    let engine = service.view(Consistency::Local).await.unwrap();
    assert!(engine.group(&Name::from(7)).is_none());
}

#[tokio::test(start_paused = true)]
async fn no_layer_answers_for_a_command_under_way() {
    let slow = |Json(body): Json<serde_json::Value>| async move {
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(body, json!({}));
        Reply::ok()
    };
    let routes = with_layers(Router::new().route("/slow", post(slow)));
    let request = Request::post("/slow").body(Body::from("{}")).unwrap();
    let start = Instant::now();
    let response = send(routes, request).await;
    assert_eq!((response.status(), start.elapsed().as_secs()), (StatusCode::OK, 3600));
}

#[tokio::test]
async fn a_panic_is_answered_500_in_the_form_of_all_errors() {
    let panics = || async { panic!("on purpose") as Reply };
    let routes = with_layers(Router::new().route("/panics", get(panics)));
    let request = Request::get("/panics").body(Body::empty()).unwrap();
    let response = send(routes, request).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
}
