//! The guest's visible region as the host has it, for people to see.

use vmmdev::Rectangle;

use super::picture::Picture;

/// Columns of a map in a terminal.
const COLUMNS: u32 = 64;
/// So many rectangles are listed; a window that is round has a hundred.
const LISTED: usize = 5;

/// A region of a screen, whose size is in pixels.
pub(super) struct Region {
    pub(super) rectangles: Vec<Rectangle>,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Region {
    /// The rectangles, each as width x height + left + top, or the first of them.
    pub(super) fn list(&self) -> String {
        let place = |rectangle: &Rectangle| {
            let Rectangle { left, top, right, bottom } = *rectangle;
            format!(
                "{}x{}{left:+}{top:+}",
                i64::from(right) - i64::from(left),
                i64::from(bottom) - i64::from(top)
            )
        };
        let places: Vec<_> = self.rectangles.iter().take(LISTED).map(place).collect();
        let more = self.rectangles.len().saturating_sub(LISTED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let count = self.rectangles.len();
        let rectangles = if count == 1 { "rectangle" } else { "rectangles" };
        match count {
            0 => "no rectangle".to_owned(),
            _ => format!("{count} {rectangles}: {}{more}", places.join(" ")),
        }
    }

    /// The screen in letters, a letter being twice as high as wide.
    pub(super) fn map(&self) -> Vec<String> {
        let cell = self.width.div_ceil(COLUMNS).max(1);
        let columns = self.width.div_ceil(cell);
        let rows = self.height.div_ceil(2 * cell);
        let edge = format!("+{}+", "-".repeat(columns as usize));
        let row = |row: u32| {
            let letter = |column: u32| {
                let centre = (column * cell + cell / 2, row * 2 * cell + cell);
                if self.covers(centre.0, centre.1) { '#' } else { ' ' }
            };
            format!("|{}|", (0..columns).map(letter).collect::<String>())
        };
        std::iter::once(edge.clone()).chain((0..rows).map(row)).chain([edge]).collect()
    }

    /// What the host shows of a picture of the screen: the region cut out of it, before the chequered
    /// pattern that stands for the host's own desktop.
    pub(super) fn cut_from(&self, screen: &Picture) -> Picture {
        let light = |x: u32, y: u32| (x / 16 + y / 16).is_multiple_of(2);
        let chequered = |x, y| if light(x, y) { [0xF4; 3] } else { [0xE2; 3] };
        let mut cut = Picture::paint(screen.width, screen.height, chequered);
        for rectangle in &self.rectangles {
            cut.take(screen, rectangle);
        }
        cut
    }

    fn covers(&self, x: u32, y: u32) -> bool {
        let (x, y) = (i64::from(x), i64::from(y));
        let covers = |rectangle: &Rectangle| {
            (i64::from(rectangle.left)..i64::from(rectangle.right)).contains(&x)
                && (i64::from(rectangle.top)..i64::from(rectangle.bottom)).contains(&y)
        };
        self.rectangles.iter().any(covers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(rectangles: &[(i32, i32, i32, i32)]) -> Region {
        let rectangles =
            rectangles.iter().map(|&(left, top, right, bottom)| Rectangle { left, top, right, bottom });
        Region { rectangles: rectangles.collect(), width: 640, height: 60 }
    }

    #[test]
    fn rectangles_are_listed_as_x_writes_them_and_never_too_many() {
        assert_eq!(region(&[]).list(), "no rectangle");
        assert_eq!(region(&[(-5, 10, 15, 40)]).list(), "1 rectangle: 20x30-5+10");
        assert!(region(&[(0, 0, 1, 1); 9]).list().starts_with("9 rectangles: 1x1+0+0 1x1+0+0"));
        assert!(region(&[(0, 0, 1, 1); 9]).list().ends_with("1x1+0+0 and 4 more"));
    }

    #[test]
    fn a_map_shows_what_is_covered_and_where() {
        let map = region(&[(0, 0, 20, 20), (620, 40, 640, 60)]).map();

        let edge = format!("+{}+", "-".repeat(64));
        let rows = [format!("|##{}|", " ".repeat(62)), format!("|{}|", " ".repeat(64))];
        let last = format!("|{}##|", " ".repeat(62));
        assert_eq!(map, [&edge, &rows[0], &rows[1], &last, &edge].map(String::from));
    }

    #[test]
    fn the_host_shows_what_is_in_the_region() {
        let region = region(&[(1, 0, 2, 1)]);

        let cut = region.cut_from(&Picture::paint(2, 1, |_, _| [7; 3]));

        assert_eq!(cut, Picture::paint(2, 1, |x, _| if x == 1 { [7; 3] } else { [0xF4; 3] }));
    }
}
