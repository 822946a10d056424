//! Outputs: what a monitor is plugged into, and the layout they make together.

/// Where an output stands and how large it is, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// Distance of the left edge from the desktop's left edge.
    pub x: i32,
    /// Distance of the upper edge from the desktop's upper edge.
    pub y: i32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// One output as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The desktop's name for it, as `DUMMY0` or `Virtual-1`.
    pub name: String,
    /// What it shows; `None` when it is off.
    pub area: Option<Area>,
    /// Whether it is the primary one.
    pub primary: bool,
}

/// What is wanted of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The output's name.
    pub name: String,
    /// Where and how large; `None` switches it off.
    pub area: Option<Area>,
    /// Whether it is to be the primary one; at most one may be.
    pub primary: bool,
}

/// What became of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether anything had to be changed.
    pub changed: bool,
    /// The whole desktop's width in pixels.
    pub width: u32,
    /// The whole desktop's height in pixels.
    pub height: u32,
    /// Every output as it is now, in the order of [`Outputs::enumerate`].
    pub outputs: Vec<Output>,
}

/// Why a desktop did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no desktop to be reached right now; there may be later.
    #[error("{0}")]
    Unavailable(String),
    /// Something else had it, or took it, first.
    #[error("{0}")]
    Busy(String),
    /// What was asked is wrong whatever the desktop: the text says what and why.
    #[error("{0}")]
    Invalid(String),
    /// This desktop cannot do it.
    #[error("{0}")]
    NotSupported(String),
    /// The desktop refused or failed; what was there before was restored as far as possible.
    #[error("{0}")]
    Failed(String),
}

/// The outputs of one desktop.
///
/// Implementations reconnect by themselves: an [`Error::Unavailable`] says nothing of the next call.
pub trait Outputs: Send + Sync {
    /// Which desktop this is, for people.
    fn describe(&self) -> String;

    /// All outputs, in an order that stays the same.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the desktop cannot be reached, [`Error::NotSupported`] when its
    /// outputs cannot be asked for, [`Error::Failed`] when it refused.
    fn enumerate(&self) -> Result<Vec<Output>, Error>;

    /// Makes the desktop look like this: all of it, or none. Outputs not named stay as they are.
    ///
    /// What holds on every desktop:
    /// - A size that no mode has gets a mode, and the desktop grows and shrinks to fit. Outputs may
    ///   overlap and may leave gaps.
    /// - The desktop starts at 0,0. When an edge would be left of or above it, everything moves right
    ///   or down by as much; [`Outcome::outputs`] says where each output ended up.
    /// - When no placement is primary, the primary output stays so; if it is one of those switched off
    ///   here, the first output that is on takes its place.
    /// - At least one output stays on.
    /// - A layout that changes nothing touches nothing, and says so in [`Outcome::changed`].
    ///
    /// # Errors
    /// - [`Error::Invalid`]: an output that is not there or is named twice, a width or height of 0, more
    ///   than one primary output or one that is off, no output on.
    /// - [`Error::NotSupported`]: more than this desktop can show.
    /// - [`Error::Failed`]: the desktop refused.
    /// - [`Error::Unavailable`]: the desktop cannot be reached.
    ///
    /// After any of them the desktop is as it was before, except that one which went away in the middle
    /// keeps what it had done by then.
    fn apply(&self, layout: &[Placement]) -> Result<Outcome, Error>;
}
