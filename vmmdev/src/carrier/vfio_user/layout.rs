//! What a client learns of the device before it uses it: its regions and its kinds of interrupts.

use ::vfio_user::{IrqInfo, ServerRegion};
use driver_core::wire::device as wire;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_BAR1_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_NUM_IRQS,
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};

/// The regions that there are. All of them are reached by messages: none is mapped, because each
/// access means something to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Configuration space.
    Config,
    /// BAR0, the I/O ports.
    Ports,
    /// BAR1, the VMMDevMemory.
    Memory,
}

impl Region {
    /// The region of an index, when it exists.
    pub(super) fn of(index: u32) -> Option<Self> {
        match index {
            VFIO_PCI_CONFIG_REGION_INDEX => Some(Self::Config),
            VFIO_PCI_BAR0_REGION_INDEX => Some(Self::Ports),
            VFIO_PCI_BAR1_REGION_INDEX => Some(Self::Memory),
            _ => None,
        }
    }

    /// Its length in bytes.
    pub(super) fn len(self) -> u32 {
        match self {
            Self::Config => 256,
            Self::Ports => wire::PORT_LEN,
            Self::Memory => wire::MEMORY_LEN,
        }
    }
}

/// The nine regions of a PCI device, most of them empty.
pub(super) fn regions() -> Vec<ServerRegion> {
    let region = |index| {
        let region = Region::of(index);
        let access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                flags: if region.is_some() { access } else { 0 },
                index,
                size: region.map_or(0, |region| region.len().into()),
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

/// The five kinds of interrupts of a PCI device. This one has INTx, which masks itself each time.
pub(super) fn interrupts() -> Vec<IrqInfo> {
    let intx = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    let kind = |index| match index {
        VFIO_PCI_INTX_IRQ_INDEX => IrqInfo { index, flags: intx, count: 1 },
        _ => IrqInfo { index, flags: 0, count: 0 },
    };
    (0..VFIO_PCI_NUM_IRQS).map(kind).collect()
}
