//! The services as their users see them: their programs, requests with curl, and exact series on their metrics pages.

mod common;
mod late_recorder;
mod package_index;
mod sync_server;
