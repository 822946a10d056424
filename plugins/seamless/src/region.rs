//! The visible region: what of the screen its windows cover. Nothing here asks or acts.
//!
//! It is the union of all windows that are shown; which of them stands before which makes no difference
//! to that. It is told in *bands*: the rectangles of one band have the same upper and lower edges and
//! stand from left to right without touching; bands follow from top to bottom, and where two touch they
//! differ. Of each region there is exactly one such list, so that two regions are equal when their lists
//! are.
//!
//! A line sweeps over the screen from top to bottom, and a tree tells what of it is covered. From n
//! rectangles to the k of the region this takes O((n + k) log n) of time and O(n + k) of memory. Windows
//! that are woven have a k of n²/4, but a report has room for [`MOST_RECTANGLES`], and beyond that the
//! sweep gives up. The windows are then enlarged to a grid, and to a coarser one, until they fit: what is
//! shown may so be more than the region, and is never less.
//!
//! Coordinates are those of the guest's screen as its desktop has them, with 0, 0 in the upper left
//! corner. These are the host's as well: its virtual desktop is the guest's screen, in which the guest
//! reports where each display is.

use std::cmp::Ordering;

use bellhop_plugin::Rectangle;
use bellhop_plugin::windows::{View, Window};

use crate::config::Config;

/// The most rectangles of one report: what a VMMDev request of 1 MiB has room for.
pub const MOST_RECTANGLES: usize = 65_534;

/// The most rectangles of all shapes together. A window whose shape exceeds it counts as if it had none.
/// It bounds what a desktop can make us take of memory and time.
const MOST_SHAPES: usize = 16_384;

/// The grids to try, in pixels. On the last, 32768 rectangles are enough for the largest screen that X11
/// has, 32767 by 32767.
const GRIDS: [u32; 4] = [1, 8, 32, 128];

/// The visible region of a view: at most [`MOST_RECTANGLES`], in bands.
pub fn visible(view: &View, config: &Config) -> Vec<Rectangle> {
    let screen = Area::screen(view);
    fit(&pieces(view, screen, config), screen, MOST_RECTANGLES)
}

/// The parts of the screen that the shown windows cover; they may overlap.
fn pieces(view: &View, screen: Area, config: &Config) -> Vec<Area> {
    let mut pieces = Vec::with_capacity(view.windows.len());
    let mut room = MOST_SHAPES;
    for Window { id: _, kind, area, shape } in &view.windows {
        if !config.shows(*kind) {
            continue;
        }
        let Some(area) = screen.part(area) else { continue };
        match room.checked_sub(shape.len()) {
            Some(rest) if !shape.is_empty() => {
                room = rest;
                pieces.extend(shape.iter().filter_map(|rectangle| area.part(rectangle)));
            }
            _ => pieces.push(area),
        }
    }
    pieces
}

/// The union of the pieces, if need be enlarged until it has no more than so many rectangles.
fn fit(pieces: &[Area], screen: Area, most: usize) -> Vec<Rectangle> {
    let found = GRIDS.iter().find_map(|step| {
        let enlarged = pieces.iter().map(|piece| piece.on_grid(*step, screen));
        union(enlarged, most)
    });
    found.unwrap_or_else(|| bounds(pieces).map(Area::rectangle).into_iter().collect())
}

/// The smallest area that has all pieces in it; none without any.
fn bounds(pieces: &[Area]) -> Option<Area> {
    pieces.iter().copied().reduce(|a, b| Area {
        left: a.left.min(b.left),
        top: a.top.min(b.top),
        right: a.right.max(b.right),
        bottom: a.bottom.max(b.bottom),
    })
}

