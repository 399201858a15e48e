//! A connection whose other side has only so long for everything.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::Limits;

/// A stream that fails when the other side is too slow: with a request, between two, or with taking an answer. Speed does not
/// matter, only the whole time: who sends or takes a byte now and then is as slow as who does nothing.
pub(super) struct Patient<S> {
    stream: S,
    limits: Limits,
    /// Until when something must be read: a request begin, or end.
    reading: Pin<Box<Sleep>>,
    /// Whether a request has begun to come. It ends with the first byte that is written.
    begun: bool,
    /// Until when all that is to be written must be; `None` while nothing waits.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, limits: Limits) -> Self {
        Self { stream, limits, reading: Box::pin(sleep(limits.idle)), begun: false, writing: None }
    }

    fn wait_for_request(&mut self, patience: Duration) {
        self.reading.as_mut().reset(Instant::now() + patience);
    }

    /// What a write becomes.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(_)) => {
                self.begun = false;
                self.wait_for_request(self.limits.idle);
                outcome
            }
            Poll::Ready(Err(_)) => outcome,
            Poll::Pending => self.blocked(cx).map(Err),
        }
    }

    /// Whether the other side has had its time to take what was written.
    fn blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let taking = self.limits.taking;
        let writing = self.writing.get_or_insert_with(|| Box::pin(sleep(taking)));
        writing.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        if outcome.is_pending() {
            return this.reading.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if buf.filled().len() > before && !this.begun {
            this.begun = true;
            this.wait_for_request(this.limits.request);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The server flushes when it has written everything.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        if outcome.is_pending() {
            return this.blocked(cx).map(Err);
        }
        this.writing = None;
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        if outcome.is_pending() { this.blocked(cx).map(Err) } else { outcome }
    }
}
