//! The object store's wire form, to the letter of what every NATS client reads
//! (ADR-20): chunks under `$O.<bucket>.C.<nuid>`, the meta under
//! `$O.<bucket>.M.<base64url(name)>`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// The chunk size that all clients use.
pub const CHUNK: usize = 128 * 1024;

/// An object's meta message.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Meta {
    /// The object's name.
    pub name: String,
    /// The bucket that holds it.
    #[serde(default)]
    pub bucket: String,
    /// Token of the chunks' subject.
    pub nuid: String,
    /// Bytes in all chunks together.
    #[serde(default)]
    pub size: u64,
    /// How many chunks there are.
    #[serde(default)]
    pub chunks: u64,
    /// When it was written.
    #[serde(default)]
    pub mtime: String,
    /// `SHA-256=` and the padded base64url digest.
    #[serde(default)]
    pub digest: String,
    /// Set on what was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// What the clients expect beside.
    #[serde(default)]
    pub options: Options,
}

/// How an object was cut.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Options {
    /// The chunk size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_chunk_size: Option<u64>,
    /// Set where the object is a link to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<serde_json::Value>,
}

impl Meta {
    /// The meta of `body`, cut in chunks of `chunk` bytes under `nuid`.
    pub fn new(
        bucket: &str,
        name: &str,
        nuid: &str,
        body: &[u8],
        chunk: usize,
        now: Timestamp,
    ) -> Self {
        Self {
            name: name.to_owned(),
            bucket: bucket.to_owned(),
            nuid: nuid.to_owned(),
            size: body.len() as u64,
            chunks: body.len().div_ceil(chunk) as u64,
            mtime: now.to_string(),
            digest: digest(body),
            deleted: false,
            options: Options {
                max_chunk_size: Some(chunk as u64),
                link: None,
            },
        }
    }

    /// Whether `body` is what this meta describes. The hexadecimal digest of
    /// old nats.js versions is accepted, as they do.
    pub fn describes(&self, body: &[u8]) -> bool {
        self.size == body.len() as u64
            && (self.digest == digest(body)
                || self.digest.trim_end_matches('=') == digest(body).trim_end_matches('='))
    }
}

/// The subject of the meta of `name`.
pub fn meta_subject(bucket: &str, name: &str) -> String {
    format!("$O.{bucket}.M.{}", URL_SAFE.encode(name))
}

/// The subject of the chunks under `nuid`.
pub fn chunk_subject(bucket: &str, nuid: &str) -> String {
    format!("$O.{bucket}.C.{nuid}")
}

/// `body` in pieces of at most `size` bytes, without copying.
pub fn chunks(body: &Bytes, size: usize) -> impl Iterator<Item = Bytes> + '_ {
    (0..body.len())
        .step_by(size)
        .map(move |at| body.slice(at..body.len().min(at + size)))
}

fn digest(body: &[u8]) -> String {
    format!("SHA-256={}", URL_SAFE.encode(Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_and_described() {
        let body = Bytes::from(vec![7u8; 300]);
        let meta = Meta::new("b", "n", "x", &body, 128, Timestamp::from_millis(0));
        assert_eq!((meta.size, meta.chunks), (300, 3));
        let pieces: Vec<_> = chunks(&body, 128).collect();
        assert_eq!(
            pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [128, 128, 44]
        );
        assert!(meta.describes(&pieces.concat()));
        assert!(!meta.describes(b"other"));
    }

    #[test]
    fn an_empty_body_has_no_chunks() {
        let meta = Meta::new("b", "n", "x", b"", 128, Timestamp::from_millis(0));
        assert_eq!((meta.size, meta.chunks), (0, 0));
        assert_eq!(chunks(&Bytes::new(), 128).count(), 0);
        assert_eq!(
            meta.digest,
            "SHA-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    #[test]
    fn names_are_base64url_with_padding() {
        assert_eq!(
            meta_subject("supercheck", "http://a/?"),
            "$O.supercheck.M.aHR0cDovL2EvPw=="
        );
    }
}