/// The union of the pieces in bands; none if it has more than so many rectangles.
fn union(pieces: impl Iterator<Item = Area> + Clone, most: usize) -> Option<Vec<Rectangle>> {
    let mut line = Line::new(pieces.clone().flat_map(|piece| [piece.left, piece.right]).collect());
    let mut edges: Vec<Edge> = pieces.flat_map(Edge::of).collect();
    edges.sort_unstable_by(Edge::order);

    let mut rectangles = Vec::new();
    let mut band = Vec::new();
    let mut top = 0;
    for level in edges.chunk_by(|a, b| a.y == b.y) {
        let mut changed = false;
        for edge in level {
            changed |= line.cross(edge);
        }
        // Pieces that open were counted before those that close: nothing was uncovered only to be
        // covered again, so a change of the line is a change of the band.
        let (true, Some(&Edge { y, .. })) = (changed, level.first()) else { continue };
        let finished = band.drain(..).map(|(left, right)| Area { left, top, right, bottom: y });
        rectangles.extend(finished.map(Area::rectangle));
        line.intervals(&mut band);
        if rectangles.len() + band.len() > most {
            return None;
        }
        top = y;
    }
    Some(rectangles)
}

/// A part of the screen by its edges, in pixels: `right` and `bottom` are the first that are not in it.
/// Never empty, and nothing is beyond `i32::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Area {
    /// The whole screen; it alone may be empty.
    fn screen(view: &View) -> Area {
        let most = i32::MAX.unsigned_abs();
        Area { left: 0, top: 0, right: view.width.min(most), bottom: view.height.min(most) }
    }

    /// The part of a rectangle that is in here, if there is one.
    fn part(self, rectangle: &Rectangle) -> Option<Area> {
        let Rectangle { x, y, width, height } = *rectangle;
        let (left, right) = overlap((self.left, self.right), x, width)?;
        let (top, bottom) = overlap((self.top, self.bottom), y, height)?;
        Some(Area { left, top, right, bottom })
    }

    /// Enlarged so that its edges are on a grid, or on the edges of the screen.
    fn on_grid(self, step: u32, screen: Area) -> Area {
        let down = |edge: u32| edge - edge % step;
        let up = |edge: u32, end: u32| edge.next_multiple_of(step).min(end);
        Area {
            left: down(self.left),
            top: down(self.top),
            right: up(self.right, screen.right),
            bottom: up(self.bottom, screen.bottom),
        }
    }

    fn rectangle(self) -> Rectangle {
        Rectangle {
            x: self.left.cast_signed(),
            y: self.top.cast_signed(),
            width: self.right - self.left,
            height: self.bottom - self.top,
        }
    }
}

/// What `start` and `length` have in common with an interval, if anything.
fn overlap((from, to): (u32, u32), start: i32, length: u32) -> Option<(u32, u32)> {
    let start = i64::from(start);
    let end = start + i64::from(length);
    // In the interval of two u32, and so a u32.
    let from = u32::try_from(start.max(from.into())).ok()?;
    let to = u32::try_from(end.min(to.into())).ok()?;
    (from < to).then_some((from, to))
}

/// The upper or the lower edge of a piece.
#[derive(Debug, Clone, Copy)]
struct Edge {
    y: u32,
    left: u32,
    right: u32,
    opens: bool,
}

impl Edge {
    fn of(Area { left, top, right, bottom }: Area) -> [Edge; 2] {
        [Edge { y: top, left, right, opens: true }, Edge { y: bottom, left, right, opens: false }]
    }

    /// From top to bottom, and at one height what opens before what closes.
    fn order(&self, other: &Edge) -> Ordering {
        (self.y, !self.opens).cmp(&(other.y, !other.opens))
    }
}

/// What of a horizontal line is covered: a segment tree.
///
/// The line is cut at its *stops*. A node of the tree is for the part from one stop to another, and its
/// two children for the halves of it, down to the parts between neighbours. The root has the index 1, and
/// the children of a node twice its index and one more.
struct Line {
    stops: Vec<u32>,
    nodes: Vec<Node>,
}

/// A part of the line.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// How many pieces cover all of it, of those that do not cover all of its parent's.
    whole: u32,
    /// How many of its pixels are covered, by these and by those that its children count.
    covered: u32,
}

const ROOT: usize = 1;

