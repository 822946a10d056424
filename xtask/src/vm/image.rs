//! A kernel's image, unpacked.
//!
//! What a package brings is a program that unpacks the kernel behind it, and an emulated processor takes
//! seconds for that each time. QEMU starts a kernel that is unpacked as well, by the entry that it has for
//! Xen's PVH.
//!
//! The header is documented in the kernel's `Documentation/arch/x86/boot.rst`.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::process;

/// Where the header says how many sectors of 512 bytes are before the program, besides the first.
const SECTORS: usize = 0x1f1;
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
/// Where the kernel is, in bytes from the program's begin, and how long.
const OFFSET: usize = 0x248;
const LENGTH: usize = 0x24c;

/// How formats begin that kernels are packed in, and what they are called in a package.
const FORMATS: [(&[u8], &str); 2] = [(b"\x28\xb5\x2f\xfd", "zst"), (b"\xfd7zXZ\0", "xz")];

/// The type of the note that says where a kernel is entered for PVH, and whose note it is.
const PVH: &[u8] = b"\x12\0\0\0Xen\0";

/// Unpacks an image into a file, which is there only when all went well.
pub fn unpack(image: &Path, unpacked: &Path) -> anyhow::Result<()> {
    let content = fs::read(image).with_context(|| format!("Reading {}", image.display()))?;
    let (packed, format) = packed(&content)?;
    let folder = tempfile::tempdir().context("Making a folder")?;
    let package = folder.path().join("package");
    fs::write(&package, wrap(packed, format)).context("Writing a package")?;
    let partial = unpacked.with_extension("partial");
    let output = File::create(&partial).with_context(|| format!("Making {}", partial.display()))?;
    // It is there, because packages are unpacked with it, and it has all formats that kernels are packed in.
    process::run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&package).stdout(output))
        .and_then(|()| check(&fs::read(&partial)?))
        .and_then(|()| Ok(fs::rename(&partial, unpacked)?))
        .inspect_err(|_| drop(fs::remove_file(&partial)))
}

/// The packed kernel in an image, and its format.
fn packed(image: &[u8]) -> anyhow::Result<(&[u8], &'static str)> {
    ensure!(part(image, MAGIC.0, MAGIC.1.len())? == MAGIC.1, "it is no kernel's image");
    let begin = (usize::from(part(image, SECTORS, 1)?[0]) + 1) * 512 + number(image, OFFSET)?;
    // Behind it is its length when it is unpacked, which the formats do not know of.
    let length = number(image, LENGTH)?.checked_sub(4).context("it has no kernel in it")?;
    let packed = part(image, begin, length)?;
    match FORMATS.iter().find(|(magic, _)| packed.starts_with(magic)) {
        Some((_, format)) => Ok((packed, format)),
        None => bail!("it is packed in a format that is not known"),
    }
}

/// A package in which a packed kernel is where the files are: `dpkg-deb` does not look at what it unpacks.
fn wrap(packed: &[u8], format: &str) -> Vec<u8> {
    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar", &[]), (&format!("data.tar.{format}"), packed)]
    {
        // Name, time, owner, group, mode and size.
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len());
        package.extend(header.bytes());
        package.extend(content);
        package.resize(package.len().next_multiple_of(2), b'\n');
    }
    package
}

/// That QEMU can start a kernel: it is an ELF file of 64 bits, and a note says where it is entered.
fn check(kernel: &[u8]) -> anyhow::Result<()> {
    const NOTES: usize = 4;
    ensure!(kernel.starts_with(b"\x7fELF\x02\x01"), "what is in it is no kernel");
    let (table, size, count) = (number(kernel, 0x20)?, half(kernel, 0x36)?, half(kernel, 0x38)?);
    for at in (0..count).map(|index| table + index * size) {
        if number(kernel, at)? == NOTES {
            let notes = part(kernel, number(kernel, at + 0x08)?, number(kernel, at + 0x20)?)?;
            if notes.windows(PVH.len()).any(|window| window == PVH) {
                return Ok(());
            }
        }
    }
    bail!("it has no entry for PVH")
}

fn part(bytes: &[u8], begin: usize, length: usize) -> anyhow::Result<&[u8]> {
    let end = begin.checked_add(length);
    end.and_then(|end| bytes.get(begin..end)).context("it ends too early")
}

/// The lower half of a 64-bit number is enough here: no kernel has 4 GiB.
fn number(bytes: &[u8], at: usize) -> anyhow::Result<usize> {
    let number = part(bytes, at, 4)?.try_into().map(u32::from_le_bytes)?;
    Ok(usize::try_from(number)?)
}

fn half(bytes: &[u8], at: usize) -> anyhow::Result<usize> {
    Ok(part(bytes, at, 2)?.try_into().map(u16::from_le_bytes)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose kernel is this, as boot.rst has it.
    fn image(packed: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&0x10_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&u32::try_from(packed.len() + 4).unwrap().to_le_bytes());
        image.extend([0; 0x10]);
        image.extend(packed);
        image.extend([9; 100]);
        image
    }

    #[test]
    fn the_packed_kernel_is_where_the_header_says() {
        let kernel = b"\x28\xb5\x2f\xfd and more";

        assert_eq!(packed(&image(kernel)).unwrap(), (&kernel[..], "zst"));
    }

    #[test]
    fn an_image_that_is_not_understood_is_told_why() {
        let whole = image(b"\xfd7zXZ\0 and more");
        for (image, reason) in [
            (&whole[..0x250], "it ends too early"),
            (&whole[..0x410], "it ends too early"),
            (&image(b"LZO"), "it is packed in a format that is not known"),
            (&vec![0; 0x1000], "it is no kernel's image"),
        ] {
            assert_eq!(packed(image).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_kernel_without_an_entry_for_pvh_is_none_for_qemu() {
        let mut kernel = vec![0; 0x40 + 0x38];
        kernel[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (kernel[0x20], kernel[0x36], kernel[0x38]) = (0x40, 0x38, 1);
        (kernel[0x40], kernel[0x48], kernel[0x60]) = (4, 0x78, 20);
        kernel.extend(b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0\0\0\0\x01");
        assert!(check(&kernel).is_ok());

        kernel[0x80] = 0x11;

        assert_eq!(check(&kernel).unwrap_err().to_string(), "it has no entry for PVH");
        assert!(check(&kernel[..0x50]).is_err());
    }

    #[test]
    fn what_is_wrapped_comes_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let (package, kernel) = (folder.path().join("package"), folder.path().join("kernel"));
        fs::write(&kernel, "a kernel").unwrap();
        let packed = Command::new("xz").arg("-c").arg(&kernel).output();
        let Some(packed) = packed.ok().filter(|_| process::find("dpkg-deb").is_some()) else { return };

        fs::write(&package, wrap(&packed.stdout, "xz")).unwrap();

        let unpacked = process::ask(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&package));
        assert_eq!(unpacked.unwrap(), "a kernel");
    }
}
