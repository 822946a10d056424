//! From what the host wants to how the desktop is to look. Nothing here asks or acts.
//!
//! The rules:
//! - the host's display N is the Nth managed output;
//! - what the host says of a display adds to what it said before; what it never spoke of stays as it
//!   is on the desktop;
//! - what is absurd is refused, one display at a time, and that display stays as it was;
//! - where the host placed every display and none covers another, they are where it said, gaps and
//!   all; otherwise they stand in a row, from left to right, with their upper edges in line;
//! - one display at least stays on.
//!
//! Colour depth is not looked at: outputs have none of their own.

use std::fmt;

use bellhop_plugin::display::{Change, Position};
use bellhop_plugin::outputs::{Area, Output, Placement};
use serde::Deserialize;

use crate::config::Config;

/// How far from the origin a display may be, in pixels: where 64 of the largest by default would end.
/// It also keeps every sum below from overflowing.
const FURTHEST: u32 = 1 << 20;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "[u32; 2]")]
pub struct Size {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

impl Size {
    /// Whether there is not one pixel in it.
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether it is larger than the other, in either direction.
    pub fn exceeds(self, other: Size) -> bool {
        self.width > other.width || self.height > other.height
    }
}

impl From<[u32; 2]> for Size {
    fn from([width, height]: [u32; 2]) -> Self {
        Size { width, height }
    }
}

impl From<Area> for Size {
    fn from(area: Area) -> Self {
        Size { width: area.width, height: area.height }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What the host wants, as far as it ever said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By display number; `None` for a display that was never spoken of.
    displays: Vec<Option<Wish>>,
    /// The display that was last said to be the primary one.
    primary: Option<usize>,
}

/// What the host wants of one display.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wish {
    enabled: bool,
    size: Option<Fitted>,
    origin: Option<Position>,
}

/// A size that the host asked for, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fitted {
    asked: Size,
    size: Size,
    /// Why the two differ.
    why: Option<String>,
}

/// Whether the host wants anything of a display: a host reports each one that it never used as off,
/// which tells no more than that there could be such a display.
pub fn wants_something(change: &Change) -> bool {
    let Change { id: _, disabled: _, primary, origin, width, height, bits_per_pixel } = change;
    *primary || origin.is_some() || width.is_some() || height.is_some() || bits_per_pixel.is_some()
}

impl Wanted {
    /// Whether the host never wanted anything.
    pub fn is_empty(&self) -> bool {
        self.displays.is_empty()
    }

