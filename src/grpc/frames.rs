//! [`Frames`]: counts the gRPC messages of a body.

use std::io::IoSlice;

use bytes::Buf;

/// Bytes before each message: a compression flag and the length of the message, big-endian.
const HEAD: u8 = 5;

/// The position in a body of length-prefixed messages.
///
/// A message is counted when its last byte passes. Bytes are not copied. Only the head of a message is read,
/// so compressed messages are counted as well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// Bytes of the current head that have passed.
    head: u8,
    /// Remaining bytes of the current message. While the head passes, its length so far.
    left: u32,
    /// Whether a buffer could not be read completely. From then on, the position is unknown and no message is
    /// counted.
    unreadable: bool,
}

impl Frames {
    /// Returns the number of messages that end in this piece of the body.
    #[inline]
    pub(crate) fn pass(&mut self, data: &impl Buf) -> u64 {
        let first = data.chunk();
        if first.len() == data.remaining() {
            self.read(first)
        } else {
            self.pass_pieces(data)
        }
    }

    /// Handles a buffer of several chunks. They can be read only if the buffer implements `chunks_vectored`.
    #[cold]
    fn pass_pieces(&mut self, data: &impl Buf) -> u64 {
        let mut pieces = [IoSlice::new(&[]); 32];
        let count = data.chunks_vectored(&mut pieces);
        let pieces = &pieces[..count];
        let seen: usize = pieces.iter().map(|piece| piece.len()).sum();
        let messages = pieces.iter().map(|piece| self.read(piece)).sum();
        self.unreadable |= seen < data.remaining();
        messages
    }

    fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        if self.unreadable {
            return messages;
        }
        loop {
            while self.head < HEAD {
                let Some((&byte, rest)) = bytes.split_first() else {
                    return messages;
                };
                if self.head > 0 {
                    self.left = self.left << 8 | u32::from(byte);
                }
                self.head += 1;
                bytes = rest;
            }
            let passed = bytes.len().min(self.left as usize);
            self.left -= passed as u32;
            bytes = &bytes[passed..];
            if self.left > 0 {
                return messages;
            }
            messages += 1;
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Bytes {
        let mut body = BytesMut::new();
        for (i, message) in messages.iter().enumerate() {
            body.put_u8(u8::from(i % 2 == 1));
            body.put_u32(message.len() as u32);
            body.put_slice(message);
        }
        body.freeze()
    }

    fn state(frames: Frames) -> (u8, u32, bool) {
        (frames.head, frames.left, frames.unreadable)
    }

    /// Tests every range of a body, including empty ones, from the state after the bytes before it. The range
    /// must count the messages that end in it, and leave the same state as all bytes up to its end in one buffer.
    /// By induction, a body counts the same however it is split into buffers.
    #[test]
    fn messages_are_counted_however_the_body_is_split() {
        let lengths = [0, 1, 2, 3, 4, 5, 6, 0, 0, 254, 255, 256, 257, 0, 13];
        // Adjacent bytes of a message differ, so a head that is read at a wrong position has another length.
        let message = |length: usize| (0..length).map(|i| (i * 31 + length) as u8).collect();
        let messages: Vec<Vec<u8>> = lengths.into_iter().map(message).collect();
        let body = framed(&messages);
        let ends: Vec<usize> = messages
            .iter()
            .scan(0, |end, message| {
                *end += usize::from(HEAD) + message.len();
                Some(*end)
            })
            .collect();
        let whole = |length| ends.iter().filter(|end| **end <= length).count() as u64;

        let prefixes: Vec<(Frames, u64)> = (0..=body.len())
            .map(|end| {
                let mut frames = Frames::default();
                let counted = frames.pass(&body.slice(..end));
                assert_eq!(counted, whole(end), "bytes to {end}");
                (frames, counted)
            })
            .collect();
        for (start, (before, counted_before)) in prefixes.iter().enumerate() {
            for (end, (after, counted)) in prefixes.iter().enumerate().skip(start) {
                let mut frames = *before;
                let messages = frames.pass(&body.slice(start..end));
                assert_eq!(messages, counted - counted_before, "bytes {start} to {end}");
                assert_eq!(state(frames), state(*after), "bytes {start} to {end}");
            }
        }
    }

    /// Tests all four bytes of a length, with the head split at every position.
    #[test]
    fn lengths_are_big_endian_wherever_their_head_is_split() {
        let head = Bytes::from_static(&[1, 0x12, 0x34, 0x56, 0x78]);
        for split in 0..=head.len() {
            let mut frames = Frames::default();
            assert_eq!(frames.pass(&head.slice(..split)), 0);
            assert_eq!(frames.pass(&head.slice(split..)), 0);
            assert_eq!(
                state(frames),
                (HEAD, 0x1234_5678, false),
                "split at {split}"
            );
        }
    }

    #[test]
    fn non_contiguous_buffer_is_read_completely() {
        let mut body = framed(&[vec![1; 10], vec![], vec![2; 20]]);
        let start = body.split_to(3);
        let mut frames = Frames::default();
        assert_eq!(frames.pass(&start.chain(body)), 3);
    }

    #[test]
    fn nothing_is_counted_after_a_buffer_whose_chunk_is_incomplete() {
        /// A buffer whose chunk has only its first byte.
        struct FirstByteOnly(Bytes);
        impl Buf for FirstByteOnly {
            fn remaining(&self) -> usize {
                self.0.len()
            }
            fn chunk(&self) -> &[u8] {
                &self.0[..1]
            }
            fn advance(&mut self, n: usize) {
                self.0.advance(n);
            }
        }
        let body = framed(&[vec![0; 10]]);
        let mut frames = Frames::default();
        assert_eq!(frames.pass(&FirstByteOnly(body.clone())), 0);
        assert_eq!(frames.pass(&body), 0);
    }

    #[test]
    fn message_of_four_gigabytes_is_not_counted_before_its_end() {
        let mut frames = Frames::default();
        assert_eq!(frames.pass(&&[0, 255, 255, 255, 255, 0, 0, 0, 0, 0][..]), 0);
        assert_eq!(frames.left, u32::MAX - 5);
    }
}
