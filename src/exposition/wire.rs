//! [`Message`]: writes a protobuf message field by field.

/// The bytes of a protobuf message. Fields are written in the order of their numbers, as other encoders do.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// How the bytes of a field are read.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

impl Message {
    pub(crate) fn uint(&mut self, field: u32, n: u64) {
        self.tag(field, WireType::Varint);
        self.varint(n);
    }

    /// A signed integer that is small by absolute value: `sint32` or `sint64`.
    pub(crate) fn sint(&mut self, field: u32, n: i64) {
        self.uint(field, zigzag(n));
    }

    pub(crate) fn double(&mut self, field: u32, x: f64) {
        self.tag(field, WireType::Fixed64);
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    pub(crate) fn text(&mut self, field: u32, text: &str) {
        self.tag(field, WireType::Bytes);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A list of signed integers.
    pub(crate) fn packed_sints(&mut self, field: u32, numbers: impl Iterator<Item = i64>) {
        self.message(field, |list| {
            numbers.for_each(|n| list.varint(zigzag(n)));
        });
    }

    /// A message within this one.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        write(self);
        let end = self.0.len();
        // The length comes first, but is known last.
        self.tag(field, WireType::Bytes);
        self.varint((end - start) as u64);
        let header = self.0.len() - end;
        self.0[start..].rotate_right(header);
    }

    /// Returns the message with its length before it, and starts a new one.
    pub(crate) fn take_delimited(&mut self) -> Vec<u8> {
        let len = self.0.len();
        self.varint(len as u64);
        let header = self.0.len() - len;
        self.0.rotate_right(header);
        std::mem::take(&mut self.0)
    }

    fn tag(&mut self, field: u32, wire: WireType) {
        self.varint(u64::from(field << 3 | wire as u32));
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
}

/// Interleaves negative and positive numbers, so that those near 0 are short.
fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}
