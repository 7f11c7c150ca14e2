//! A target for trying things out: healthy, slow, flapping and broken, by path.

use std::{io, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, time::Instant};

/// `/flapping` is up for this long, then down for [`DOWN`].
const UP: Duration = Duration::from_secs(20);
const DOWN: Duration = Duration::from_secs(10);
/// How long `/slow` takes.
const SLOW: Duration = Duration::from_millis(800);

const INDEX: &str = "\
/healthy   passes, in application/health+json\n\
/actuator  passes, as Spring Boot writes it\n\
/degraded  warns\n\
/broken    answers 503 with a failing document\n\
/flapping  20 s up, 10 s down\n\
/slow      takes 800 ms\n\
/hang      never answers\n\
/plain     answers `ok`\n";

const HEALTHY: &str = r#"{"status":"pass","version":"1","checks":{"database:responseTime":[{"componentType":"datastore","observedValue":3,"observedUnit":"ms","status":"pass"}],"queue:depth":[{"observedValue":12,"status":"pass"}]}}"#;
const DEGRADED: &str = r#"{"status":"warn","output":"the queue is long","checks":{"database:responseTime":[{"observedValue":3,"observedUnit":"ms","status":"pass"}],"queue:depth":[{"observedValue":4711,"status":"warn","output":"more than 1000"}]}}"#;
const BROKEN: &str = r#"{"status":"fail","output":"no database","checks":{"database:responseTime":[{"status":"fail","output":"connection refused"}]}}"#;
const ACTUATOR: &str = r#"{"status":"UP","components":{"db":{"status":"UP","details":{"database":"H2"}},"diskSpace":{"status":"UP"}}}"#;

/// Serves on `listener` until `until`.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let began = Instant::now();
    let health = "application/health+json";
    let routes = Router::new()
        .route("/", get(async || INDEX))
        .route("/healthy", get(async move || answer(200, health, HEALTHY)))
        .route(
            "/degraded",
            get(async move || answer(200, health, DEGRADED)),
        )
        .route("/broken", get(async move || answer(503, health, BROKEN)))
        .route(
            "/actuator",
            get(async || answer(200, "application/json", ACTUATOR)),
        )
        .route("/plain", get(async || "ok\n"))
        .route("/hang", get(std::future::pending::<&str>))
        .route(
            "/slow",
            get(async move || {
                tokio::time::sleep(SLOW).await;
                answer(200, health, HEALTHY)
            }),
        )
        .route("/flapping", get(async move || flapping(began.elapsed())));
    tokio::select! {
        served = axum::serve(listener, routes) => served,
        // Whoever hangs on `/hang` does not keep us.
        () = until => Ok(()),
    }
}

fn flapping(elapsed: Duration) -> Response {
    if is_up(elapsed) {
        answer(200, "application/health+json", HEALTHY)
    } else {
        answer(503, "application/health+json", BROKEN)
    }
}

/// Whether `/flapping` is up so long after the start.
fn is_up(elapsed: Duration) -> bool {
    elapsed.as_millis() % (UP + DOWN).as_millis() < UP.as_millis()
}

fn answer(status: u16, content_type: &'static str, body: &'static str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flapping_is_up_two_thirds_of_the_time() {
        for (seconds, up) in [(0, true), (19, true), (20, false), (29, false), (30, true)] {
            assert_eq!(is_up(Duration::from_secs(seconds)), up, "{seconds}");
        }
    }
}
