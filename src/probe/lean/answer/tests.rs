//! Answers in one piece and in many come to the same; what is odd is said so.

use proptest::prelude::*;

use super::*;

/// What comes of an answer that arrives in pieces of `piece` bytes: the status
/// and the body, and whether anything is left over.
fn read(answer: &str, piece: usize) -> Result<Option<(u16, String, bool)>, Odd> {
    let mut buffer = BytesMut::new();
    let mut pieces = answer.as_bytes().chunks(piece);
    let mut seen = Seen::default();
    let mut found = None::<Head>;
    loop {
        if let Some(head) = &mut found {
            match head.body.take(&mut buffer, &mut seen, 1000)? {
                Taken::Part => {}
                Taken::Whole | Taken::Cut => break,
            }
        } else if !buffer.is_empty() {
            found = head(&mut buffer, false)?;
            if found.is_some() {
                continue;
            }
        }
        let Some(piece) = pieces.next() else {
            let until = found
                .as_ref()
                .is_some_and(|head| head.body == Body::UntilClosed);
            if until {
                break;
            }
            return Ok(None);
        };
        buffer.extend_from_slice(piece);
    }
    let left = buffer.len() + pieces.map(<[u8]>::len).sum::<usize>() > 0;
    let body = String::from_utf8(seen.taken().to_vec()).unwrap();
    Ok(found.map(|head| (head.status, body, left)))
}

fn check(answer: &str, expected: Option<(u16, &str, bool)>) {
    for piece in 1..=answer.len() {
        let found = read(answer, piece).unwrap();
        let found = found
            .as_ref()
            .map(|(status, body, left)| (*status, body.as_str(), *left));
        assert_eq!(found, expected, "{answer:?} in pieces of {piece}");
    }
}

fn odd(answer: &str) {
    let least = if answer.len() < 200 { 1 } else { 1000 };
    for piece in [least, answer.len()] {
        assert_eq!(
            read(answer, piece),
            Err(Odd),
            "{answer:?} in pieces of {piece}"
        );
    }
}

#[test]
fn an_answer_ends_where_it_says() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Some((200, "ok", false)),
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay",
        Some((200, "ok", true)),
    );
    check("HTTP/1.1 204 None\r\n\r\n", Some((204, "", false)));
    check(
        "HTTP/1.0 200 OK\r\n\r\nto the end",
        Some((200, "to the end", false)),
    );
    check(
        "HTTP/1.1 503 No\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0a\r\n0123456789\r\n0\r\n\r\n",
        Some((503, "ok0123456789", false)),
    );
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", None);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        None,
    );
}

#[test]
fn what_is_rare_or_wrong_is_odd() {
    for head in [
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
    ] {
        odd(head);
    }
    for chunks in [
        "x\r\n",
        "2;extension\r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nokay\r\n",
        "+2\r\nok\r\n0\r\n\r\n",
        "00000000000000002\r\n",
        "2\r\nok\r\n0\r\nTrailer: 1\r\n\r\n",
    ] {
        odd(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ));
    }
    odd(&format!(
        "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
        "x".repeat(MAX_HEAD)
    ));
    odd(&format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "X: 1\r\n".repeat(MAX_HEADERS + 1)
    ));
}

#[test]
fn a_connection_that_will_close_is_not_used_again() {
    for (head, reusable) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
    ] {
        let head = super::head(&mut head.into(), false).unwrap().unwrap();
        assert_eq!(head.reusable, reusable);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut buffer = BytesMut::from(&[start.as_slice(), &bytes].concat()[..]);
        let mut head = head(&mut buffer, false).unwrap().unwrap();
        let taken = head.body.take(&mut buffer, &mut Seen::default(), 50);
        prop_assert!(taken.is_ok() || taken == Err(Odd));
    }
}
