//! What stands in for `collect` without that feature: there are no collectors, and nothing waits for them.

use std::task::{Context, Poll};

use http::HeaderMap;

use crate::exposition::{Format, ReadyFamily};

#[derive(Debug)]
pub(super) struct Calls;

#[derive(Debug)]
pub(super) struct Deadline;

#[derive(Debug)]
pub(super) struct Collectors;

impl Collectors {
    pub(super) fn new(_: &[(String, String)]) -> Self {
        Self
    }

    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn call(&self, _: Deadline) -> Calls {
        Calls
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings(());

impl Settings {
    pub(super) fn fails(&self) -> bool {
        false
    }

    pub(super) fn collection(&self, _: &Collectors, _: &HeaderMap) -> Option<Collection> {
        None
    }
}

#[derive(Debug)]
pub(super) struct Collection;

impl Collection {
    pub(super) fn deadline(&self) -> Deadline {
        Deadline
    }

    pub(super) fn poll(&mut self, _: &Calls, _: &mut Context<'_>) -> Poll<Collected> {
        Poll::Ready(Collected(()))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Collected(());

impl Collected {
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn failure(&self) -> Option<String> {
        None
    }

    pub(super) fn families(
        &self,
        _: Format,
        _: &[(String, String)],
        _: impl Fn(&str) -> bool,
    ) -> Vec<ReadyFamily> {
        Vec::new()
    }
}
