//! [`ReadyFamily`]: a family that somebody else has written, and where it goes among the others.

/// A family of the page with its text.
#[derive(Debug)]
pub(crate) struct ReadyFamily {
    name: String,
    text: Vec<u8>,
}

/// Families by name, some of them written already.
#[derive(Debug, Default)]
pub(crate) struct ReadyFamilies {
    families: Vec<ReadyFamily>,
    written: usize,
}

#[cfg(feature = "collect")]
impl ReadyFamily {
    pub(crate) fn new(name: String, text: Vec<u8>) -> Self {
        Self { name, text }
    }
}

impl ReadyFamilies {
    /// From families in the order of their names.
    pub(crate) fn new(families: Vec<ReadyFamily>) -> Self {
        let written = 0;
        Self { families, written }
    }

    /// How many bytes they are in all.
    pub(crate) fn len(&self) -> usize {
        self.families.iter().map(|family| family.text.len()).sum()
    }

    /// Whether one of them, written or not, has that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let found = self
            .families
            .binary_search_by(|family| family.name.as_str().cmp(name));
        found.is_ok()
    }

    /// Writes those that come before a family of that name.
    pub(crate) fn write_before(&mut self, name: &str, page: &mut Vec<u8>) {
        self.write_while(page, |family| family.name.as_str() < name);
    }

    /// Writes the rest.
    pub(crate) fn write_rest(&mut self, page: &mut Vec<u8>) {
        self.write_while(page, |_| true);
    }

    fn write_while(&mut self, page: &mut Vec<u8>, is_next: impl Fn(&ReadyFamily) -> bool) {
        while let Some(family) = self.families.get(self.written)
            && is_next(family)
        {
            page.extend_from_slice(&family.text);
            self.written += 1;
        }
    }
}
