//! [`Frames`]: counts gRPC's messages in a body as they pass.

use std::io::IoSlice;

use bytes::Buf;

/// A flag and the length of the message, big-endian.
const HEAD: u8 = 5;

/// Where a body is between its messages.
///
/// A message is counted when its last byte passes. Bytes are looked at where they lie; of a message
/// only the head is read, so it makes no difference whether it is compressed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// Bytes of the head that have passed.
    head: u8,
    /// What the head says, then what is left of it.
    left: u32,
    /// Some bytes could not be seen, so nothing after them means anything.
    lost: bool,
}

impl Frames {
    /// How many messages end in this piece of the body.
    #[inline]
    pub(crate) fn pass(&mut self, data: &impl Buf) -> u64 {
        let first = data.chunk();
        if first.len() == data.remaining() {
            self.read(first)
        } else {
            self.pass_pieces(data)
        }
    }

    /// A buffer in pieces lets them be seen only if it knows `chunks_vectored`.
    #[cold]
    fn pass_pieces(&mut self, data: &impl Buf) -> u64 {
        let mut pieces = [IoSlice::new(&[]); 32];
        let count = data.chunks_vectored(&mut pieces);
        let pieces = &pieces[..count];
        let seen: usize = pieces.iter().map(|piece| piece.len()).sum();
        let messages = pieces.iter().map(|piece| self.read(piece)).sum();
        self.lost |= seen < data.remaining();
        messages
    }

    fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        if self.lost {
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
        (frames.head, frames.left, frames.lost)
    }

    /// Every piece of a body, empty ones included, from the state in which the bytes before it leave
    /// [`Frames`]: it counts the messages that end in it, and leaves the state in which all bytes up to its
    /// end, in one piece, leave it. So, by induction, any number of cuts at any places counts the same.
    #[test]
    fn messages_are_counted_in_every_piece_of_a_body() {
        let lengths = [0, 1, 2, 3, 4, 5, 6, 0, 0, 254, 255, 256, 257, 0, 13];
        // The messages' bytes are no two alike in a row: heads that are read in a wrong place say other lengths.
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

    /// All four bytes of a length, with the head cut at every place.
    #[test]
    fn lengths_are_big_endian_wherever_their_head_is_cut() {
        let head = Bytes::from_static(&[1, 0x12, 0x34, 0x56, 0x78]);
        for cut in 0..=head.len() {
            let mut frames = Frames::default();
            assert_eq!(frames.pass(&head.slice(..cut)), 0);
            assert_eq!(frames.pass(&head.slice(cut..)), 0);
            assert_eq!(state(frames), (HEAD, 0x1234_5678, false), "cut at {cut}");
        }
    }

    #[test]
    fn a_buffer_in_pieces_is_seen_whole() {
        let mut body = framed(&[vec![1; 10], vec![], vec![2; 20]]);
        let start = body.split_to(3);
        let mut frames = Frames::default();
        assert_eq!(frames.pass(&start.chain(body)), 3);
    }

    #[test]
    fn after_bytes_that_cannot_be_seen_nothing_is_counted() {
        /// Shows its first byte only.
        struct Shy(Bytes);
        impl Buf for Shy {
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
        assert_eq!(frames.pass(&Shy(body.clone())), 0);
        assert_eq!(frames.pass(&body), 0);
    }

    #[test]
    fn a_length_of_four_gigabytes_is_waited_for() {
        let mut frames = Frames::default();
        assert_eq!(frames.pass(&&[0, 255, 255, 255, 255, 0, 0, 0, 0, 0][..]), 0);
        assert_eq!(frames.left, u32::MAX - 5);
    }
}
