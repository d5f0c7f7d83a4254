//! [`Scripted`]: a response body that does as it is told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What a body does when it is polled next.
#[derive(Clone, Debug)]
pub enum Step {
    Data(&'static str),
    Trailers,
    Error,
    Panic,
    /// Nothing, and nothing after that.
    Hang,
}

/// A body that takes its steps and then ends.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    steps: VecDeque<Step>,
    /// Says `is_end_stream` after the last step, as `Full` does.
    pub knows_its_end: bool,
    /// Says how long it is.
    pub length: Option<u64>,
}

impl Scripted {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A stream whose length nobody knows.
    pub fn stream(pieces: &[&'static str]) -> Self {
        Self::new(pieces.iter().copied().map(Step::Data))
    }

    /// A body like `Full`: it knows its length and its end.
    pub fn full(text: &'static str) -> Self {
        Self {
            knows_its_end: true,
            length: Some(text.len() as u64),
            ..Self::new((!text.is_empty()).then_some(Step::Data(text)))
        }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let Some(step) = self.steps.pop_front() else {
            return Poll::Ready(None);
        };
        Poll::Ready(match step {
            Step::Data(data) => Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))),
            Step::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-checksum", "1".parse().unwrap());
                Some(Ok(Frame::trailers(trailers)))
            }
            Step::Error => Some(Err("the body failed")),
            Step::Panic => panic!("the body panicked"),
            Step::Hang => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
