//! What the host goes on believing of a plugin until it is told otherwise: the visible region, and how its
//! facilities fare. It is taken back with the plugin: a host would go on cutting the guest's screen after
//! windows that nobody follows any more, and offer its users what nobody does.

use std::collections::BTreeMap;
use std::sync::Arc;

use driver_core::wire::visible_region::Rect;
use driver_core::wire::{Facility, FacilityStatus};
use driver_core::{Driver, Result, requests};

/// What one instance has told.
pub(super) struct Standing {
    driver: Arc<dyn Driver>,
    /// None when nothing was told, or what was is another's to take back.
    region: Option<Vec<Rect>>,
    /// Likewise.
    facilities: BTreeMap<Facility, FacilityStatus>,
}

impl Standing {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver, region: None, facilities: BTreeMap::new() }
    }

    /// The host was told of a region.
    pub(super) fn region_told(&mut self, region: Vec<Rect>) {
        self.region = Some(region);
    }

    /// The host was told how a facility fares.
    pub(super) fn facility_told(&mut self, facility: Facility, status: FacilityStatus) {
        self.facilities.insert(facility, status);
    }

    /// Takes the place of another, which must not take back what this one has told in its stead.
    pub(super) fn relieve(&self, other: &mut Self) {
        if self.region.is_some() {
            other.region = None;
        }
        other.facilities.retain(|facility, _| !self.facilities.contains_key(facility));
    }

    /// Tells it all again.
    pub(super) fn tell(&self) {
        let region = self.region.iter().map(|region| requests::report_visible_region(&*self.driver, region));
        let facilities = self
            .facilities
            .iter()
            .map(|(facility, status)| requests::report_status(&*self.driver, *facility, *status));
        for error in region.chain(facilities).filter_map(Result::err) {
            tracing::debug!("{error}");
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.region = self.region.take().filter(|region| !region.is_empty()).map(|_| Vec::new());
        self.facilities.retain(|_, status| *status != FacilityStatus::INACTIVE);
        self.facilities.values_mut().for_each(|status| *status = FacilityStatus::INACTIVE);
        self.tell();
    }
}
