//! The device model: requests in guest memory, and accesses of its registers.

use vmmdev::{Device, GuestMemory, MemoryFault, Settings};

use super::Target;

pub const TARGET: Target = Target {
    name: "device",
    about: "accesses of the device model, and requests to it",
    run,
    seeds,
    tries: 10_000,
};

/// Where the guest's memory begins.
const BASE: u64 = 0x1000;

/// A guest's memory, which is what is left of the input.
struct Memory(Vec<u8>);

impl Memory {
    fn range(&self, address: u64, len: usize) -> Result<std::ops::Range<usize>, MemoryFault> {
        let fault = MemoryFault { address, len };
        let start = usize::try_from(address.checked_sub(BASE).ok_or(fault)?).map_err(|_| fault)?;
        let end = start.checked_add(len).filter(|end| *end <= self.0.len()).ok_or(fault)?;
        Ok(start..end)
    }
}

impl GuestMemory for Memory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        bytes.copy_from_slice(&self.0[self.range(address, bytes.len())?]);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        let range = self.range(address, bytes.len())?;
        self.0[range].copy_from_slice(bytes);
        Ok(())
    }
}

/// What stands before the memory: eight accesses of five bytes.
const ACCESSES: usize = 40;

fn run(bytes: &[u8]) {
    let (accesses, memory) = bytes.split_at(bytes.len().min(ACCESSES));
    let mut memory = Memory(memory.to_vec());
    let mut device = Device::new(Settings::default());
    for access in accesses.chunks_exact(5) {
        let (kind, number) = (access[0], &access[1..]);
        let value = u32::from_le_bytes([number[0], number[1], number[2], number[3]]);
        let mut word = [0; 4];
        let width = usize::from(kind >> 4).min(4);
        match kind % 5 {
            0 | 1 => device.port_write(u16::from(kind % 5) * 8, value, &mut memory),
            2 => drop(device.port_read(value as u16)),
            3 => device.memory_read(value, &mut word[..width]),
            _ => {
                device.config_write(value, number);
                device.config_read(value, &mut word[..width]);
            }
        }
        let _ = device.interrupt_due();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let access = |kind: u8, value: u32| [&[kind], &value.to_le_bytes()[..]].concat();
    let mut seeds = Vec::new();
    for packet in (super::wire::TARGET.seeds)() {
        let accesses = [
            (0, BASE as u32),
            (0, BASE as u32),
            (1, u32::MAX),
            (2, 8),
            (0x43, 8),
            (0x44, 16),
            (0, 0x1100),
            (0, 4),
        ];
        let mut seed: Vec<u8> = accesses.into_iter().flat_map(|(kind, value)| access(kind, value)).collect();
        seed.extend_from_slice(&packet);
        seeds.push(seed);
    }
    seeds
}