    /// Adds what the host wants now; of two changes to one display the later has the last word.
    /// Returns what a person should know: what was refused or ignored, and why.
    pub fn merge(&mut self, changes: &[Change], outputs: &[Output], config: &Config) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut strangers = Vec::new();
        for change in changes {
            let id = change.id as usize;
            match outputs.get(id) {
                Some(output) => {
                    if let Err(reason) = self.take(id, change, output, config) {
                        remarks.push(format!(
                            "Display {} ({}) stays as it is: {reason}",
                            change.id, output.name
                        ));
                    }
                }
                None => strangers.push(change.id.to_string()),
            }
        }
        if !strangers.is_empty() {
            remarks.push(format!(
                "Ignored, with only {} outputs to show them: display {}",
                outputs.len(),
                strangers.join(", ")
            ));
        }
        remarks
    }

    /// Adds one change: all of it, or nothing.
    fn take(&mut self, id: usize, change: &Change, output: &Output, config: &Config) -> Result<(), String> {
        let mut wish = self.wish(id).cloned().unwrap_or_default();
        // Remember what the display shows: it may be switched on again without a size.
        let shown = output.area.map(|area| Fitted { asked: area.into(), size: area.into(), why: None });
        if change.disabled {
            wish.enabled = false;
            wish.size = wish.size.or(shown);
        } else {
            wish.enabled = true;
            let before = wish.size.as_ref().or(shown.as_ref()).map(|fitted| fitted.asked);
            if let Some(asked) = asked_size(change, before)? {
                wish.size = Some(fit(asked, config)?);
            }
            if let Some(origin) = change.origin {
                if origin.x.unsigned_abs().max(origin.y.unsigned_abs()) > FURTHEST {
                    return Err(format!(
                        "the origin {:+}{:+} is further than {FURTHEST} pixels away",
                        origin.x, origin.y
                    ));
                }
                wish.origin = Some(origin);
            }
            if change.primary {
                self.primary = Some(id);
            }
        }
        if self.displays.len() <= id {
            self.displays.resize(id + 1, None);
        }
        if let Some(place) = self.displays.get_mut(id) {
            *place = Some(wish);
        }
        Ok(())
    }

    fn wish(&self, id: usize) -> Option<&Wish> {
        self.displays.get(id)?.as_ref()
    }

    /// The layout of the whole desktop.
    ///
    /// # Errors
    /// With no display left on there is no layout; the text says so.
    pub fn arrange(&self, outputs: &[Output]) -> Result<Layout, String> {
        let mut places = Vec::new();
        let mut any_origin = false;
        let mut without_origin = None;
        for (id, output) in outputs.iter().enumerate() {
            let wish = self.wish(id);
            let fitted = wish.and_then(|wish| wish.size.as_ref());
            let size = match (wish, fitted) {
                (Some(Wish { enabled: false, .. }), _) => None,
                (_, Some(fitted)) => Some(fitted.size),
                // Nobody said how large: what is on keeps its size, and what is off stays off.
                (_, None) => match output.area {
                    Some(area) => Some(area.into()),
                    None => continue,
                },
            };
            let origin = wish.and_then(|wish| wish.origin);
            if size.is_some() {
                any_origin |= origin.is_some();
                if origin.is_none() {
                    without_origin.get_or_insert(&output.name);
                }
            }
            places.push(Place {
                id,
                name: output.name.clone(),
                area: size.map(|size| area_at(origin.unwrap_or(Position { x: 0, y: 0 }), size)),
                primary: false,
                why: fitted.and_then(|fitted| fitted.why.clone()),
            });
        }

        let lit = || places.iter().filter(|place| place.area.is_some()).map(|place| place.id);
        let Some(first) = lit().next() else {
            return Err("no display would be left on".into());
        };
        let primary = lit().find(|id| Some(*id) == self.primary).unwrap_or(first);
        for place in &mut places {
            place.primary = place.id == primary;
        }

        let trouble = match without_origin {
            Some(name) => Some(format!("the host gave {name} no origin")),
            None => overlap(&places),
        };
        let remark = match trouble {
            None => {
                move_into_view(&mut places);
                None
            }
            Some(reason) => {
                line_up(&mut places);
                any_origin.then(|| format!("in a row because {reason}"))
            }
        };
        Ok(Layout { places, remark })
    }
}

/// The size that a change asks for, if any; what it leaves out is as before.
fn asked_size(change: &Change, before: Option<Size>) -> Result<Option<Size>, String> {
    if change.width.is_none() && change.height.is_none() {
        return Ok(None);
    }
    let width = change.width.or(before.map(|size| size.width));
    let height = change.height.or(before.map(|size| size.height));
    match (width, height) {
        (Some(width), Some(height)) => Ok(Some(Size { width, height })),
        (Some(width), None) => Err(format!("of its size only the width is known, {width}")),
        (None, height) => Err(format!("of its size only the height is known, {}", height.unwrap_or(0))),
    }
}

/// The size that a display gets for the one that was asked for.
fn fit(asked: Size, config: &Config) -> Result<Fitted, String> {
    if asked.is_empty() {
        return Err(format!("{asked} has no area"));
    }
    if asked.exceeds(config.maximum) {
        return Err(format!("{asked} is larger than the configured maximum, {}", config.maximum));
    }
    let minimum = config.minimum;
    let raised = Size { width: asked.width.max(minimum.width), height: asked.height.max(minimum.height) };
    let step = config.round_width_to;
    let mut size = Size { width: raised.width / step * step.get(), ..raised };
    if size.width < minimum.width {
        // There is a multiple below the maximum, or the configuration would have been refused.
        size.width += step.get();
    }

    let mut why = String::new();
    if size != asked {
        why = format!("asked {asked}");
    }
    if raised != asked {
        why += &format!(", raised to the minimum of {minimum}");
    }
    if size != raised {
        why += &format!(", width rounded to {step}");
    }
    Ok(Fitted { asked, size, why: (!why.is_empty()).then_some(why) })
}

