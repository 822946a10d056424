//! Whether anything may cross right now.

use crate::config::Config;

/// The property in which a host says whether the machine's window has the keyboard: "0" or "1".
pub const FOCUS: &str = "/VirtualBox/GuestAdd/GuiOnFocus";

/// Whether the machine has the focus, by that property's value. A host that does not say is taken to
/// have no other window.
pub fn has_focus(value: Option<&str>) -> bool {
    value != Some("0")
}

/// Whether anything may cross right now.
#[derive(Debug)]
pub struct Policy {
    only_with_focus: bool,
    not_while_locked: bool,
    focused: bool,
    locked: bool,
}

impl Policy {
    /// As configured, and as long as nothing is known against it.
    pub fn new(config: &Config) -> Self {
        let Config { only_with_focus, not_while_locked, .. } = *config;
        Policy { only_with_focus, not_while_locked, focused: true, locked: false }
    }

    /// Why nothing may cross, if so.
    pub fn closed(&self) -> Option<&'static str> {
        match self {
            Policy { not_while_locked: true, locked: true, .. } => Some("the session is locked"),
            Policy { only_with_focus: true, focused: false, .. } => {
                Some("the machine's window does not have the focus")
            }
            _ => None,
        }
    }

    /// Takes note of the focus. Whether that changed what may cross.
    pub fn focus(&mut self, focused: bool) -> bool {
        self.change(|policy| policy.focused = focused)
    }

    /// Takes note of the session. Whether that changed what may cross.
    pub fn lock(&mut self, locked: bool) -> bool {
        self.change(|policy| policy.locked = locked)
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.closed().is_some();
        change(self);
        self.closed().is_some() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_cross_depends_on_what_was_configured() {
        for (only_with_focus, not_while_locked) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let mut policy = Policy::new(&Config { only_with_focus, not_while_locked, ..Config::default() });
            assert_eq!(policy.closed(), None);
            assert_eq!(policy.focus(false), only_with_focus);
            assert_eq!(policy.closed().is_some(), only_with_focus);
            assert_eq!(policy.lock(true), not_while_locked && !only_with_focus);
            assert_eq!(policy.closed().is_some(), only_with_focus || not_while_locked);
            policy.focus(true);
            assert_eq!(policy.closed().is_some(), not_while_locked);
            policy.lock(false);
            assert_eq!(policy.closed(), None);
        }
    }

    #[test]
    fn only_a_zero_says_that_the_focus_is_elsewhere() {
        assert!(!has_focus(Some("0")));
        for value in [None, Some("1"), Some(""), Some("00")] {
            assert!(has_focus(value));
        }
    }
}
