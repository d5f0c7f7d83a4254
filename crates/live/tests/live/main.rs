//! Tests of the live page through real sockets.

mod access;
mod layers;
mod limits;
mod native;
mod protocol;
mod servers;
mod viewer;