/// How the whole desktop is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In the order of the displays' numbers. An output that is not here stays as it is: off.
    places: Vec<Place>,
    /// What a person may wonder about in the whole of it.
    remark: Option<String>,
}

/// What one display is to show, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The host's number of the display.
    id: usize,
    /// The output's name.
    name: String,
    /// `None` when it is to be off.
    area: Option<Area>,
    primary: bool,
    /// Why its size is not the one that was asked for.
    why: Option<String>,
}

impl Layout {
    /// The layout in the desktop's words.
    pub fn placements(&self) -> Vec<Placement> {
        let placement =
            |place: &Place| Placement { name: place.name.clone(), area: place.area, primary: place.primary };
        self.places.iter().map(placement).collect()
    }

    /// Where the host's displays ended up, by their numbers, given the desktop's outputs as they are
    /// now; `None` for one that is off.
    pub fn positions(&self, outputs: &[Output]) -> Vec<Option<Position>> {
        let mut positions = Vec::new();
        for place in &self.places {
            // Displays that were left out are off.
            positions.resize(place.id, None);
            let output = outputs.iter().find(|output| output.name == place.name);
            let area = output.and_then(|output| output.area);
            positions.push(area.map(|Area { x, y, .. }| Position { x, y }));
        }
        positions
    }
}

/// As people write it: `HEADLESS0 1280x800+0+0 (asked 1281x800, width rounded to 8), HEADLESS1 off`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Place { name, area, primary, why, .. }) in self.places.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let Some(area) = *area else {
                write!(f, "{separator}{name} off")?;
                continue;
            };
            write!(f, "{separator}{name} {}{:+}{:+}", Size::from(area), area.x, area.y)?;
            if *primary && self.places.len() > 1 {
                f.write_str(" primary")?;
            }
            if let Some(why) = why {
                write!(f, " ({why})")?;
            }
        }
        match &self.remark {
            Some(remark) => write!(f, "; {remark}"),
            None => Ok(()),
        }
    }
}

fn area_at(Position { x, y }: Position, Size { width, height }: Size) -> Area {
    Area { x, y, width, height }
}

/// Says which two displays would cover each other, if any do.
fn overlap(places: &[Place]) -> Option<String> {
    let meet = |a: i32, a_length: u32, b: i32, b_length: u32| {
        let (a, b) = (i64::from(a), i64::from(b));
        a < b + i64::from(b_length) && b < a + i64::from(a_length)
    };
    for (index, one) in places.iter().enumerate() {
        for other in places.iter().take(index) {
            if let (Some(a), Some(b)) = (one.area, other.area)
                && meet(a.x, a.width, b.x, b.width)
                && meet(a.y, a.height, b.y, b.height)
            {
                return Some(format!("{} and {} would overlap", other.name, one.name));
            }
        }
    }
    None
}

/// Places the displays side by side in the order of their numbers.
fn line_up(places: &mut [Place]) {
    let mut x = 0_i32;
    for area in places.iter_mut().filter_map(|place| place.area.as_mut()) {
        (area.x, area.y) = (x, 0);
        x = x.saturating_add_unsigned(area.width);
    }
}