impl Line {
    /// A line that can be covered from any of the stops to any other, and is not yet.
    fn new(mut stops: Vec<u32>) -> Line {
        stops.sort_unstable();
        stops.dedup();
        let nodes = vec![Node::default(); 2 * stops.len().next_power_of_two()];
        Line { stops, nodes }
    }

    /// Moves the line across an edge; whether it makes a difference to what is covered.
    fn cross(&mut self, edge: &Edge) -> bool {
        let before = covered(&self.nodes, ROOT);
        cross(&mut self.nodes, ROOT, &self.stops, edge);
        before != covered(&self.nodes, ROOT)
    }

    /// Adds what is covered, from left to right, in intervals that do not touch.
    fn intervals(&self, found: &mut Vec<(u32, u32)>) {
        intervals(&self.nodes, ROOT, &self.stops, found);
    }
}

/// How many pixels are covered of what a node is for; none where there is no node.
fn covered(nodes: &[Node], index: usize) -> u32 {
    nodes.get(index).map_or(0, |node| node.covered)
}

/// Counts an edge in a node, which is for these stops, and below it.
fn cross(nodes: &mut [Node], index: usize, stops: &[u32], edge: &Edge) {
    let (&[first, .., last], Some(node)) = (stops, nodes.get_mut(index)) else { return };
    if edge.right <= first || last <= edge.left {
        return;
    }
    if edge.left <= first && last <= edge.right {
        node.whole = if edge.opens { node.whole + 1 } else { node.whole.saturating_sub(1) };
    } else if let Some((left, right)) = halves(stops) {
        cross(nodes, 2 * index, left, edge);
        cross(nodes, 2 * index + 1, right, edge);
    }
    let below = covered(nodes, 2 * index) + covered(nodes, 2 * index + 1);
    if let Some(node) = nodes.get_mut(index) {
        node.covered = if node.whole > 0 { last - first } else { below };
    }
}

/// Adds what is covered of a node, which is for these stops.
fn intervals(nodes: &[Node], index: usize, stops: &[u32], found: &mut Vec<(u32, u32)>) {
    let &[first, .., last] = stops else { return };
    let covered = covered(nodes, index);
    if covered == last - first {
        match found.last_mut() {
            Some((_, end)) if *end == first => *end = last,
            _ => found.push((first, last)),
        }
    } else if covered > 0
        && let Some((left, right)) = halves(stops)
    {
        intervals(nodes, 2 * index, left, found);
        intervals(nodes, 2 * index + 1, right, found);
    }
}

/// The stops of a node's children; none for a node between neighbours.
fn halves(stops: &[u32]) -> Option<(&[u32], &[u32])> {
    let middle = stops.len() / 2;
    if stops.len() < 3 { None } else { stops.get(..=middle).zip(stops.get(middle..)) }
}

#[cfg(test)]
mod tests {
    use bellhop_plugin::windows::Kind;

    use super::*;

