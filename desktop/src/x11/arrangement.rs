//! Which CRTC shows what where: as it is, and as a layout wants it.

use x11rb::protocol::randr::{self, Crtc, Mode, ModeFlag, Rotation};

use super::connection::Failure;
use super::snapshot::{CrtcNow, OutputNow, Snapshot};
use crate::layout::Resolved;
use crate::{Area, Error};

/// A screen and all that is shown of it. Two are equal exactly when nothing has to be done to get from
/// one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrangement {
    pub(super) size: (u16, u16),
    /// Ordered by CRTC.
    pub(super) heads: Vec<Head>,
    pub(super) primary: randr::Output,
}

/// A CRTC that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) crtc: Crtc,
    pub(super) x: i16,
    pub(super) y: i16,
    /// As seen on the screen, that is, after rotation.
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) rotation: Rotation,
    /// `None` as long as no mode has this size.
    pub(super) mode: Option<Mode>,
    /// Ordered. Several show the same.
    pub(super) outputs: Vec<randr::Output>,
}

/// Outputs that want to show the same area, and did so before if they are several.
struct Group<'a> {
    outputs: Vec<&'a OutputNow>,
    area: Area,
    was_on: Option<&'a CrtcNow>,
}

impl Arrangement {
    /// As it is.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let on = snapshot.crtcs.iter().filter(|crtc| crtc.mode != x11rb::NONE);
        let head = |crtc: &CrtcNow| Head {
            crtc: crtc.id,
            x: crtc.x,
            y: crtc.y,
            width: crtc.width,
            height: crtc.height,
            rotation: crtc.rotation,
            mode: Some(crtc.mode),
            outputs: sorted(crtc.outputs.clone()),
        };
        Self::new(snapshot.size, on.map(head).collect(), snapshot.primary)
    }

    /// As a layout wants it. What need not change keeps its CRTC and its mode.
    pub(super) fn wanted(snapshot: &Snapshot, layout: &Resolved) -> Result<Self, Failure> {
        let groups = group(snapshot, layout);
        let candidates: Vec<_> = groups.iter().map(|group| group.candidates(snapshot)).collect();
        let crtcs = assign(&candidates).ok_or_else(|| {
            Error::NotSupported(format!(
                "The X server cannot drive {} outputs at once as the layout wants; it has {} CRTCs",
                groups.len(),
                snapshot.crtcs.len()
            ))
        })?;
        let heads = groups.iter().zip(crtcs).map(|(group, crtc)| group.head(snapshot, crtc));
        let heads = heads.collect::<Result<_, _>>()?;
        let primary = layout.outputs.iter().position(|output| output.primary);
        let primary = primary.and_then(|at| snapshot.outputs.get(at));
        let size = (pixels(layout.width)?, pixels(layout.height)?);
        Ok(Self::new(size, heads, primary.map_or(x11rb::NONE, |output| output.id)))
    }

    fn new(size: (u16, u16), mut heads: Vec<Head>, primary: randr::Output) -> Self {
        heads.sort_by_key(|head| head.crtc);
        Self { size, heads, primary }
    }

    pub(super) fn head(&self, crtc: Crtc) -> Option<&Head> {
        self.heads.iter().find(|head| head.crtc == crtc)
    }
}

impl Head {
    /// Whether a screen of this size has room for it.
    pub(super) fn fits(&self, (width, height): (u16, u16)) -> bool {
        let within = |from: i16, length: u16, size: u16| {
            i32::from(from) >= 0 && i32::from(from) + i32::from(length) <= i32::from(size)
        };
        within(self.x, self.width, width) && within(self.y, self.height, height)
    }