/// Moves all displays together so that none lies left of or above the desktop, which begins at 0,0.
fn move_into_view(places: &mut [Place]) {
    let areas = || places.iter().filter_map(|place| place.area);
    let left = areas().map(|area| area.x).min().unwrap_or(0).min(0);
    let top = areas().map(|area| area.y).min().unwrap_or(0).min(0);
    for area in places.iter_mut().filter_map(|place| place.area.as_mut()) {
        area.x = area.x.saturating_sub(left);
        area.y = area.y.saturating_sub(top);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// As many outputs, of which the first ones are on, 1024x768 each and side by side.
    fn outputs(count: usize, on: usize) -> Vec<Output> {
        let area = |x| Area { x, y: 0, width: 1024, height: 768 };
        let output = |index: usize| Output {
            name: format!("OUT{index}"),
            area: (index < on).then(|| area(1024 * index as i32)),
            primary: index == 0,
        };
        (0..count).map(output).collect()
    }

    /// The host speaks of a display, and says nothing.
    fn display(id: u32) -> Change {
        Change {
            id,
            disabled: false,
            primary: false,
            origin: None,
            width: None,
            height: None,
            bits_per_pixel: None,
        }
    }

    fn off(id: u32) -> Change {
        Change { disabled: true, ..display(id) }
    }

    fn sized(id: u32, width: u32, height: u32) -> Change {
        Change { width: Some(width), height: Some(height), ..display(id) }
    }

    fn at(x: i32, y: i32, change: Change) -> Change {
        Change { origin: Some(Position { x, y }), ..change }
    }

    fn primary(change: Change) -> Change {
        Change { primary: true, ..change }
    }

    /// What the desktop is to look like after the host wanted this, and then that, and what was
    /// remarked on the way.
    fn after(outputs: &[Output], requests: &[&[Change]], config: &Config) -> (String, Vec<String>) {
        let mut wanted = Wanted::default();
        let merge = |changes: &&[Change]| wanted.merge(changes, outputs, config);
        let remarks = requests.iter().flat_map(merge).collect();
        let layout = match wanted.arrange(outputs) {
            Ok(layout) => layout.to_string(),
            Err(reason) => reason,
        };
        (layout, remarks)
    }

    /// Each case: what the host wants, one request after another, and what comes of it, with no
    /// remark.
    fn check(outputs: &[Output], cases: &[(&[&[Change]], &str)]) {
        for (requests, expected) in cases {
            let (layout, remarks) = after(outputs, requests, &Config::default());
            assert_eq!(layout, *expected, "{requests:?}");
            assert_eq!(remarks, [""; 0], "{requests:?}");
        }
    }

    #[test]
    fn a_display_gets_the_size_that_was_asked_for() {
        check(
            &outputs(1, 1),
            &[
                (&[&[sized(0, 1280, 800)]], "OUT0 1280x800+0+0"),
                (&[&[sized(0, 1280, 800)], &[sized(0, 1366, 777)]], "OUT0 1366x777+0+0"),
                (&[&[sized(0, 16384, 16384)]], "OUT0 16384x16384+0+0"),
            ],
        );
        check(&outputs(1, 0), &[(&[&[sized(0, 1280, 800)]], "OUT0 1280x800+0+0")]);
    }

    #[test]
    fn several_displays_stand_side_by_side_unless_the_host_placed_them() {
        check(
            &outputs(4, 1),
            &[
                (
                    &[&[sized(0, 1366, 777), sized(1, 1024, 768)]],
                    "OUT0 1366x777+0+0 primary, OUT1 1024x768+1366+0",
                ),
                (&[&[sized(1, 800, 600)]], "OUT0 1024x768+0+0 primary, OUT1 800x600+1024+0"),
                (
                    &[&[at(0, 768, sized(0, 640, 480)), at(0, 0, sized(1, 1024, 768))]],
                    "OUT0 640x480+0+768 primary, OUT1 1024x768+0+0",
                ),
                (
                    &[&[at(0, 0, sized(0, 640, 480)), at(5000, 40, sized(3, 640, 480))]],
                    "OUT0 640x480+0+0 primary, OUT3 640x480+5000+40",
                ),
            ],
        );
    }

    #[test]
    fn displays_stand_in_a_row_when_an_origin_is_missing_or_would_make_them_overlap() {
        check(
            &outputs(3, 1),
            &[
                (
                    &[&[at(0, 900, sized(0, 800, 600)), sized(1, 800, 600)]],
                    "OUT0 800x600+0+0 primary, OUT1 800x600+800+0; \
                     in a row because the host gave OUT1 no origin",
                ),
                (
                    &[
                        &[at(0, 0, sized(0, 800, 600)), at(800, 0, sized(1, 800, 600))],
                        &[sized(0, 1024, 600)],
                    ],
                    "OUT0 1024x600+0+0 primary, OUT1 800x600+1024+0; \
                     in a row because OUT0 and OUT1 would overlap",
                ),
                (
                    &[&[
                        at(0, 0, sized(0, 800, 600)),
                        at(799, 599, sized(1, 800, 600)),
                        at(800, 0, sized(2, 800, 599)),
                    ]],
                    "OUT0 800x600+0+0 primary, OUT1 800x600+800+0, OUT2 800x599+1600+0; \
                     in a row because OUT0 and OUT1 would overlap",
                ),
            ],
        );
    }

    #[test]
    fn what_lies_left_of_or_above_the_desktop_is_moved_into_it_with_all_the_rest() {
        check(
            &outputs(2, 1),
            &[(
                &[&[at(0, 0, sized(0, 800, 600)), at(-640, -100, sized(1, 640, 480))]],
                "OUT0 800x600+640+100 primary, OUT1 640x480+0+0",
            )],
        );
    }

    #[test]
    fn a_disabled_display_is_off_and_leaves_no_gap_in_the_row() {
        check(
            &outputs(3, 3),
            &[
                (&[&[off(1)]], "OUT0 1024x768+0+0 primary, OUT1 off, OUT2 1024x768+1024+0"),
                (
                    &[&[Change { disabled: true, ..sized(0, 0, 0) }]],
                    "OUT0 off, OUT1 1024x768+0+0 primary, OUT2 1024x768+1024+0",
                ),
            ],
        );
    }

    #[test]
    fn a_display_switched_on_again_has_the_size_it_had() {
        check(
            &outputs(2, 2),
            &[
                (
                    &[&[sized(1, 800, 600)], &[off(1)], &[display(1)]],
                    "OUT0 1024x768+0+0 primary, OUT1 800x600+1024+0",
                ),
                (
                    &[&[sized(1, 800, 600)], &[off(1)], &[Change { height: Some(480), ..display(1) }]],
                    "OUT0 1024x768+0+0 primary, OUT1 800x480+1024+0",
                ),
            ],
        );
        // This one the host never gave a size: what it showed when it was switched off counts.
        let mut wanted = Wanted::default();
        wanted.merge(&[off(1)], &outputs(2, 2), &Config::default());
        wanted.merge(&[display(1)], &outputs(2, 1), &Config::default());
        assert_eq!(
            wanted.arrange(&outputs(2, 1)).unwrap().to_string(),
            "OUT0 1024x768+0+0 primary, OUT1 1024x768+1024+0"
        );
    }

    #[test]
    fn the_last_display_is_never_switched_off() {
        let refusal = "no display would be left on";
        check(
            &outputs(2, 2),
            &[
                (&[&[off(0), off(1)]], refusal),
                (&[&[off(0)], &[off(1)]], refusal),
                (&[&[off(0), off(1)], &[display(1)]], "OUT0 off, OUT1 1024x768+0+0 primary"),
            ],
        );
        check(&outputs(2, 1), &[(&[&[off(0)]], refusal)]);
    }

    #[test]
    fn missing_fields_are_as_before() {
        check(
            &outputs(2, 1),
            &[
                (&[&[display(0)]], "OUT0 1024x768+0+0"),
                (&[&[Change { width: Some(1280), ..display(0) }]], "OUT0 1280x768+0+0"),
                (&[&[sized(0, 800, 600)], &[Change { height: Some(480), ..display(0) }]], "OUT0 800x480+0+0"),
                (&[&[Change { bits_per_pixel: Some(16), ..display(0) }]], "OUT0 1024x768+0+0"),
                (&[&[at(30, 40, display(0))]], "OUT0 1024x768+30+40"),
                (&[&[at(30, 40, display(0))], &[sized(0, 800, 600)]], "OUT0 800x600+30+40"),
            ],
        );
    }

    #[test]
    fn a_display_that_is_off_and_was_never_given_a_size_stays_as_it_is() {
        check(&outputs(2, 1), &[(&[&[primary(at(9, 9, display(1)))]], "OUT0 1024x768+0+0")]);

        let half = Change { height: Some(480), ..display(1) };
        let (layout, remarks) = after(&outputs(2, 1), &[&[half]], &Config::default());
        assert_eq!(layout, "OUT0 1024x768+0+0");
        assert_eq!(remarks, ["Display 1 (OUT1) stays as it is: of its size only the height is known, 480"]);
    }

    #[test]
    fn the_primary_display_is_the_one_last_flagged_or_the_first_that_is_on() {
        check(
            &outputs(3, 3),
            &[
                (
                    &[&[primary(display(1)), primary(display(2))], &[sized(0, 800, 600)]],
                    "OUT0 800x600+0+0, OUT1 1024x768+800+0, OUT2 1024x768+1824+0 primary",
                ),
                (
                    &[&[primary(display(1))], &[off(1)], &[off(0)]],
                    "OUT0 off, OUT1 off, OUT2 1024x768+0+0 primary",
                ),
                (
                    &[&[primary(display(1))], &[off(1)], &[display(1)], &[off(2)]],
                    "OUT0 1024x768+0+0, OUT1 1024x768+1024+0 primary, OUT2 off",
                ),
            ],
        );
    }

    #[test]
    fn the_last_of_several_changes_to_one_display_counts() {
        check(
            &outputs(1, 1),
            &[
                (&[&[sized(0, 800, 600), sized(0, 640, 480)]], "OUT0 640x480+0+0"),
                (&[&[off(0), sized(0, 640, 480)]], "OUT0 640x480+0+0"),
            ],
        );
    }

    #[test]
    fn an_absurd_request_is_refused_and_the_display_stays_as_it_was() {
        let maximum = "is larger than the configured maximum, 16384x16384";
        let cases = [
            (sized(0, 0, 600), "0x600 has no area".into()),
            (sized(0, 0, 0), "0x0 has no area".into()),
            (Change { height: Some(0), ..display(0) }, "800x0 has no area".into()),
            (sized(0, 65536, 32768), format!("65536x32768 {maximum}")),
            (sized(0, 16385, 600), format!("16385x600 {maximum}")),
            (primary(sized(0, u32::MAX, u32::MAX)), format!("4294967295x4294967295 {maximum}")),
            (
                at(i32::MIN, 7, sized(0, 640, 480)),
                "the origin -2147483648+7 is further than 1048576 pixels away".into(),
            ),
            (
                at(0, i32::MAX, display(0)),
                "the origin +0+2147483647 is further than 1048576 pixels away".into(),
            ),
        ];
        for (absurd, reason) in cases {
            let requests: [&[Change]; 2] =
                [&[primary(sized(1, 800, 600)), sized(0, 800, 600)], &[absurd, sized(1, 640, 480)]];
            let (layout, remarks) = after(&outputs(2, 1), &requests, &Config::default());
            assert_eq!(layout, "OUT0 800x600+0+0, OUT1 640x480+800+0 primary");
            assert_eq!(remarks, [format!("Display 0 (OUT0) stays as it is: {reason}")]);
        }
    }

    #[test]
    fn an_absurd_request_alone_is_no_reason_to_touch_anything() {
        let mut wanted = Wanted::default();
        let remarks = wanted.merge(&[sized(0, 1 << 31, 1)], &outputs(1, 1), &Config::default());
        assert_eq!(remarks.len(), 1);
        assert!(wanted.is_empty());
    }

    #[test]
    fn sizes_are_fitted_to_the_configuration_and_the_log_says_how() {
        let config = Config {
            minimum: Size { width: 321, height: 200 },
            round_width_to: NonZeroU32::new(8).unwrap(),
            ..Config::default()
        };
        let cases = [
            ((1280, 800), "1280x800+0+0"),
            ((1281, 800), "1280x800+0+0 (asked 1281x800, width rounded to 8)"),
            ((1287, 801), "1280x801+0+0 (asked 1287x801, width rounded to 8)"),
            ((640, 1), "640x200+0+0 (asked 640x1, raised to the minimum of 321x200)"),
            ((1, 1), "328x200+0+0 (asked 1x1, raised to the minimum of 321x200, width rounded to 8)"),
            ((16383, 200), "16376x200+0+0 (asked 16383x200, width rounded to 8)"),
        ];
        for ((width, height), expected) in cases {
            let (layout, _) = after(&outputs(1, 1), &[&[sized(0, width, height)]], &config);
            assert_eq!(layout, format!("OUT0 {expected}"));
        }
        let (layout, _) = after(&outputs(1, 1), &[&[sized(0, 1281, 801)]], &Config::default());
        assert_eq!(layout, "OUT0 1281x801+0+0");
    }

    #[test]
    fn sixty_four_displays_with_sixteen_outputs_use_the_sixteen_and_say_so() {
        let changes: Vec<_> = (0..64).map(|id| sized(id, 640, 480)).collect();
        let (layout, remarks) = after(&outputs(16, 1), &[&changes], &Config::default());
        assert_eq!(layout.split(", ").count(), 16);
        assert!(layout.ends_with("OUT15 640x480+9600+0"), "{layout}");
        let [remark] = remarks.as_slice() else { panic!("{remarks:?}") };
        assert!(remark.starts_with("Ignored, with only 16 outputs to show them: display 16, 17,"));
        assert!(remark.ends_with(", 62, 63"));
    }

    #[test]
    fn a_display_number_beyond_all_bounds_is_ignored() {
        let (layout, remarks) = after(&outputs(1, 1), &[&[off(u32::MAX), display(0)]], &Config::default());
        assert_eq!(layout, "OUT0 1024x768+0+0");
        assert_eq!(remarks, ["Ignored, with only 1 outputs to show them: display 4294967295"]);
    }

    #[test]
    fn zero_displays_and_zero_outputs_change_nothing() {
        let mut wanted = Wanted::default();
        assert_eq!(wanted.merge(&[], &outputs(1, 1), &Config::default()), [""; 0]);
        assert!(wanted.is_empty());
        assert_eq!(wanted.merge(&[sized(0, 1, 1)], &[], &Config::default()).len(), 1);
        assert!(wanted.is_empty());
        assert!(wanted.arrange(&[]).is_err());
    }

    #[test]
    fn positions_are_by_display_number_and_as_the_desktop_has_them() {
        let mut wanted = Wanted::default();
        wanted.merge(&[sized(2, 800, 600), off(1), sized(4, 1, 1)], &outputs(6, 2), &Config::default());
        let layout = wanted.arrange(&outputs(6, 2)).unwrap();

        let mut shown = outputs(6, 3);
        shown[0].area = Some(Area { x: 7, y: 8, width: 640, height: 480 });
        let positions = layout.positions(&shown);

        let position = |x, y| Some(Position { x, y });
        assert_eq!(positions, [position(7, 8), position(1024, 0), position(2048, 0), None, None]);
        assert_eq!(layout.positions(&[]), [None; 5]);
    }

    #[test]
    fn a_display_that_is_merely_off_is_not_wanted_to_be_anything() {
        assert!(!wants_something(&display(3)));
        assert!(!wants_something(&off(3)));
        assert!(wants_something(&primary(display(3))));
        assert!(wants_something(&at(0, 0, display(3))));
        assert!(wants_something(&Change { width: Some(0), ..display(3) }));
        assert!(wants_something(&Change { bits_per_pixel: Some(32), ..display(3) }));
    }
}
