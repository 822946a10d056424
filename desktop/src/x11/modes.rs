//! Modes of our own: a host's window can have any size, and monitors only know theirs.
//!
//! A mode outlives the connection that made it, so ours are known by their names, and those that
//! nothing uses are removed after each change: a thousand resizes leave one mode, not a thousand.

use x11rb::errors::ReplyError;
use x11rb::protocol::randr::{self, ConnectionExt as _, Mode, ModeFlag, ModeInfo};

use super::arrangement::Arrangement;
use super::connection::{Failure, Server, refusal};
use super::snapshot::{ModeNow, Snapshot};
use crate::Error;

/// How the names of our modes end: `1366x777_bellhop`.
const OURS: &str = "_bellhop";

/// What was added for an arrangement, so that it can be taken away again.
#[derive(Debug, Default)]
pub(super) struct Added {
    created: Vec<ModeInfo>,
    offered: Vec<(randr::Output, Mode)>,
}

impl Added {
    /// Makes the modes that an arrangement lacks, offers them to its outputs, and enters them in it.
    pub(super) fn provide(
        &mut self,
        server: &Server,
        snapshot: &Snapshot,
        wanted: &mut Arrangement,
    ) -> Result<(), Failure> {
        for head in wanted.heads.iter_mut().filter(|head| head.mode.is_none()) {
            let (width, height) = head.mode_size();
            let mode = match self.ours(snapshot, width, height) {
                Some(mode) => mode,
                None => self.create(server, snapshot, width, height)?,
            };
            for &output in &head.outputs {
                self.offer(server, snapshot, output, mode, (width, height))?;
            }
            head.mode = Some(mode);
        }
        Ok(())
    }

    /// Takes away all that was added; on the way back from a failure.
    pub(super) fn withdraw(self, server: &Server) {
        for (output, mode) in self.offered {
            let _ = server.x.randr_delete_output_mode(output, mode).map(|sent| sent.check());
        }
        for mode in self.created {
            let _ = server.x.randr_destroy_mode(mode.id).map(|sent| sent.check());
        }
    }

    /// A mode of ours with this size, made earlier.
    fn ours(&self, snapshot: &Snapshot, width: u16, height: u16) -> Option<Mode> {
        let before = snapshot.modes.iter().filter(|mode| is_ours(mode)).map(|mode| &mode.info);
        let mut known = before.chain(&self.created);
        known.find(|mode| (mode.width, mode.height) == (width, height)).map(|mode| mode.id)
    }

    fn create(
        &mut self,
        server: &Server,
        snapshot: &Snapshot,
        width: u16,
        height: u16,
    ) -> Result<Mode, Failure> {
        let name = format!("{width}x{height}{OURS}");
        let mut mode = timings(width, height).ok_or_else(|| {
            Error::NotSupported(format!("A mode of {width}x{height} is beyond what X11 can count"))
        })?;
        mode.name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let answer = server.x.randr_create_mode(server.root, mode, name.as_bytes())?.reply();
        mode.id = answer.map_err(|error| no_new_modes(server, snapshot, (width, height), error))?.mode;
        self.created.push(mode);
        Ok(mode.id)
    }

    fn offer(
        &mut self,
        server: &Server,
        snapshot: &Snapshot,
        output: randr::Output,
        mode: Mode,
        size: (u16, u16),
    ) -> Result<(), Failure> {
        let known = snapshot.outputs.iter().find(|now| now.id == output);
        if known.is_some_and(|known| known.modes.contains(&mode)) {
            return Ok(());
        }
        let answer = server.x.randr_add_output_mode(output, mode)?.check();
        answer.map_err(|error| no_new_modes(server, snapshot, size, error))?;
        self.offered.push((output, mode));
        Ok(())
    }
}

