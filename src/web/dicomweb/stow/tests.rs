use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use model::multipart::Error as Malformed;
use pipeline::{Body as _, BodyError};

use super::parts::{Parts, Stop};

/// A body that arrives in pieces of `size`, and ends well or breaks off.
fn arriving(bytes: &[u8], size: usize, ends: bool) -> Body {
    let mut pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    if !ends {
        pieces.push(Err("broken off"));
    }
    Body::from_stream(stream::iter(pieces))
}

/// Fills buffers of `capacity` until the part ends.
async fn read(parts: &mut Parts, capacity: usize) -> Result<Vec<u8>, BodyError> {
    let mut all = Vec::new();
    loop {
        let mut buf = Vec::with_capacity(capacity);
        let room = buf.capacity();
        let ended = parts.fill(&mut buf).await?;
        assert_eq!(buf.capacity(), room);
        assert!(ended || buf.len() == room);
        all.extend(buf);
        if ended {
            return Ok(all);
        }
    }
}

const BODY: &[u8] =
    b"preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--bx\r\r\n--b\r\n\r\n\r\n--b\r\n\r\nlast\r\n--b--\r\nepilogue";

#[tokio::test]
async fn parts_come_whole_however_they_are_cut() {
    for (size, capacity) in [(1, 1), (1, 100), (3, 2), (7, 5), (1000, 1), (1000, 8), (1000, 1000)] {
        let mut parts = Parts::new(arriving(BODY, size, true), "b");
        let fields = parts.next().await.unwrap().unwrap();
        assert_eq!(fields.get("content-type"), Some("application/dicom"));
        assert_eq!(read(&mut parts, capacity).await.unwrap(), b"first\r\n--bx\r", "{size} {capacity}");
        assert!(parts.next().await.unwrap().is_some());
        assert_eq!(read(&mut parts, capacity).await.unwrap(), b"");
        assert!(parts.next().await.unwrap().is_some());
        assert_eq!(read(&mut parts, capacity).await.unwrap(), b"last");
        assert_eq!(parts.next().await.unwrap(), None);
        parts.finish().await;
    }
}

#[tokio::test]
async fn an_unread_part_is_passed_over() {
    for size in [1, 5, 1000] {
        let mut parts = Parts::new(arriving(BODY, size, true), "b");
        parts.next().await.unwrap().unwrap();
        let mut buf = Vec::with_capacity(2);
        assert!(!parts.fill(&mut buf).await.unwrap());
        parts.next().await.unwrap().unwrap();
        parts.next().await.unwrap().unwrap();
        assert_eq!(read(&mut parts, 64).await.unwrap(), b"last");
    }
}

#[tokio::test]
async fn an_unread_last_part_ends_with_the_last_byte_of_the_body() {
    for size in [1, 4, 1000] {
        let mut parts = Parts::new(arriving(b"--b\r\n\r\ndata\r\n--b--", size, true), "b");
        parts.next().await.unwrap().unwrap();
        assert_eq!(parts.next().await, Ok(None), "{size}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_told() {
    for cut in [0, 5, 20, 60, BODY.len() - 14] {
        let mut parts = Parts::new(arriving(&BODY[..cut], 9, true), "b");
        let stop = loop {
            match parts.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("cut at {cut}"),
                Err(stop) => break stop,
            }
        };
        assert_eq!(stop, Stop::Malformed(Malformed::Truncated), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_is_an_error() {
    let begun = b"--b\r\n\r\nsome data";
    let mut parts = Parts::new(arriving(begun, 4, true), "b");
    parts.next().await.unwrap().unwrap();
    assert_eq!(read(&mut parts, 64).await, Err(BodyError::Ended));
    let mut parts = Parts::new(arriving(begun, 4, false), "b");
    parts.next().await.unwrap().unwrap();
    assert_eq!(read(&mut parts, 64).await, Err(BodyError::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let stalled = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"--b\r\n\r\nsome")) });
    let body = Body::from_stream(futures_util::StreamExt::chain(stalled, stream::pending()));
    let mut parts = Parts::new(body, "b");
    parts.next().await.unwrap().unwrap();
    assert_eq!(read(&mut parts, 64).await, Err(BodyError::Stalled));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let started = tokio::time::Instant::now();
    let trickle = stream::unfold(b"--b\r\n\r\n".to_vec(), async |bytes| {
        tokio::time::sleep(std::time::Duration::from_secs(25)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from(bytes)), b"x".to_vec()))
    });
    let mut parts = Parts::new(Body::from_stream(trickle), "b");
    parts.next().await.unwrap().unwrap();
    assert_eq!(read(&mut parts, 4096).await, Err(BodyError::Stalled));
    assert_eq!(started.elapsed(), model::limits::HTTP_STALL_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn our_own_pauses_are_not_the_senders() {
    let mut parts = Parts::new(arriving(BODY, 1, true), "b");
    for _ in 0..3 {
        tokio::time::sleep(model::limits::HTTP_STALL_TIMEOUT * 2).await;
        parts.next().await.unwrap().unwrap();
    }
}
