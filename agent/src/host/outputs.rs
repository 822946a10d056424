//! `outputs`: what a monitor is plugged into.

use super::Host;
use super::bindings::bellhop::guest::outputs::{self, Area, Outcome, Output, Placement};
use super::bindings::bellhop::guest::types::Error;

/// The most outputs that one layout may name.
const MOST_PLACEMENTS: usize = 64;

impl outputs::Host for Host {
    fn enumerate(&mut self) -> Result<Vec<Output>, Error> {
        Ok(self.outside.desktop()?.outputs.enumerate()?.into_iter().map(Output::from).collect())
    }

    fn apply(&mut self, layout: Vec<Placement>) -> Result<Outcome, Error> {
        tracing::trace!(target: "bellhop::ring", step = 9u64, plugin = &*self.plugin, "Plugin decided on a layout");
        if layout.len() > MOST_PLACEMENTS {
            return Err(Error::Invalid(format!(
                "Layout names {} outputs; at most {MOST_PLACEMENTS} may be",
                layout.len()
            )));
        }
        let layout: Vec<_> = layout.into_iter().map(bellhop_desktop::Placement::from).collect();
        let outcome = self.outside.desktop()?.outputs.apply(&layout)?;
        tracing::trace!(
            target: "bellhop::ring",
            step = 10u64,
            changed = outcome.changed,
            width = outcome.width,
            height = outcome.height,
            "Desktop answered"
        );
        Ok(Outcome {
            changed: outcome.changed,
            width: outcome.width,
            height: outcome.height,
            outputs: outcome.outputs.into_iter().map(Output::from).collect(),
        })
    }
}

impl From<bellhop_desktop::Output> for Output {
    fn from(output: bellhop_desktop::Output) -> Self {
        Self { name: output.name, area: output.area.map(Area::from), primary: output.primary }
    }
}

impl From<bellhop_desktop::Area> for Area {
    fn from(area: bellhop_desktop::Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}

impl From<Area> for bellhop_desktop::Area {
    fn from(area: Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}

impl From<Placement> for bellhop_desktop::Placement {
    fn from(placement: Placement) -> Self {
        Self { name: placement.name, area: placement.area.map(Into::into), primary: placement.primary }
    }
}
