//! Enums whose variants have a name: in JSON, on the wire and in logs.

/// The text names no variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("expected one of: {}", names.join(", "))]
pub struct ParseNameError {
    names: &'static [&'static str],
}

impl ParseNameError {
    pub(crate) const fn new(names: &'static [&'static str]) -> Self {
        ParseNameError { names }
    }

    /// The names that are accepted.
    ///
    /// # Examples
    /// ```
    /// let error = "chief".parse::<disband::Rank>().unwrap_err();
    /// assert_eq!(error.expected(), ["member", "admin", "owner"]);
    /// ```
    #[must_use]
    pub const fn expected(&self) -> &'static [&'static str] {
        self.names
    }
}

/// `ALL`, `name`, `Display` and `FromStr` for an enum without data. If the enum has serde, its names
/// must be the same.
macro_rules! named {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// The name in text, and in JSON if the type is serialised. [`Rank`](crate::Rank) has an
            /// example.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::name::ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok($type::$variant),)+
                    _ => Err($crate::name::ParseNameError::new(&[$($name),+])),
                }
            }
        }
    };
}

pub(crate) use named;
