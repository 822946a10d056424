//! `display`: the displays that the host wants.

use driver_core::requests::{self, DisplayChange};

use super::Host;
use super::bindings::bellhop::guest::display::{self, Change, Position, Wishes};
use super::bindings::bellhop::guest::types::Error;

impl display::Host for Host {
    fn fetch(&mut self, acknowledge: bool) -> Result<Wishes, Error> {
        tracing::trace!(target: "bellhop::ring", step = 6u64, plugin = &*self.plugin, acknowledge, "Plugin asks what is wanted");
        let wishes = requests::display_wishes(&**self.outside.driver()?, acknowledge)?;
        Ok(Wishes {
            changes: wishes.changes.into_iter().map(Change::from).collect(),
            announced: wishes.announced,
        })
    }

    fn report_positions(&mut self, positions: Vec<Option<Position>>) -> Result<(), Error> {
        let positions: Vec<_> =
            positions.into_iter().map(|position| position.map(|Position { x, y }| (x, y))).collect();
        Ok(requests::report_monitor_positions(&**self.outside.driver()?, &positions)?)
    }
}

impl From<DisplayChange> for Change {
    fn from(change: DisplayChange) -> Self {
        Self {
            id: change.id,
            disabled: change.disabled,
            primary: change.primary,
            origin: change.origin.map(|(x, y)| Position { x, y }),
            width: change.width,
            height: change.height,
            bits_per_pixel: change.bits_per_pixel,
        }
    }
}