    /// The size that its mode must have: before rotation.
    pub(super) fn mode_size(&self) -> (u16, u16) {
        let turned = u16::from(Rotation::ROTATE90 | Rotation::ROTATE270);
        if u16::from(self.rotation) & turned != 0 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

impl Group<'_> {
    /// CRTCs that can drive all of its outputs: first the one that does, then those that are free.
    fn candidates(&self, snapshot: &Snapshot) -> Vec<Crtc> {
        let able = |crtc: &&CrtcNow| self.outputs.iter().all(|o| o.crtcs.contains(&crtc.id));
        let mut candidates: Vec<&CrtcNow> = snapshot.crtcs.iter().filter(able).collect();
        candidates.sort_by_key(|crtc| (!self.is_on(crtc.id), crtc.mode != x11rb::NONE));
        candidates.iter().map(|crtc| crtc.id).collect()
    }

    fn is_on(&self, crtc: Crtc) -> bool {
        self.was_on.is_some_and(|was| was.id == crtc)
    }

    fn head(&self, snapshot: &Snapshot, crtc: Crtc) -> Result<Head, Failure> {
        let Area { x, y, width, height } = self.area;
        let stays = self.was_on.filter(|was| was.id == crtc);
        let mut head = Head {
            crtc,
            x: origin(x)?,
            y: origin(y)?,
            width: pixels(width)?,
            height: pixels(height)?,
            rotation: stays.map_or(Rotation::ROTATE0, |was| was.rotation),
            mode: None,
            outputs: sorted(self.outputs.iter().map(|output| output.id).collect()),
        };
        let same_size = |was: &&CrtcNow| (was.width, was.height) == (head.width, head.height);
        head.mode = match stays.filter(same_size) {
            Some(was) => Some(was.mode),
            None => self.find_mode(snapshot, head.mode_size()),
        };
        Ok(head)
    }

    /// The first mode of exactly this size that all outputs have; an output's preferred ones come first.
    fn find_mode(&self, snapshot: &Snapshot, size: (u16, u16)) -> Option<Mode> {
        let (first, others) = self.outputs.split_first()?;
        let odd = u32::from(ModeFlag::INTERLACE | ModeFlag::DOUBLE_SCAN);
        let fits = |&mode: &Mode| {
            others.iter().all(|output| output.modes.contains(&mode))
                && snapshot.mode(mode).is_some_and(|mode| {
                    (mode.info.width, mode.info.height) == size && u32::from(mode.info.mode_flags) & odd == 0
                })
        };
        first.modes.iter().copied().find(fits)
    }
}

/// Puts outputs that are on into groups; those that are on now come first, so that they are the last
/// to have to change their CRTC.
fn group<'a>(snapshot: &'a Snapshot, layout: &Resolved) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (output, wanted) in snapshot.outputs.iter().zip(&layout.outputs) {
        let Some(area) = wanted.area else { continue };
        let was_on = snapshot.crtc(output.crtc);
        let together = |group: &&mut Group<'_>| group.area == area && group.is_on(output.crtc);
        match groups.iter_mut().find(together) {
            Some(group) => group.outputs.push(output),
            None => groups.push(Group { outputs: vec![output], area, was_on }),
        }
    }
    groups.sort_by_key(|group| group.was_on.is_none());
    groups
}

/// Gives each its own of its candidates, the earlier ones rather; `None` if that cannot be. (Maximum
/// bipartite matching by augmenting paths; there are a few dozen at most.)
fn assign(candidates: &[Vec<Crtc>]) -> Option<Vec<Crtc>> {
    fn place(
        who: usize,
        candidates: &[Vec<Crtc>],
        tried: &mut Vec<Crtc>,
        holders: &mut Vec<(Crtc, usize)>,
    ) -> bool {
        for &crtc in &candidates[who] {
            if tried.contains(&crtc) {
                continue;
            }
            tried.push(crtc);
            match holders.iter().position(|&(held, _)| held == crtc) {
                None => holders.push((crtc, who)),
                Some(at) if place(holders[at].1, candidates, tried, holders) => {
                    holders[at].1 = who;
                }
                Some(_) => continue,
            }
            return true;
        }
        false
    }

    let mut holders = Vec::new();
    for who in 0..candidates.len() {
        if !place(who, candidates, &mut Vec::new(), &mut holders) {
            return None;
        }
    }
    holders.sort_by_key(|&(_, who)| who);
    Some(holders.into_iter().map(|(crtc, _)| crtc).collect())
}

fn sorted(mut outputs: Vec<randr::Output>) -> Vec<randr::Output> {
    outputs.sort_unstable();
    outputs
}

/// RandR counts pixels in 16 bits.
fn pixels(length: u32) -> Result<u16, Error> {
    u16::try_from(length).map_err(|_| too_far())
}

/// RandR places with 15 bits and a sign.
fn origin(at: i32) -> Result<i16, Error> {
    i16::try_from(at).map_err(|_| too_far())
}

fn too_far() -> Error {
    Error::NotSupported("The layout reaches beyond what X11 can count".to_owned())
}

#[cfg(test)]
mod tests {
    use super::assign;

    #[test]
    fn each_gets_a_crtc_of_its_own_if_that_can_be() {
        let cases = [
            (vec![], Some(vec![])),
            (vec![vec![1, 2], vec![2, 1]], Some(vec![1, 2])),
            (vec![vec![1, 2], vec![1]], Some(vec![2, 1])),
            (vec![vec![1, 2], vec![1, 3], vec![1]], Some(vec![2, 3, 1])),
            (vec![vec![1], vec![1]], None),
        ];
        for (candidates, expected) in cases {
            assert_eq!(assign(&candidates), expected, "{candidates:?}");
        }
    }
}
