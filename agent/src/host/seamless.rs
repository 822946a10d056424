//! `seamless`: the guest's windows among the host's.

use std::sync::Arc;

use driver_core::wire::SeamlessMode;
use driver_core::wire::visible_region::Rect;
use driver_core::{Driver, requests};

use super::Host;
use super::bindings::bellhop::guest::seamless::{self, Mode};
use super::bindings::bellhop::guest::types::{Error, Rectangle};

/// The region that the host was told of. It goes with the plugin: a host that kept it would go on cutting
/// the guest's screen after windows that nobody follows any more.
#[derive(Default)]
pub(super) struct Region {
    /// Who told it, while it is not empty.
    told: Option<Arc<dyn Driver>>,
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(driver) = self.told.take()
            && let Err(error) = requests::report_visible_region(&*driver, &[])
        {
            tracing::debug!("{error}");
        }
    }
}

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
        let driver = self.outside.driver()?;
        requests::report_visible_region(&**driver, &region)?;
        self.region.told = (!region.is_empty()).then(|| driver.clone());
        Ok(())
    }
}