    /// Numbers that look random and are the same each time: SplitMix64.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn below(&mut self, end: u32) -> u32 {
            u32::try_from(self.next() % u64::from(end)).unwrap()
        }

        /// A rectangle that may reach beyond a small screen on every side, and may be empty.
        fn rectangle(&mut self) -> Rectangle {
            let [x, y] = [0; 2].map(|_| self.below(60).cast_signed() - 15);
            let [width, height] = [0; 2].map(|_| self.below(25));
            Rectangle { x, y, width, height }
        }

        fn view(&mut self) -> View {
            let (width, height) = (self.below(41), self.below(31));
            let windows = (0..self.below(13)).map(|_| {
                let shape = if self.below(3) == 0 { self.below(5) } else { 0 };
                let shape = (0..shape).map(|_| self.rectangle()).collect();
                Window { shape, ..window(self.rectangle()) }
            });
            let windows = windows.collect();
            View { width, height, windows }
        }
    }

    const fn at(x: i32, y: i32, width: u32, height: u32) -> Rectangle {
        Rectangle { x, y, width, height }
    }

    fn window(area: Rectangle) -> Window {
        Window { id: 0, kind: Kind::Application, area, shape: Vec::new() }
    }

    fn region(width: u32, height: u32, windows: Vec<Window>) -> Vec<Rectangle> {
        visible(&View { width, height, windows }, &Config::default())
    }

    /// The same by painting every pixel: lines of one look are a band, as high as may be.
    fn painted(view: &View) -> Vec<Rectangle> {
        let within = |x: i32, y: i32, r: &Rectangle| {
            let inside =
                |at: i32, start: i32, length: u32| (start..start + length.cast_signed()).contains(&at);
            inside(x, r.x, r.width) && inside(y, r.y, r.height)
        };
        let pixel = |x: i32, y: i32| {
            view.windows.iter().any(|Window { area, shape, .. }| {
                within(x, y, area) && (shape.is_empty() || shape.iter().any(|part| within(x, y, part)))
            })
        };
        let (width, height) = (view.width.cast_signed(), view.height.cast_signed());
        let lines: Vec<Vec<bool>> = (0..height).map(|y| (0..width).map(|x| pixel(x, y)).collect()).collect();

        let mut rectangles = Vec::new();
        let mut y = 0;
        for band in lines.chunk_by(|a, b| a == b) {
            let mut x = 0;
            for run in band[0].chunk_by(|a, b| a == b) {
                if run[0] {
                    rectangles.push(at(x, y, run.len() as u32, band.len() as u32));
                }
                x += run.len() as i32;
            }
            y += band.len() as i32;
        }
        rectangles
    }

    fn everything(pieces: &[Area]) -> Vec<Rectangle> {
        union(pieces.iter().copied(), usize::MAX).unwrap()
    }

    /// Whether a region leaves nothing out of the pieces: with them it would be no larger.
    fn covers(rectangles: &[Rectangle], pieces: &[Area]) -> bool {
        let all = Area::screen(&View { width: u32::MAX, height: u32::MAX, windows: Vec::new() });
        let mut both: Vec<Area> = rectangles.iter().filter_map(|rectangle| all.part(rectangle)).collect();
        let alone = everything(&both);
        both.extend(pieces);
        everything(&both) == alone
    }

    /// As many vertical bars as horizontal ones, each a third as wide as they are apart.
    fn weave(bars: i32, apart: i32) -> Vec<Window> {
        let (width, length) = ((apart / 3).cast_unsigned(), (bars * apart).cast_unsigned());
        let bar = |n| [at(n * apart, 0, width, length), at(0, n * apart, length, width)];
        (0..bars).flat_map(bar).map(window).collect()
    }

    #[test]
    fn every_region_is_that_of_a_painted_screen() {
        let mut numbers = Numbers(1);
        for _ in 0..3000 {
            let view = numbers.view();
            assert_eq!(visible(&view, &Config::default()), painted(&view), "{view:?}");
        }
    }

    #[test]
    fn a_region_is_told_in_bands_which_are_as_few_as_can_be() {
        let cases: [(&str, &[Rectangle], &[Rectangle]); 9] = [
            ("no window", &[], &[]),
            ("one", &[at(3, 4, 5, 6)], &[at(3, 4, 5, 6)]),
            ("the same twice", &[at(3, 4, 5, 6), at(3, 4, 5, 6)], &[at(3, 4, 5, 6)]),
            ("side by side", &[at(0, 0, 5, 9), at(5, 0, 5, 9)], &[at(0, 0, 10, 9)]),
            ("one below the other", &[at(0, 0, 9, 5), at(0, 5, 9, 5)], &[at(0, 0, 9, 10)]),
            ("inside another", &[at(0, 0, 9, 9), at(2, 2, 3, 3)], &[at(0, 0, 9, 9)]),
            ("apart, in one band", &[at(6, 0, 3, 4), at(0, 0, 5, 4)], &[at(0, 0, 5, 4), at(6, 0, 3, 4)]),
            ("apart, in two bands", &[at(0, 6, 5, 2), at(0, 0, 5, 4)], &[at(0, 0, 5, 4), at(0, 6, 5, 2)]),
            (
                "overlapping at a corner",
                &[at(0, 0, 10, 10), at(5, 5, 10, 10)],
                &[at(0, 0, 10, 5), at(0, 5, 15, 5), at(5, 10, 10, 5)],
            ),
        ];
        for (name, windows, expected) in cases {
            let windows = windows.iter().copied().map(window).collect();
            assert_eq!(region(100, 100, windows), expected, "{name}");
        }
    }

    #[test]
    fn stacking_makes_no_difference() {
        let mut numbers = Numbers(2);
        for _ in 0..300 {
            let view = numbers.view();
            let mut reversed = view.clone();
            reversed.windows.reverse();
            assert_eq!(
                visible(&view, &Config::default()),
                visible(&reversed, &Config::default()),
                "{view:?}"
            );
        }
    }

    #[test]
    fn a_shape_counts_within_its_window_and_the_screen() {
        let shaped = |shape: &[Rectangle]| Window { shape: shape.to_vec(), ..window(at(10, 10, 100, 100)) };

        assert_eq!(
            region(200, 200, vec![shaped(&[at(0, 0, 20, 20), at(100, 100, 500, 5)])]),
            [at(10, 10, 10, 10), at(100, 100, 10, 5)]
        );
        assert_eq!(region(200, 200, vec![shaped(&[])]), [at(10, 10, 100, 100)]);
        assert_eq!(region(200, 200, vec![shaped(&[at(0, 0, 5, 5), at(50, 50, 0, 9)])]), []);
        assert_eq!(region(60, 60, vec![shaped(&[at(50, 50, 20, 20)])]), [at(50, 50, 10, 10)]);
    }

    #[test]
    fn windows_of_a_kind_that_is_not_shown_do_not_count() {
        let of = |kind, x| Window { kind, ..window(at(x, 0, 10, 10)) };
        let windows = vec![
            of(Kind::Background, 0),
            of(Kind::Dock, 20),
            of(Kind::Application, 40),
            of(Kind::Unmanaged, 60),
        ];
        let view = View { width: 100, height: 100, windows };
        let shown = |docks, background| {
            let region = visible(&view, &Config { docks, background, ..Config::default() });
            region.iter().map(|rectangle| rectangle.x).collect::<Vec<_>>()
        };

        assert_eq!(shown(true, true), [0, 20, 40, 60]);
        assert_eq!(shown(true, false), [20, 40, 60]);
        assert_eq!(shown(false, false), [40, 60]);
    }

    #[test]
    fn absurd_coordinates_are_clipped_like_any_others() {
        const MAX: i32 = i32::MAX;
        const LARGE: u32 = i32::MAX as u32;
        let cases = [
            ((100, 100), at(i32::MIN, i32::MIN, u32::MAX, u32::MAX), Some(at(0, 0, 100, 100))),
            ((100, 100), at(i32::MIN, i32::MIN, LARGE, LARGE), None),
            ((100, 100), at(i32::MIN, 0, LARGE + 2, 1), Some(at(0, 0, 1, 1))),
            ((100, 100), at(i32::MIN, 0, LARGE + 1, 1), None),
            ((100, 100), at(MAX, MAX, u32::MAX, u32::MAX), None),
            ((100, 100), at(99, 99, u32::MAX, u32::MAX), Some(at(99, 99, 1, 1))),
            ((100, 100), at(-1, -1, 1, 1), None),
            ((0, 0), at(0, 0, u32::MAX, u32::MAX), None),
            ((0, 100), at(0, 0, 10, 10), None),
            ((u32::MAX, u32::MAX), at(0, 0, u32::MAX, u32::MAX), Some(at(0, 0, LARGE, LARGE))),
            ((u32::MAX, u32::MAX), at(MAX - 1, MAX - 1, 7, 7), Some(at(MAX - 1, MAX - 1, 1, 1))),
            ((u32::MAX, u32::MAX), at(MAX, 0, 7, 7), None),
        ];
        for ((width, height), area, expected) in cases {
            let found = region(width, height, vec![window(area)]);
            assert_eq!(found, expected.as_slice(), "{area:?} on {width}x{height}");
        }
    }

    #[test]
    fn a_region_that_does_not_fit_is_enlarged_and_never_cut() {
        let mut numbers = Numbers(3);
        let mut enlarged = 0;
        for _ in 0..3000 {
            let view = numbers.view();
            let screen = Area::screen(&view);
            let pieces = pieces(&view, screen, &Config::default());
            let exact = everything(&pieces);
            let most = numbers.below(4) as usize + 1;

            let found = fit(&pieces, screen, most);

            assert!(found.len() <= most, "{} of {most}: {view:?}", found.len());
            assert!(covers(&found, &pieces), "{found:?} {view:?}");
            let beyond =
                |rectangle: &Rectangle| screen.part(rectangle).map(Area::rectangle) != Some(*rectangle);
            assert!(!found.iter().any(beyond), "{found:?} {view:?}");
            if exact.len() > most {
                enlarged += 1;
            } else {
                assert_eq!(found, exact, "{view:?}");
            }
        }
        assert!(enlarged > 300, "{enlarged}");
    }

    #[test]
    fn what_4096_windows_show_fits_into_a_report() {
        let mut numbers = Numbers(4);
        let scattered = (0..4096).map(|_| {
            let [x, y, width, height] = [32_000, 32_000, 400, 400].map(|end| numbers.below(end));
            window(at(x.cast_signed(), y.cast_signed(), width, height))
        });
        for (windows, least) in [(scattered.collect(), 10_000), (weave(2048, 15), 1)] {
            let view = View { width: 32_767, height: 32_767, windows };
            let screen = Area::screen(&view);
            let pieces = pieces(&view, screen, &Config::default());
            assert!(union(pieces.iter().copied(), MOST_RECTANGLES).is_none());

            let found = visible(&view, &Config::default());

            assert!((least..=MOST_RECTANGLES).contains(&found.len()), "{}", found.len());
            assert!(covers(&found, &pieces));
        }
    }

    #[test]
    fn a_region_that_fits_exactly_is_not_enlarged() {
        // Bars that go across, and below each of them a band of those that go down.
        let windows = weave(200, 30);
        let rectangles = 200 + 200 * 200;
        let view = View { width: 6000, height: 6000, windows };
        let screen = Area::screen(&view);
        let pieces = pieces(&view, screen, &Config::default());

        assert_eq!(fit(&pieces, screen, rectangles).len(), rectangles);
        assert!(fit(&pieces, screen, rectangles - 1).len() < rectangles);
    }

    #[test]
    fn where_no_grid_is_coarse_enough_all_within_the_bounds_is_shown() {
        let view = View { width: u32::MAX, height: u32::MAX, windows: weave(2048, 1_000_000) };

        assert_eq!(visible(&view, &Config::default()), [at(0, 0, 2_048_000_000, 2_048_000_000)]);
    }

    #[test]
    fn a_shape_beyond_the_limit_counts_as_none() {
        let shaped = |dots: usize, y| {
            let shape = (0..dots).map(|n| at(2 * (n % 500) as i32, y, 1, 1)).collect();
            Window { shape, ..window(at(0, y, 1000, 5)) }
        };

        // One that exceeds it leaves room for the next.
        let found = region(1000, 100, vec![shaped(MOST_SHAPES + 1, 0), shaped(2, 10)]);
        assert_eq!(found, [at(0, 0, 1000, 5), at(0, 10, 1, 1), at(2, 10, 1, 1)]);

        let found = region(1000, 100, vec![shaped(MOST_SHAPES, 0), shaped(2, 10)]);
        assert_eq!((found.len(), found.last()), (501, Some(&at(0, 10, 1000, 5))));
    }
}
