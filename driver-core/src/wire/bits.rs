//! Sets of bits with a kebab-case name each, for configuration files and logs.

/// Declares a set of 32 bits with the functions and operators of a `bitflags` set, whose members are
/// named as users name them. (`bitflags` itself names a member by its Rust identifier, and its
/// `from_name` would take `DISPLAY_CHANGE` where a user writes `display-change`.)
///
/// `Display` joins the names with `|`, writes bits that have none as one hexadecimal number, and the
/// empty set as `none`.
macro_rules! named_bits {
    (
        $(#[$meta:meta])*
        pub struct $set:ident {
            $( $(#[$bit_meta:meta])* $bit:ident = $value:literal, $name:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $set(u32);

        impl $set {
            $( $(#[$bit_meta])* pub const $bit: Self = Self($value); )+

            /// Every bit with its name, lowest first.
            pub const NAMES: &'static [(&'static str, Self)] = &[ $( ($name, Self::$bit), )+ ];

            /// The bit of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$bit), )+
                    _ => None,
                }
            }

            /// The name of a set that is exactly one known bit.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($name), )+
                    _ => None,
                }
            }

            /// No bit.
            pub const fn empty() -> Self {
                Self(0)
            }

            /// Every known bit.
            pub const fn all() -> Self {
                Self(0 $( | $value )+)
            }

            /// The set as the number that it is on the wire.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// The set of this number, unless it has unknown bits.
            pub const fn from_bits(bits: u32) -> Option<Self> {
                if bits & !Self::all().0 == 0 { Some(Self(bits)) } else { None }
            }

            /// The set of this number, unknown bits included.
            pub const fn from_bits_retain(bits: u32) -> Self {
                Self(bits)
            }

            /// The set of this number without its unknown bits.
            pub const fn from_bits_truncate(bits: u32) -> Self {
                Self(bits & Self::all().0)
            }

            /// Whether no bit is in it.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether every bit of `other` is in it.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is in it.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The bits of either.
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The bits of both.
            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// The bits that are not in `other`.
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Adds bits.
            pub const fn insert(&mut self, other: Self) {
                self.0 |= other.0;
            }

            /// Removes bits.
            pub const fn remove(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// The known bits in it one by one, lowest first.
            pub fn iter(self) -> impl Iterator<Item = Self> {
                Self::NAMES.iter().map(|(_, bit)| *bit).filter(move |bit| self.contains(*bit))
            }
        }

        impl std::ops::BitOr for $set {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl std::ops::BitAnd for $set {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                self.intersection(other)
            }
        }

        impl std::ops::Sub for $set {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                self.difference(other)
            }
        }

        impl std::ops::Not for $set {
            type Output = Self;
            /// The known bits that are not in it.
            fn not(self) -> Self {
                Self::all().difference(self)
            }
        }

        impl std::ops::BitOrAssign for $set {
            fn bitor_assign(&mut self, other: Self) {
                self.insert(other);
            }
        }

        impl std::ops::BitAndAssign for $set {
            fn bitand_assign(&mut self, other: Self) {
                self.0 &= other.0;
            }
        }

        impl std::ops::SubAssign for $set {
            fn sub_assign(&mut self, other: Self) {
                self.remove(other);
            }
        }

        impl FromIterator<$set> for $set {
            fn from_iter<I: IntoIterator<Item = $set>>(sets: I) -> Self {
                sets.into_iter().fold(Self::empty(), Self::union)
            }
        }

        impl std::fmt::Display for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                if self.is_empty() {
                    return f.write_str("none");
                }
                let mut separator = "";
                for (name, bit) in Self::NAMES {
                    if self.contains(*bit) {
                        write!(f, "{separator}{name}")?;
                        separator = "|";
                    }
                }
                let unnamed = self.0 & !Self::all().0;
                if unnamed != 0 {
                    write!(f, "{separator}{unnamed:#x}")?;
                }
                Ok(())
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($set), "({})"), self)
            }
        }
    };
}

pub(super) use named_bits;
