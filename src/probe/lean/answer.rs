//! The answer: its head, and where its body ends (RFC 9112, 6.3).

use bytes::{Buf as _, BytesMut};

use crate::probe::seen::Seen;

/// It is out of the ordinary, or against the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// Heads beyond this size are odd.
const MAX_HEAD: usize = 16 << 10;
/// Heads with more headers are odd.
const MAX_HEADERS: usize = 64;
/// A chunk's size is told in no more bytes than this.
const MAX_SIZE_LINE: usize = 16;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) version: &'static str,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    /// Whether another request may follow on the connection.
    pub(super) reusable: bool,
}

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, and where in them it stands.
    Chunked(Chunk),
    /// Everything until the connection ends.
    UntilClosed,
}

/// What comes next of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    End,
}

/// What was taken of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it.
    Whole,
    /// What has come, and more will.
    Part,
    /// As much as is wanted.
    Cut,
}

/// Takes the head out of `buffer`; `None` when it has not come whole.
pub(super) fn head(buffer: &mut BytesMut, no_body: bool) -> Result<Option<Head>, Odd> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let length = match answer.parse(buffer) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if buffer.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(_) => return Err(Odd),
    };
    let status = answer.code.filter(|code| *code >= 200).ok_or(Odd)?;
    let modern = answer.version == Some(1);
    let mut framing = Framing::default();
    for header in &*answer.headers {
        framing.note(header)?;
    }
    let no_body = no_body || matches!(status, 204 | 304);
    let body = match (no_body, framing.chunked, framing.length) {
        (true, ..) => Body::Length(0),
        // Which of both is meant is a matter of taste.
        (_, true, Some(_)) => return Err(Odd),
        (_, true, None) if modern => Body::Chunked(Chunk::Size),
        (_, true, None) => return Err(Odd),
        (_, false, Some(length)) => Body::Length(length),
        (_, false, None) => Body::UntilClosed,
    };
    if framing.encoded && !no_body {
        return Err(Odd);
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = answer
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
        .collect();
    let reusable = modern && !framing.closes && body != Body::UntilClosed;
    buffer.advance(length);
    Ok(Some(Head {
        status,
        version: if modern { "HTTP/1.1" } else { "HTTP/1.0" },
        headers,
        body,
        reusable,
    }))
}

/// What the headers say of the body and the connection.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
    encoded: bool,
}

impl Framing {
    fn note(&mut self, header: &httparse::Header<'_>) -> Result<(), Odd> {
        let value = header.value.trim_ascii();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(value).ok().filter(|_| digits);
            let length = number.and_then(|number| number.parse().ok()).ok_or(Odd)?;
            if self.length.replace(length).is_some() {
                return Err(Odd);
            }
        } else if is("transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Odd);
            }
            self.chunked = true;
        } else if is("connection") {
            self.closes |= !value.eq_ignore_ascii_case(b"keep-alive");
        } else if is("content-encoding") {
            self.encoded |= !value.eq_ignore_ascii_case(b"identity");
        }
        Ok(())
    }
}

impl Body {
    /// Moves what has come of the body from `buffer` to `seen`.
    pub(super) fn take(
        &mut self,
        buffer: &mut BytesMut,
        seen: &mut Seen,
        max: usize,
    ) -> Result<Taken, Odd> {
        match self {
            Self::Length(0) => Ok(Taken::Whole),
            Self::Length(rest) => Ok(match some(buffer, rest, seen, max) {
                Taken::Part if *rest == 0 => Taken::Whole,
                taken @ (Taken::Whole | Taken::Part | Taken::Cut) => taken,
            }),
            Self::UntilClosed => {
                let mut rest = u64::MAX;
                Ok(some(buffer, &mut rest, seen, max))
            }
            Self::Chunked(chunk) => chunk.take(buffer, seen, max),
        }
    }

    /// How many bytes are known to come.
    pub(super) fn rest(self) -> usize {
        match self {
            Self::Length(rest) | Self::Chunked(Chunk::Data(rest)) => {
                usize::try_from(rest).unwrap_or(usize::MAX)
            }
            Self::Chunked(_) | Self::UntilClosed => 0,
        }
    }
}

impl Chunk {
    fn take(&mut self, buffer: &mut BytesMut, seen: &mut Seen, max: usize) -> Result<Taken, Odd> {
        loop {
            let line_end = buffer.get(..2).map(|end| end == b"\r\n");
            match (&mut *self, line_end) {
                (Self::Size, _) => match size(buffer)? {
                    None => return Ok(Taken::Part),
                    Some(0) => *self = Self::End,
                    Some(size) => *self = Self::Data(size),
                },
                (Self::Data(rest), _) => {
                    let taken = some(buffer, rest, seen, max);
                    if *rest > 0 || taken == Taken::Cut {
                        return Ok(taken);
                    }
                    *self = Self::DataEnd;
                }
                (Self::DataEnd | Self::End, None) => return Ok(Taken::Part),
                (Self::DataEnd, Some(true)) => {
                    buffer.advance(2);
                    *self = Self::Size;
                }
                (Self::End, Some(true)) => {
                    buffer.advance(2);
                    return Ok(Taken::Whole);
                }
                // Trailers, or rubbish.
                (Self::DataEnd | Self::End, Some(false)) => return Err(Odd),
            }
        }
    }
}

/// Moves at most `rest` bytes, and counts them off.
fn some(buffer: &mut BytesMut, rest: &mut u64, seen: &mut Seen, max: usize) -> Taken {
    let length = usize::try_from(*rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
    let part = buffer.split_to(length);
    *rest -= length as u64;
    if part.is_empty() || seen.body(&part, max) {
        Taken::Part
    } else {
        Taken::Cut
    }
}

/// Takes the line that tells a chunk's size; `None` when it has not come whole.
fn size(buffer: &mut BytesMut) -> Result<Option<u64>, Odd> {
    let Some(end) = buffer
        .iter()
        .take(MAX_SIZE_LINE + 2)
        .position(|byte| *byte == b'\n')
    else {
        return if buffer.len() > MAX_SIZE_LINE {
            Err(Odd)
        } else {
            Ok(None)
        };
    };
    let line = buffer.split_to(end + 1);
    let digits = line.strip_suffix(b"\r\n").ok_or(Odd)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Odd);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Odd)?;
    u64::from_str_radix(digits, 16).map(Some).map_err(|_| Odd)
}

#[cfg(test)]
mod tests;
