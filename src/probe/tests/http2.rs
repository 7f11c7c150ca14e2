//! Targets that speak HTTP/2, where one connection outlives many failures.

use std::io;

use bytes::Bytes;
use h2::server;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    tls::{Authority, https, over_tls},
    *,
};
use crate::check::HttpVersion;

type Connection<S = TlsStream<TcpStream>> = server::Connection<S, Bytes>;

/// Speaks HTTP/2 to each connection as `serve` does, which is told its number.
async fn speaking<F>(
    authority: &Authority,
    serve: impl Fn(Connection, usize) -> F + Send + Sync + Clone + 'static,
) -> Listening
where
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    over_tls(authority.localhost(&["h2"]), move |accepted| {
        let serve = serve.clone();
        async move {
            let number = accepted.number;
            let connection = server::handshake(accepted.stream)
                .await
                .map_err(io::Error::other)?;
            serve(connection, number).await.map_err(io::Error::other)
        }
    })
    .await
}

/// Answers `requests` requests.
async fn answer_some<S: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<S>,
    requests: usize,
) -> Result<(), h2::Error> {
    for _ in 0..requests {
        let Some(request) = connection.accept().await else {
            return Ok(());
        };
        let (_, mut respond) = request?;
        let mut body = respond.send_response(http::Response::new(()), false)?;
        body.send_data(Bytes::from_static(b"ok"), true)?;
    }
    Ok(())
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_over_one_connection() {
    let authority = Authority::new();
    let target = speaking(&authority, |mut connection, _| async move {
        answer_some(&mut connection, usize::MAX).await
    })
    .await;
    let prober = authority.trusted();
    for _ in 0..3 {
        let observation = prober.probe(&https(&target), LONG).await;
        assert_eq!(answer(&observation).version, "HTTP/2.0");
        assert_eq!(answer(&observation).body, "ok");
    }
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn http2_alone_is_spoken_over_tls_where_it_is_asked_for() {
    let authority = Authority::new();
    let target = speaking(&authority, |mut connection, _| async move {
        answer_some(&mut connection, usize::MAX).await
    })
    .await;
    let mut question = https(&target);
    question.route_mut().http = HttpVersion::Two;
    let prober = authority.trusted();
    for _ in 0..2 {
        let observation = prober.probe(&question, LONG).await;
        let response = answer(&observation);
        assert_eq!(
            (response.version, &response.body[..]),
            ("HTTP/2.0", &b"ok"[..])
        );
        assert_eq!(response.remote.unwrap().port(), target.port());
        let names = observation.certificate.unwrap().names;
        assert_eq!(names, ["localhost"]);
    }
    assert_eq!(target.connections(), 1);
}

#[tokio::test]
async fn http2_without_tls_is_spoken_where_it_is_asked_for() {
    let target = Listening::serving(|accepted| async move {
        let connection = server::handshake(accepted.stream).await;
        let mut connection = connection.map_err(io::Error::other)?;
        let answered = answer_some(&mut connection, usize::MAX).await;
        answered.map_err(io::Error::other)
    })
    .await;
    let mut question = get(&target.url("/"));
    question.route_mut().http = HttpVersion::Two;
    let prober = prober();
    for _ in 0..2 {
        let observation = prober.probe(&question, LONG).await;
        let response = answer(&observation);
        assert_eq!(
            (response.version, &response.body[..]),
            ("HTTP/2.0", &b"ok"[..])
        );
    }
    assert_eq!(target.connections(), 1);
    // One that does not speak it says nothing that is understood.
    let old = Listening::answering(OK).await;
    question.url = get(&old.url("/")).url;
    let observation = prober.probe(&question, LONG).await;
    assert!(
        matches!(
            failure(&observation),
            Failure::Protocol(_) | Failure::Closed { .. }
        ),
        "{observation:?}"
    );
}

#[tokio::test]
async fn a_silent_target_times_out_whether_it_answers_pings_or_not() {
    for pongs in [true, false] {
        let authority = Authority::new();
        let target = speaking(&authority, move |mut connection, _| async move {
            let mut requests = Vec::new();
            while let Some(request) = connection.accept().await {
                requests.push(request?);
                if !pongs {
                    std::future::pending::<()>().await;
                }
            }
            Ok(())
        })
        .await;
        let prober = authority.trusted();
        let observation = prober.probe(&https(&target), 5 * SHORT).await;
        timed_out(&observation, Phase::FirstByte);
    }
}

#[tokio::test]
async fn a_body_on_a_dead_connection_is_a_closed_one() {
    let authority = Authority::new();
    let target = speaking(&authority, |mut connection, _| async move {
        let (_, mut respond) = connection.accept().await.unwrap()?;
        let mut body = respond.send_response(http::Response::new(()), false)?;
        body.send_data(Bytes::from_static(b"half"), false)?;
        // What is sent needs the connection to be driven, for a while.
        drop(tokio::time::timeout(SHORT / 4, connection.accept()).await);
        std::future::pending().await
    })
    .await;
    let prober = authority.trusted();
    let observation = prober.probe(&https(&target), LONG).await;
    closed(&observation, Phase::Transfer);
}

#[tokio::test]
async fn a_dead_kept_connection_is_noticed_and_replaced() {
    let authority = Authority::new();
    let target = speaking(&authority, |mut connection, number| async move {
        if number > 1 {
            return answer_some(&mut connection, usize::MAX).await;
        }
        // The second request is the last thing that it reads.
        answer_some(&mut connection, 1).await?;
        drop(connection.accept().await);
        std::future::pending().await
    })
    .await;
    let prober = authority.trusted();
    for _ in 0..3 {
        let observation = prober.probe(&https(&target), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_not_the_targets_failure() {
    let authority = Authority::new();
    let target = speaking(&authority, |mut connection, _| async move {
        answer_some(&mut connection, 1).await?;
        // Gone in the middle of the second request.
        drop(connection.accept().await);
        Ok(())
    })
    .await;
    let prober = authority.trusted();
    for _ in 0..3 {
        let observation = prober.probe(&https(&target), LONG).await;
        assert_eq!(answer(&observation).body, "ok");
    }
}

#[tokio::test]
async fn a_new_connection_that_closes_or_resets_is_a_failure() {
    let authority = Authority::new();
    let closing = speaking(&authority, |mut connection, _| async move {
        drop(connection.accept().await);
        Ok(())
    })
    .await;
    let observation = authority.trusted().probe(&https(&closing), LONG).await;
    closed(&observation, Phase::FirstByte);

    let resetting = speaking(&authority, |mut connection, _| async move {
        while let Some(request) = connection.accept().await {
            request?.1.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        Ok(())
    })
    .await;
    let observation = authority.trusted().probe(&https(&resetting), LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
}
