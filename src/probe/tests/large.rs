//! Targets that send without end: what is read is bounded, and they are let go.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::io::AsyncWriteExt as _;

use super::*;

/// Sockets on both sides may hold this much that nobody read.
const SOCKETS: usize = 16 << 20;

/// Sends `head`, then `part` again and again, and counts what it could send.
async fn endless(head: &'static [u8], part: Vec<u8>) -> (Listening, Arc<AtomicUsize>) {
    let (sent, part) = (Arc::new(AtomicUsize::new(0)), Arc::new(part));
    let count = Arc::clone(&sent);
    let target = Listening::serving(move |mut accepted| {
        let (count, part) = (Arc::clone(&count), Arc::clone(&part));
        async move {
            accepted.request().await;
            accepted.stream.write_all(head).await?;
            loop {
                accepted.stream.write_all(&part).await?;
                count.fetch_add(part.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    (target, sent)
}

fn cut_at_the_limit(observation: &Observation, question: &Target) {
    let answer = answer(observation);
    assert!(answer.truncated);
    assert_eq!(answer.body.len(), question.max_body);
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit_and_let_go() {
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let announced: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, part) in [(announced, vec![b'x'; 0x10000]), (chunked, chunk)] {
        let (target, sent) = endless(head, part).await;
        let question = get(&target.url("/"));
        cut_at_the_limit(&observe(&question, LONG).await, &question);
        target.ended(1).await;
        assert!(sent.load(Ordering::SeqCst) < question.max_body + SOCKETS);
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let target = Listening::answering(OK).await;
    let mut question = get(&target.url("/"));
    question.max_body = 2;
    let observation = observe(&question, LONG).await;
    assert_eq!(answer(&observation).body, "ok");
    assert!(!answer(&observation).truncated);
    question.max_body = 1;
    cut_at_the_limit(&observe(&question, LONG).await, &question);
    question.max_body = 0;
    cut_at_the_limit(&observe(&question, LONG).await, &question);
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_at_the_limit() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 16 << 20]).unwrap();
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    let (target, sent) = endless(head, bomb.finish().unwrap()).await;
    let question = get(&target.url("/"));
    cut_at_the_limit(&observe(&question, LONG).await, &question);
    target.ended(1).await;
    assert!(sent.load(Ordering::SeqCst) < SOCKETS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gzip_that_unpacks_to_nothing_for_ever_times_out() {
    // Ten bytes of gzip header, then empty stored blocks, none the last.
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff";
    let (target, _) = endless(head, b"\0\0\0\xff\xff".repeat(10_000)).await;
    let observation = observe(&get(&target.url("/")), SHORT).await;
    timed_out(&observation, Phase::Transfer);
    target.ended(1).await;
}

#[tokio::test]
async fn trailers_without_end_are_refused() {
    let head =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nok\r\n0\r\n";
    let (target, sent) = endless(head, b"X-A: 1\r\n".to_vec()).await;
    let observation = observe(&get(&target.url("/")), LONG).await;
    let failure = failure(&observation);
    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
    target.ended(1).await;
    assert!(sent.load(Ordering::SeqCst) < SOCKETS);
}
