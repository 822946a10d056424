//! `raw-requests`: requests that no other interface has, type by type.

use driver_core::requests;
use driver_core::wire::RequestType;

use super::Host;
use super::bindings::bellhop::guest::raw_requests;
use super::bindings::bellhop::guest::types::Error;

impl raw_requests::Host for Host {
    fn submit(&mut self, request_type: u32, body: Vec<u8>) -> Result<Vec<u8>, Error> {
        let request = RequestType(request_type);
        self.authority.permit_request(request).map_err(Error::Denied)?;
        Ok(requests::raw(&**self.outside.driver()?, request, &body)?)
    }
}
