//! What an application measures besides its requests.

mod description;

pub use self::description::{FamilyDescription, FamilyKind, LabelDescription, LabelValues};
