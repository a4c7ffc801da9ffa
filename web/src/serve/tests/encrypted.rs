//! TLS: the handshake is bounded as a header is, and everything behind it as without.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

const NAME: &str = "chat.example";

/// The files of a certificate that signs itself.
struct Certificate {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Certificate {
        let mut certificate = Certificate { folder: TempDir::new().unwrap(), der: CertificateDer::from(Vec::new()) };
        certificate.renew();
        certificate
    }

    /// Writes another certificate into the same files.
    fn renew(&mut self) {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        write(&self.folder.path().join("cert.pem"), "CERTIFICATE", made.cert.der());
        write(&self.folder.path().join("key.pem"), "PRIVATE KEY", &made.signing_key.serialize_der());
        self.der = made.cert.der().clone();
    }

    fn tls(&self, handshake_timeout: Span) -> Arc<ServerTls> {
        let file = |name: &str| self.folder.path().join(name);
        let config = tls::ServerConfig { cert_file: file("cert.pem"), key_file: file("key.pem"), handshake_timeout };
        ServerTls::load("ingest.tls", &config).unwrap().expect("it is on")
    }

    /// Connects, and accepts this certificate alone. Err: the handshake failed.
    async fn connect(&self, stream: TcpStream, protocol: Option<&[u8]>) -> io::Result<TlsStream<TcpStream>> {
        let mut authorities = RootCertStore::empty();
        authorities.add(self.der.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(authorities);
        let mut client = client.with_no_client_auth();
        client.alpn_protocols = protocol.into_iter().map(<[u8]>::to_vec).collect();
        TlsConnector::from(Arc::new(client)).connect(NAME.try_into().unwrap(), stream).await
    }

    async fn send(&self, server: &Server, request: &str) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut stream = self.connect(stream, None).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn write(file: &Path, label: &str, der: &[u8]) {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(der);
    std::fs::write(file, format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")).unwrap();
}

async fn server(certificate: &Certificate, timeout_ms: u64, change: impl FnOnce(&mut ServeConfig)) -> Server {
    let tls = certificate.tls(Span::from_millis(timeout_ms));
    Server::start_with(large(), NoFastPath, Some(tls), change).await
}

/// What comes until the end, however that comes.
async fn answered(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"));
}

/// The first 10,000 bytes of a record of 16 KB, as of a client hello.
fn begun_record() -> Vec<u8> {
    let mut record = vec![0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03];
    record.resize(10_000, 0);
    record
}

#[tokio::test]
async fn requests_are_answered_over_tls_as_http_1_1_and_no_other_protocol_is_spoken() {
    let certificate = Certificate::new();
    let server = server(&certificate, 5_000, |_| {}).await;
    let here = "GET /here HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = certificate.send(&server, here).await;
    let mut piece = [0; 4_096];
    let some = stream.read(&mut piece).await.unwrap();
    assert!(piece[..some].ends_with(b"here"), "{}", String::from_utf8_lossy(&piece[..some]));
    stream.write_all(LAST.as_bytes()).await.unwrap();
    assert!(answered(&mut stream).await.ends_with("here"), "a second request on the same connection");

    let connect = async |protocol: Option<&[u8]>| {
        certificate.connect(TcpStream::connect(server.address).await.unwrap(), protocol).await
    };
    let agreed = connect(Some(b"http/1.1")).await.unwrap();
    assert_eq!(agreed.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(connect(Some(b"h2")).await.is_err());
    let mut plain = server.send(LAST).await;
    assert!(!answered(&mut plain).await.contains("HTTP/"), "a request without TLS has no answer");
}

#[tokio::test]
async fn a_handshake_that_is_not_done_in_time_ends_the_connection_and_is_counted() {
    let certificate = Certificate::new();
    let server = server(&certificate, 50, |_| {}).await;
    for begun in [&b""[..], &begun_record()] {
        let mut stream = server.send("").await;
        stream.write_all(begun).await.unwrap();
        assert_eq!(answered(&mut stream).await, "");
    }
    eventually("both are counted", || server.metrics.failed_handshakes.get() == 2).await;
}

#[tokio::test]
async fn an_unfinished_handshake_makes_room_for_others() {
    let certificate = Certificate::new();
    let server = server(&certificate, 60_000, |config| config.max_connections = 1).await;
    for begun in [&b""[..], &begun_record()] {
        let mut first = server.send("").await;
        first.write_all(begun).await.unwrap();
        assert!(answered(&mut certificate.send(&server, LAST).await).await.ends_with("here"));
        assert_eq!(answered(&mut first).await, "");
    }
}

#[tokio::test]
async fn what_unfinished_handshakes_hold_is_bounded_together_and_finished_ones_hold_nothing() {
    let certificate = Certificate::new();
    let server = server(&certificate, 60_000, |config| config.max_held_size = Size::from_bytes(25_000)).await;
    let _finished = certificate.send(&server, "").await;
    eventually("the finished handshake is not held", || server.connections() == 1 && server.held() == 0).await;
    let mut begun = Vec::new();
    for _ in 0..3 {
        let mut stream = server.send("").await;
        stream.write_all(&begun_record()).await.unwrap();
        begun.push(stream);
    }
    assert_eq!(answered(&mut begun[0]).await, "", "the oldest is pushed out");
    eventually("the others are within the bound", || server.held() <= 25_000).await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up_over_tls_too() {
    let certificate = Certificate::new();
    let server = server(&certificate, 5_000, |config| {
        config.write_timeout = Span::from_millis(200);
        config.header_timeout = Span::from_secs(60);
        config.max_held_size = Size::from_bytes(1 << 30);
    })
    .await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = certificate.connect(socket.connect(server.address).await.unwrap(), None).await.unwrap();
    stream.write_all("GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20).as_bytes()).await.unwrap();
    eventually("the connection is given up", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_slow_but_steady_reader_gets_everything_over_tls_too() {
    let certificate = Certificate::new();
    let server = server(&certificate, 5_000, |config| {
        config.write_timeout = Span::from_secs(2);
        config.max_held_size = Size::from_bytes(8 << 20);
    })
    .await;
    let mut stream = certificate.send(&server, "GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (mut all, mut piece) = (0, vec![0; 128 * 1024]);
    loop {
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            some => all += some,
        }
        // 256 records of 16 KB: in all longer than the write timeout.
        sleep(Duration::from_millis(10)).await;
    }
    assert!(all > 4 << 20, "{all}");
    eventually("nothing is held of an answer that was read", || server.held() == 0).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let mut certificate = Certificate::new();
    let tls = certificate.tls(Span::from_secs(5));
    let server = Server::start_with(large(), NoFastPath, Some(tls.clone()), |_| {}).await;
    let mut open = certificate.send(&server, "").await;
    certificate.renew();
    assert_eq!(tls.reload_if_changed(), Some(Ok(true)));
    assert!(answered(&mut certificate.send(&server, LAST).await).await.ends_with("here"));
    open.write_all(LAST.as_bytes()).await.unwrap();
    assert!(answered(&mut open).await.ends_with("here"));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_handshakes() {
    let certificate = Certificate::new();
    let server = server(&certificate, 60_000, |config| config.grace = Span::from_secs(60)).await;
    let _begun = server.send("").await;
    eventually("it is accepted", || server.connections() == 1).await;
    server.stop.cancel();
    server.stopped().await;
}
