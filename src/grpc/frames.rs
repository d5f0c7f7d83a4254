//! [`Frames`]: finds the gRPC messages of a body and their sizes.

use std::io::IoSlice;

use bytes::Buf;

/// Bytes before each message: a compression flag and the length of the message, big-endian.
const HEAD: u8 = 5;

/// The position in a body of length-prefixed messages.
///
/// A message is reported when its last byte passes. Bytes are not copied. Only the head of a message is read,
/// so compressed messages are reported as well, with their compressed size.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// Bytes of the current head that have passed.
    head: u8,
    /// The length of the current message. While the head passes, its length so far.
    len: u32,
    /// Bytes of the current message that have passed.
    passed: u32,
    /// Whether a buffer could not be read completely. From then on, the position is unknown and no message is
    /// reported.
    unreadable: bool,
}

impl Frames {
    /// Calls `message` with the size of each message that ends in this piece of the body.
    #[inline]
    pub(crate) fn pass(&mut self, data: &impl Buf, mut message: impl FnMut(u32)) {
        let first = data.chunk();
        if first.len() == data.remaining() {
            self.read(first, &mut message);
        } else {
            self.pass_pieces(data, &mut message);
        }
    }

    /// Handles a buffer of several chunks. They can be read only if the buffer implements `chunks_vectored`.
    #[cold]
    fn pass_pieces(&mut self, data: &impl Buf, message: &mut impl FnMut(u32)) {
        let mut pieces = [IoSlice::new(&[]); 32];
        let count = data.chunks_vectored(&mut pieces);
        let pieces = &pieces[..count];
        let seen: usize = pieces.iter().map(|piece| piece.len()).sum();
        pieces.iter().for_each(|piece| self.read(piece, message));
        self.unreadable |= seen < data.remaining();
    }

    fn read(&mut self, mut bytes: &[u8], message: &mut impl FnMut(u32)) {
        if self.unreadable {
            return;
        }
        loop {
            while self.head < HEAD {
                let Some((&byte, rest)) = bytes.split_first() else {
                    return;
                };
                if self.head > 0 {
                    self.len = self.len << 8 | u32::from(byte);
                }
                self.head += 1;
                bytes = rest;
            }
            let passed = bytes.len().min((self.len - self.passed) as usize);
            self.passed += passed as u32;
            bytes = &bytes[passed..];
            if self.passed < self.len {
                return;
            }
            message(self.len);
            *self = Self::default();
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

    fn state(frames: Frames) -> (u8, u32, u32, bool) {
        let Frames {
            head,
            len,
            passed,
            unreadable,
        } = frames;
        (head, len, passed, unreadable)
    }

    /// The sizes of the messages that end in this piece.
    fn sizes(frames: &mut Frames, data: &impl Buf) -> Vec<u32> {
        let mut sizes = Vec::new();
        frames.pass(data, |size| sizes.push(size));
        sizes
    }

    /// Tests every range of a body, including empty ones, from the state after the bytes before it. The range
    /// must report the messages that end in it, and leave the same state as all bytes up to its end in one buffer.
    /// By induction, a body reports the same however it is split into buffers.
    #[test]
    fn messages_are_reported_however_the_body_is_split() {
        let lengths: [u32; 15] = [0, 1, 2, 3, 4, 5, 6, 0, 0, 254, 255, 256, 257, 0, 13];
        // Adjacent bytes of a message differ, so a head that is read at a wrong position has another length.
        let message = |length: u32| (0..length).map(|i| (i * 31 + length) as u8).collect();
        let messages: Vec<Vec<u8>> = lengths.into_iter().map(message).collect();
        let body = framed(&messages);
        let ends: Vec<usize> = messages
            .iter()
            .scan(0, |end, message| {
                *end += usize::from(HEAD) + message.len();
                Some(*end)
            })
            .collect();
        let whole = |length| ends.iter().filter(|end| **end <= length).count();
        let of = |messages: std::ops::Range<usize>| &lengths[messages];

        let prefixes: Vec<(Frames, usize)> = (0..=body.len())
            .map(|end| {
                let mut frames = Frames::default();
                let sizes = sizes(&mut frames, &body.slice(..end));
                assert_eq!(sizes, of(0..whole(end)), "bytes to {end}");
                (frames, sizes.len())
            })
            .collect();
        for (start, (before, counted_before)) in prefixes.iter().enumerate() {
            for (end, (after, counted)) in prefixes.iter().enumerate().skip(start) {
                let mut frames = *before;
                let sizes = sizes(&mut frames, &body.slice(start..end));
                assert_eq!(
                    sizes,
                    of(*counted_before..*counted),
                    "bytes {start} to {end}"
                );
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
            assert!(sizes(&mut frames, &head.slice(..split)).is_empty());
            assert!(sizes(&mut frames, &head.slice(split..)).is_empty());
            assert_eq!(
                state(frames),
                (HEAD, 0x1234_5678, 0, false),
                "split at {split}"
            );
        }
    }

    #[test]
    fn non_contiguous_buffer_is_read_completely() {
        let mut body = framed(&[vec![1; 10], vec![], vec![2; 20]]);
        let start = body.split_to(3);
        let mut frames = Frames::default();
        assert_eq!(sizes(&mut frames, &start.chain(body)), [10, 0, 20]);
    }

    #[test]
    fn nothing_is_reported_after_a_buffer_whose_chunk_is_incomplete() {
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
        assert!(sizes(&mut frames, &FirstByteOnly(body.clone())).is_empty());
        assert!(sizes(&mut frames, &body).is_empty());
    }

    #[test]
    fn message_of_four_gigabytes_is_not_reported_before_its_end() {
        let mut frames = Frames::default();
        let data = [0, 255, 255, 255, 255, 0, 0, 0, 0, 0];
        assert!(sizes(&mut frames, &&data[..]).is_empty());
        assert_eq!(state(frames), (HEAD, u32::MAX, 5, false));
    }
}
