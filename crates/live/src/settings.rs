//! [`Settings`]: history and limits of a live page.

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) has_history: bool,
    pub(crate) max_viewers: usize,
    pub(crate) max_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            has_history: true,
            max_viewers: 64,
            max_series: 20_000,
        }
    }
}
