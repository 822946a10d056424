//! What the guest tells the host it can do.

use super::bits::named_bits;

named_bits! {
    /// Guest capabilities (requests 55 and 56; `VMMDEV_GUEST_SUPPORTS_*`).
    pub struct Capabilities {
        /// The guest reports its visible region and follows seamless mode.
        SEAMLESS = 0x1, "seamless";
        /// The guest maps its windows to host windows one by one; no host uses it.
        WINDOW_MAPPING = 0x2, "window-mapping";
        /// The guest's display follows the host's wishes.
        GRAPHICS = 0x4, "graphics";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_capabilities_have_the_documented_numbers_and_names() {
        for (bits, name) in [(1, "seamless"), (2, "window-mapping"), (4, "graphics")] {
            assert_eq!(Capabilities::from_name(name).map(|bit| bit.bits()), Some(bits));
            assert_eq!(Capabilities::from_bits_retain(bits).name(), Some(name));
        }
        assert_eq!(Capabilities::all().bits(), 7);
    }
}
