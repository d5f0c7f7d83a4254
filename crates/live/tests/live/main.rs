//! Tests of the live page through real sockets.

mod access;
mod limits;
mod protocol;
mod servers;
mod viewer;
