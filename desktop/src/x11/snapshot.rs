//! All that RandR says about outputs at one moment.

use x11rb::connection::RequestConnection as _;
use x11rb::protocol::randr::{self, ConnectionExt as _, Crtc, Mode, ModeInfo, Rotation, SetConfig};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::connection::{Failure, Server};
use crate::layout::Limits;
use crate::{Area, Error, Output};

/// The first RandR with CRTCs, a primary output, and resources that can be read without a probe of the
/// hardware.
const RANDR: (u32, u32) = (1, 3);

/// A screen with its CRTCs, outputs and modes, each in the server's order.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) size: (u16, u16),
    pub(super) limits: Limits,
    pub(super) config_time: u32,
    pub(super) crtcs: Vec<CrtcNow>,
    pub(super) outputs: Vec<OutputNow>,
    pub(super) modes: Vec<ModeNow>,
    /// [`x11rb::NONE`] if there is none.
    pub(super) primary: randr::Output,
}

/// A CRTC: what scans out a rectangle of the screen to outputs.
#[derive(Debug)]
pub(super) struct CrtcNow {
    pub(super) id: Crtc,
    pub(super) x: i16,
    pub(super) y: i16,
    /// As seen on the screen, that is, after rotation.
    pub(super) width: u16,
    pub(super) height: u16,
    /// [`x11rb::NONE`] if it is off.
    pub(super) mode: Mode,
    pub(super) rotation: Rotation,
    pub(super) outputs: Vec<randr::Output>,
}

/// An output: what a monitor is plugged into. It need not be "connected" to be used; most of the dummy
/// driver's outputs say they are not.
#[derive(Debug)]
pub(super) struct OutputNow {
    pub(super) id: randr::Output,
    pub(super) name: String,
    /// [`x11rb::NONE`] if it is off.
    pub(super) crtc: Crtc,
    /// Those that can drive it.
    pub(super) crtcs: Vec<Crtc>,
    pub(super) modes: Vec<Mode>,
}

/// A mode with its name.
#[derive(Debug)]
pub(super) struct ModeNow {
    pub(super) info: ModeInfo,
    pub(super) name: String,
}

/// Finds out whether a server has the RandR that a snapshot needs.
pub(super) fn check_randr(server: &Server) -> Result<(), Failure> {
    let (major, minor) = RANDR;
    let here = match server.x.extension_information(randr::X11_EXTENSION_NAME)? {
        None => "none".to_owned(),
        Some(_) => {
            let version = server.x.randr_query_version(major, minor)?.reply()?;
            if (version.major_version, version.minor_version) >= RANDR {
                return Ok(());
            }
            format!("{}.{}", version.major_version, version.minor_version)
        }
    };
    let text = format!(
        "X server {} cannot arrange outputs: that needs RandR {major}.{minor}, it has {here}",
        server.display()
    );
    Err(Error::NotSupported(text).into())
}

impl Snapshot {
    /// Asks for everything, in two round trips. Hardware is not probed: that can take seconds, and the
    /// server learns of a monitor without it.
    pub(super) fn take(server: &Server) -> Result<Self, Failure> {
        let (x, root) = (&server.x, server.root);
        let resources = x.randr_get_screen_resources_current(root)?;
        let primary = x.randr_get_output_primary(root)?;
        let range = x.randr_get_screen_size_range(root)?;
        // The size in the connection's setup is that of the day it was made.
        let geometry = x.get_geometry(root)?;

        let resources = resources.reply()?;
        let primary = primary.reply()?.output;
        let range = range.reply()?;
        let geometry = geometry.reply()?;
        let config_time = resources.config_timestamp;
        let crtcs = resources.crtcs.iter().map(|&id| x.randr_get_crtc_info(id, config_time));
        let crtcs = crtcs.collect::<Result<Vec<_>, _>>()?;
        let outputs = resources.outputs.iter().map(|&id| x.randr_get_output_info(id, config_time));
        let outputs = outputs.collect::<Result<Vec<_>, _>>()?;

        let crtcs = resources.crtcs.iter().zip(crtcs).map(|(&id, answer)| {
            let crtc = answer.reply()?;
            settled(crtc.status)?;
            Ok(CrtcNow {
                id,
                x: crtc.x,
                y: crtc.y,
                width: crtc.width,
                height: crtc.height,
                mode: crtc.mode,
                rotation: crtc.rotation,
                outputs: crtc.outputs,
            })
        });
        let outputs = resources.outputs.iter().zip(outputs).map(|(&id, answer)| {
            let output = answer.reply()?;
            settled(output.status)?;
            Ok(OutputNow {
                id,
                name: String::from_utf8_lossy(&output.name).into_owned(),
                crtc: output.crtc,
                crtcs: output.crtcs,
                modes: output.modes,
            })
        });
        Ok(Self {
            size: (geometry.width, geometry.height),
            limits: Limits {
                min: (range.min_width.into(), range.min_height.into()),
                max: (range.max_width.into(), range.max_height.into()),
            },
            config_time,
            crtcs: crtcs.collect::<Result<_, Failure>>()?,
            outputs: outputs.collect::<Result<_, Failure>>()?,
            modes: named(resources.modes, &resources.names),
            primary,
        })
    }

    /// The outputs as everybody else knows them.
    pub(super) fn outputs(&self) -> Vec<Output> {
        let output = |output: &OutputNow| Output {
            name: output.name.clone(),
            area: self.crtc(output.crtc).filter(|crtc| crtc.mode != x11rb::NONE).map(CrtcNow::area),
            primary: output.id == self.primary,
        };
        self.outputs.iter().map(output).collect()
    }

    pub(super) fn crtc(&self, id: Crtc) -> Option<&CrtcNow> {
        self.crtcs.iter().find(|crtc| crtc.id == id)
    }

    pub(super) fn mode(&self, id: Mode) -> Option<&ModeNow> {
        self.modes.iter().find(|mode| mode.info.id == id)
    }
}

impl CrtcNow {
    fn area(&self) -> Area {
        Area { x: self.x.into(), y: self.y.into(), width: self.width.into(), height: self.height.into() }
    }
}

/// The server answers with another status when outputs came or went since the resources were read.
fn settled(status: SetConfig) -> Result<(), Failure> {
    if status == SetConfig::SUCCESS {
        Ok(())
    } else {
        Err(Failure::Refused("outputs changed while they were looked at; ask again".to_owned()))
    }
}

/// Cuts the names, which come as one string, to each mode's length.
fn named(modes: Vec<ModeInfo>, names: &[u8]) -> Vec<ModeNow> {
    let mut rest = names;
    let cut = |info: ModeInfo| {
        let (name, after) = rest.split_at_checked(info.name_len.into()).unwrap_or((rest, &[]));
        rest = after;
        ModeNow { info, name: String::from_utf8_lossy(name).into_owned() }
    };
    modes.into_iter().map(cut).collect()
}
