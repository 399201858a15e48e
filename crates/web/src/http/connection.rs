//! A connection, plain or with TLS, and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::patient::Patient;
use super::respond::respond;
use crate::access::News;
use crate::server::{Shared, Stream};

/// How long a connection made under older settings may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client that is refused may take to hear of it.
const REFUSING: Duration = Duration::from_secs(1);

/// Bytes that a client that is refused may send meanwhile.
const OVERHEARD: u64 = 64 * 1024;

/// Headers of a request; a browser sends about twenty.
const MOST_HEADERS: usize = 64;

/// The least that hyper takes for its buffer.
const LEAST_BUFFER: usize = 8192;

/// How a client has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// Over TCP.
    Tcp {
        /// Whether to an address that only this host reaches.
        loopback: bool,
    },
    /// Over a Unix socket.
    Unix,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(shared: &Arc<Shared>, stream: Stream) {
    let (settings, news) = shared.gate.enter(&*shared.site);
    match (stream, &settings.tls) {
        (Stream::Unix(stream), _) => speak(shared, Route::Unix, news, stream).await,
        (Stream::Tcp(stream), tls) => {
            let loopback = stream.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
            let route = Route::Tcp { loopback };
            let Some(tls) = tls else { return speak(shared, route, news, stream).await };
            let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(stream);
            if let Ok(Ok(stream)) = timeout(shared.limits.request, handshake).await {
                speak(shared, route, news, stream).await;
            }
        }
    }
}

/// Tells a client that there are too many, without waiting for what it asks. Then it is heard for a moment: closing on
/// unread bytes would reset the connection, and the client might not see the answer.
pub(crate) async fn refuse(stream: Stream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 21\r\nRetry-After: 1\r\nConnection: close\r\n\r\ntoo many connections\n";
    async fn tell(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(OVERHEARD), &mut tokio::io::sink()).await.map(drop)
    }
    // It is refused, whether it hears of it or not.
    let _ = match stream {
        Stream::Tcp(stream) => timeout(REFUSING, tell(stream)).await,
        Stream::Unix(stream) => timeout(REFUSING, tell(stream)).await,
    };
}

async fn speak<S>(shared: &Arc<Shared>, route: Route, mut news: watch::Receiver<News>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let last = AtomicBool::new(false);
    let service = service_fn(|request| {
        let last = &last;
        async move {
            let mut response = respond(shared, route, request).await;
            if last.load(Ordering::Relaxed) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(shared.limits.head_bytes.max(LEAST_BUFFER))
        .max_headers(MOST_HEADERS)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(Patient::new(stream, shared.limits)), service);
    let mut connection = pin!(connection);
    // How a connection ends is the client's affair.
    if ends_before(connection.as_mut(), news.changed()).await {
        return;
    }
    if *news.borrow() == News::Ending {
        connection.as_mut().graceful_shutdown();
    }
    // Otherwise a request that may be on its way is answered still.
    last.store(true, Ordering::Relaxed);
    let _ = timeout(GRACE, connection).await;
}

/// Whether the first future is ready first.
async fn ends_before<A: Future, B: Future>(mut first: Pin<&mut A>, second: B) -> bool {
    let mut second = pin!(second);
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => second.as_mut().poll(cx).map(|_| false),
    })
    .await
}
