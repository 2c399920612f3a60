//! One try against many kinds of receivers, over real sockets on loopback.

use std::io;
use std::net::SocketAddr;

use sniffer_engine::http::Direction;
use sniffer_packet::key::FlowId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{body_string, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

/// Much longer than a local answer takes, so that only a receiver that never answers reaches it.
const PATIENCE: Duration = Duration::from_millis(500);

fn client(url: &str, token: Option<&str>) -> Client {
    let token = token.and_then(|token| Token::new(token).unwrap());
    let url = Url::parse(url).unwrap();
    Client::new(&url, token.as_ref(), Resolver::new(&url, None)).unwrap()
}

fn key() -> Key {
    Key { connection: FlowId::default(), exchange: 7, direction: Direction::Response, interim: 1 }
}

async fn one_try(client: &Client) -> Attempt {
    client.post(key(), Bytes::from_static(b"{\"a\":1}")).await
}

#[track_caller]
fn retried_for(outcome: &Attempt, words: &str) {
    match outcome {
        Attempt::Retry { why, after: None } => assert!(why.contains(words), "{words} in {why}"),
        other => panic!("{other:?}"),
    }
}

/// Starts a receiver that treats every connection as told, after it has read a request.
async fn receiver(answer: impl AsyncFn(TcpStream) -> io::Result<()> + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = answer(stream).await;
        }
    });
    address
}

/// Posts to a receiver like that.
async fn tried(answer: impl AsyncFn(TcpStream) -> io::Result<()> + 'static) -> Attempt {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let address = receiver(answer).await;
            one_try(&client(&format!("http://{address}/"), None).with_timeout(PATIENCE)).await
        })
        .await
}

#[tokio::test]
async fn a_post_is_json_with_its_key_and_schema_and_the_token() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("content-type", "application/json"))
        .and(header("sniffer-schema", "1"))
        .and(header("authorization", "Bearer s3cret"))
        .and(header("idempotency-key", "0000000000000000-7-response-1"))
        .and(body_string("{\"a\":1}"))
        .respond_with(ResponseTemplate::new(204))
        .expect(2)
        .mount(&server)
        .await;
    let client = client(&server.uri(), Some("s3cret"));
    assert_eq!(one_try(&client).await, Attempt::Delivered);
    assert_eq!(one_try(&client).await, Attempt::Delivered, "equal on every try");
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn without_a_token_there_is_no_authorization() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    assert_eq!(one_try(&client(&server.uri(), None)).await, Attempt::Delivered);
    let requests = server.received_requests().await.unwrap();
    assert!(requests[0].headers.get("authorization").is_none());
}

#[tokio::test]
async fn answers_are_judged_by_their_status() {
    for (status, delivered, again) in [
        (200, true, false),
        (202, true, false),
        (301, false, false),
        (400, false, false),
        (401, false, false),
        (404, false, false),
        (408, false, true),
        (429, false, true),
        (500, false, true),
        (503, false, true),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let outcome = one_try(&client(&server.uri(), None)).await;
        assert_eq!(outcome == Attempt::Delivered, delivered, "{status}");
        assert_eq!(matches!(outcome, Attempt::Retry { .. }), again, "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_token_goes_nowhere_else() {
    let other = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let there = ResponseTemplate::new(status).insert_header("location", other.uri());
        Mock::given(method("POST")).respond_with(there).mount(&server).await;
        let outcome = one_try(&client(&server.uri(), Some("s3cret"))).await;
        assert_eq!(outcome, Attempt::Refused { why: format!("status {status}") });
    }
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let server = MockServer::start().await;
    let later = ResponseTemplate::new(429).insert_header("retry-after", "7");
    Mock::given(method("POST")).respond_with(later).mount(&server).await;
    let outcome = one_try(&client(&server.uri(), None)).await;
    assert_eq!(outcome, Attempt::Retry { why: "status 429".to_owned(), after: Some(Duration::from_secs(7)) });
}

#[tokio::test]
async fn nobody_listening_is_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = one_try(&client(&format!("http://{address}/?key=s3cret"), None)).await;
    retried_for(&outcome, "Connection refused");
    assert!(!format!("{outcome:?}").contains("s3cret"), "the URL is in no log: {outcome:?}");
}

#[tokio::test]
async fn a_reset_is_worth_another_try() {
    let outcome = tried(async |stream: TcpStream| stream.set_zero_linger()).await;
    assert!(matches!(outcome, Attempt::Retry { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_times_out() {
    let outcome = tried(async |stream: TcpStream| {
        // The connection is open as long as the test runs.
        std::mem::forget(stream);
        Ok(())
    })
    .await;
    retried_for(&outcome, "no answer within 0.5 s");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_and_never_ends_times_out() {
    let outcome = tried(async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await?;
        loop {
            stream.write_all(b"z").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    retried_for(&outcome, "no answer within");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_worth_another_try() {
    let outcome = tried(async |mut stream: TcpStream| stream.write_all(b"SSH-2.0-x\r\n").await).await;
    assert!(matches!(outcome, Attempt::Retry { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_body_that_hangs_does_not_undo_the_answer() {
    for (status, delivered) in [("200 OK", true), ("503 Busy", false)] {
        let outcome = tried(async move |mut stream: TcpStream| {
            stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 10\r\n\r\nabc").as_bytes()).await?;
            std::mem::forget(stream);
            Ok(())
        })
        .await;
        assert_eq!(outcome == Attempt::Delivered, delivered, "{outcome:?}");
    }
}

#[tokio::test]
async fn connections_are_reused() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_string("ok")).mount(&server).await;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            // A relay that counts connections.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, behind) = (listener.local_addr().unwrap(), *server.address());
            let count = std::rc::Rc::new(std::cell::Cell::new(0));
            let counted = std::rc::Rc::clone(&count);
            tokio::task::spawn_local(async move {
                while let Ok((mut near, _)) = listener.accept().await {
                    counted.set(counted.get() + 1);
                    let mut far = TcpStream::connect(behind).await.unwrap();
                    tokio::task::spawn_local(async move {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    });
                }
            });
            let client = client(&format!("http://{address}/"), None);
            for _ in 0..20 {
                assert_eq!(one_try(&client).await, Attempt::Delivered);
            }
            assert_eq!(count.get(), 1);
        })
        .await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(drop)
    });
    let outcome = one_try(&client(&format!("https://localhost:{port}/"), Some("s3cret"))).await;
    retried_for(&outcome, "certificate");
    assert!(server.await.unwrap().is_err(), "the handshake did not come to an end, so nothing was sent");
}
