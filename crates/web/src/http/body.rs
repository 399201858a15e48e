//! What is sent after an answer's headers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::hub::Subscription;

/// A page, or events until they end.
#[derive(Debug)]
pub(super) enum Reply {
    /// The rest of a page.
    Page(Bytes),
    /// Events to come.
    Events(Subscription),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Page(rest) if rest.is_empty() => Poll::Ready(None),
            Self::Page(rest) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(rest))))),
            Self::Events(subscription) => {
                subscription.events.poll_recv(cx).map(|event| event.map(|e| Ok(Frame::data(e))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Page(rest) if rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(rest) => SizeHint::with_exact(rest.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