/// Removes our modes that no CRTC uses. What cannot be removed is tried again the next time.
pub(super) fn tidy(server: &Server, snapshot: &Snapshot) -> Result<(), Failure> {
    let used = |mode: Mode| snapshot.crtcs.iter().any(|crtc| crtc.mode == mode);
    let unused = snapshot.modes.iter().filter(|mode| is_ours(mode) && !used(mode.info.id));
    for ModeNow { info, name } in unused {
        let outputs = snapshot.outputs.iter().filter(|output| output.modes.contains(&info.id));
        let mut answers = Vec::new();
        for output in outputs {
            answers.push(server.x.randr_delete_output_mode(output.id, info.id)?);
        }
        answers.push(server.x.randr_destroy_mode(info.id)?);
        for answer in answers {
            match answer.check() {
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
                Err(ReplyError::X11Error(error)) => {
                    tracing::debug!("mode {name} stays for now: {}", refusal(&error));
                }
                Ok(()) => {}
            }
        }
    }
    Ok(())
}

fn is_ours(mode: &ModeNow) -> bool {
    mode.name.ends_with(OURS)
}

/// The server, or its driver, does not take a mode: nothing that trying again would mend.
fn no_new_modes(
    server: &Server,
    snapshot: &Snapshot,
    (width, height): (u16, u16),
    error: ReplyError,
) -> Failure {
    match error {
        ReplyError::ConnectionError(error) => error.into(),
        ReplyError::X11Error(error) => {
            let count = snapshot.modes.len();
            let display = server.display();
            Error::NotSupported(format!(
                "X server {display} has no mode of {width}x{height} among its {count}, and takes no \
                 new one: {}; a server with the vmwgfx, modesetting or dummy driver does",
                refusal(&error)
            ))
            .into()
        }
    }
}

/// Timings for a size, at 60 Hz with reduced blanking, after VESA's CVT 1.2 (section 3.4.2): 160 pixels
/// of horizontal blanking with 32 of sync, at least 460 µs of vertical blanking with a front porch of 3
/// lines. CVT would round the width down to a multiple of 8 and pick the sync's length by aspect ratio;
/// a virtual monitor asks for neither.
///
/// `None` for sizes beyond 16 bits.
fn timings(width: u16, height: u16) -> Option<ModeInfo> {
    const REFRESH: u64 = 60;
    const BLANK_MICROSECONDS: u64 = 460;
    const FRONT: u16 = 3;
    const SYNC: u16 = 6;
    const BACK: u16 = 6;

    let visible_microseconds = 1_000_000 / REFRESH - BLANK_MICROSECONDS;
    let blank = BLANK_MICROSECONDS * u64::from(height) / visible_microseconds + 1;
    let blank = u16::try_from(blank).ok()?.max(FRONT + SYNC + BACK);
    let (htotal, vtotal) = (width.checked_add(160)?, height.checked_add(blank)?);
    let clock = u64::from(htotal) * u64::from(vtotal) * REFRESH;
    Some(ModeInfo {
        id: 0,
        width,
        height,
        // The largest modes merely claim a slower refresh.
        dot_clock: u32::try_from(clock).unwrap_or(u32::MAX),
        hsync_start: width + 48,
        hsync_end: width + 80,
        htotal,
        hskew: 0,
        vsync_start: height + FRONT,
        vsync_end: height + FRONT + SYNC,
        vtotal,
        name_len: 0,
        mode_flags: ModeFlag::HSYNC_POSITIVE | ModeFlag::VSYNC_NEGATIVE,
    })
}

#[cfg(test)]
mod tests {
    use super::timings;

    #[test]
    fn timings_of_a_known_size_are_those_of_the_standard() {
        // `cvt -r 1920 1200`: 154.00 MHz, 1920 1968 2000 2080, 1200 1203 1209 1235.
        let mode = timings(1920, 1200).expect("counts");

        assert_eq!((mode.hsync_start, mode.hsync_end, mode.htotal), (1968, 2000, 2080));
        assert_eq!((mode.vsync_start, mode.vsync_end, mode.vtotal), (1203, 1209, 1235));
        assert_eq!(mode.dot_clock / 1_000_000, 154);
    }

    #[test]
    fn any_size_that_a_screen_can_have_has_timings() {
        for (width, height) in [(1, 1), (1366, 777), (32767, 1), (1, 32767), (32767, 32767)] {
            let mode = timings(width, height).expect("counts");
            assert!(mode.vsync_end < mode.vtotal && mode.hsync_end < mode.htotal);
        }
        assert!(timings(u16::MAX, 600).is_none());
    }
}
