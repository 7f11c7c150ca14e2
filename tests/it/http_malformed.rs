//! The HTTP face, asked in what is not HTTP, or not quite.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{scene::Scene, wait};

/// What the daemon says to these bytes, until it closes.
async fn say(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close before it has read all.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(wait::LONG, stream.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok(),
        "it is not left open: {:?}",
        String::from_utf8_lossy(bytes)
    );
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http_is_refused_and_harms_nobody() {
    let scene = Scene::set().await;
    let address = scene.url.trim_start_matches("http://");
    let run = "POST /api/v1/checks/later/run HTTP/1.1\r\nhost: 127.0.0.1\r\n";
    let malformed: Vec<Vec<u8>> = [
        "\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /livez HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
        "GET /liv\0ez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nx: \x01\r\n\r\n",
        "GE\u{7f}T /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        &format!("{run}content-length: -1\r\n\r\n"),
        &format!("{run}content-length: 99999999999999999999999\r\n\r\n"),
        &format!("{run}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        &format!("{run}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        &format!("{run}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n"),
        &format!("{run}transfer-encoding: identity, chunked, x\r\n\r\n"),
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        // A TLS hello, noise, and a request that never ends.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50),
        (0..=255).cycle().take(100_000).collect(),
        vec![b'A'; 100_000],
    ])
    .collect();
    let before = scene.target.hits("/later");
    for bytes in malformed {
        let answer = say(address, &bytes).await;
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        let told = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert!(refused, "{told:?}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(scene.get("/livez").await.0, 200, "{told:?}");
    }
    // What is smuggled in a body is looked at as any request is.
    let foreign = "origin: https://evil.example\r\n";
    let smuggled = format!(
        "{run}{foreign}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{run}{foreign}connection: close\r\n\r\n"
    );
    say(address, smuggled.as_bytes()).await;
    assert_eq!(scene.target.hits("/later"), before);
    let complaints = scene.daemon.complaints();
    assert!(
        complaints
            .iter()
            .all(|line| line.contains("absent for part")),
        "{complaints:#?}"
    );
}
