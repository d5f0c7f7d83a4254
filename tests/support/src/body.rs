//! A body whose frames, errors and panics a test chooses.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What one poll of a [`ScriptedBody`] does.
#[derive(Clone, Debug)]
pub enum Step {
    Data(&'static str),
    Trailers,
    Error,
    Panic,
    /// Returns `Pending`, at all later polls too.
    Hang,
}

/// A body that takes one step at each poll and then ends.
#[derive(Clone, Debug, Default)]
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    /// Whether `is_end_stream` is true after the last step, as it is for `Full`.
    pub reports_end_of_stream: bool,
    /// The exact size that `size_hint` returns, in bytes.
    pub exact_size: Option<u64>,
}

impl ScriptedBody {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A body with these data frames that reports neither its size nor its end.
    pub fn stream(frames: &[&'static str]) -> Self {
        Self::new(frames.iter().copied().map(Step::Data))
    }

    /// A body with at most one data frame that reports its size and its end, as `Full` does.
    pub fn full(text: &'static str) -> Self {
        Self {
            reports_end_of_stream: true,
            exact_size: Some(text.len() as u64),
            ..Self::new((!text.is_empty()).then_some(Step::Data(text)))
        }
    }
}

impl Body for ScriptedBody {
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
        self.reports_end_of_stream && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact_size
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
