//! `seamless`: the guest's windows among the host's.

use driver_core::requests;
use driver_core::wire::SeamlessMode;
use driver_core::wire::visible_region::Rect;

use super::Host;
use super::bindings::bellhop::guest::seamless::{self, Mode};
use super::bindings::bellhop::guest::types::{Error, Rectangle};

impl seamless::Host for Host {
    fn fetch(&mut self, acknowledge: bool) -> Result<Mode, Error> {
        tracing::trace!(target: "bellhop::ring", step = 6u64, plugin = &*self.plugin, acknowledge, "Plugin asks what is wanted");
        match requests::seamless_mode(&**self.outside.driver()?, acknowledge)? {
            SeamlessMode::DISABLED => Ok(Mode::Disabled),
            SeamlessMode::VISIBLE_REGION => Ok(Mode::VisibleRegion),
            SeamlessMode::HOST_WINDOW => Ok(Mode::HostWindow),
            other => {
                Err(Error::Other(format!("the host wants a seamless mode that no protocol names: {other}")))
            }
        }
    }

    fn report_region(&mut self, rectangles: Vec<Rectangle>) -> Result<(), Error> {
        tracing::trace!(
            target: "bellhop::ring",
            step = 9u64,
            plugin = &*self.plugin,
            rectangles = rectangles.len(),
            "Plugin decided on a region"
        );
        let edges = |Rectangle { x, y, width, height }: Rectangle| {
            Rect::new(x, y, x.saturating_add_unsigned(width), y.saturating_add_unsigned(height))
        };
        let region: Vec<_> = rectangles.into_iter().map(edges).collect();
        Ok(requests::report_visible_region(&**self.outside.driver()?, &region)?)
    }
}
